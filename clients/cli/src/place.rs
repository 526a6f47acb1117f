//! Where the hub and the chain are: their addresses, and which of them may be guessed. Opens no
//! connection.

use std::fmt;
use std::str::FromStr;

use reqwest::Url;

use crate::exit::{Exit, Failure};

/// Where `framefair up` puts the chain of one machine.
pub(crate) const LOCAL_RPC: &str = "http://127.0.0.1:8899";

/// The hub's base address; paths of the contract are appended to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HubUrl(Url);

/// The address of a Solana JSON-RPC endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RpcUrl(Url);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAnAddress {
    #[error("an address looks like http://127.0.0.1:8000 or https://hub.example.org")]
    Form,
    #[error("an address begins with http:// or https://")]
    Scheme,
    #[error("an address holds no user name, no password and no fragment")]
    Extras,
}

fn address(text: &str) -> Result<Url, NotAnAddress> {
    let url = Url::parse(text).map_err(|_| NotAnAddress::Form)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(NotAnAddress::Scheme);
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(NotAnAddress::Form);
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(NotAnAddress::Extras);
    }
    Ok(url)
}

/// Whether a connection to `url` stays on this machine.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or("");
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl HubUrl {
    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(&self.0)
    }

    /// Whether whoever sits on the way could change what the hub says.
    pub(crate) fn is_open_to_others(&self) -> bool {
        self.0.scheme() == "http" && !self.is_loopback()
    }

    /// The address of a route, each piece one path segment.
    pub(crate) fn route(&self, pieces: &[&str]) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(pieces);
        }
        url
    }
}

impl FromStr for HubUrl {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<HubUrl, NotAnAddress> {
        let url = address(text)?;
        if url.query().is_some() { Err(NotAnAddress::Extras) } else { Ok(HubUrl(url)) }
    }
}

impl fmt::Display for HubUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl RpcUrl {
    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(&self.0)
    }

    /// The address without path and query, which may hold a key.
    pub(crate) fn host(&self) -> String {
        self.0.origin().ascii_serialization()
    }
}

impl FromStr for RpcUrl {
    type Err = NotAnAddress;

    /// A query is allowed here: hosted endpoints carry their key in it.
    fn from_str(text: &str) -> Result<RpcUrl, NotAnAddress> {
        address(text).map(RpcUrl)
    }
}

impl fmt::Display for RpcUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

/// The chain to pay on. It is guessed only where it cannot be another chain than the hub's: on this
/// machine.
pub(crate) fn rpc_beside(hub: Option<&HubUrl>, rpc: Option<&RpcUrl>) -> Result<RpcUrl, Failure> {
    if let Some(rpc) = rpc {
        return Ok(rpc.clone());
    }
    match hub {
        Some(hub) if !hub.is_loopback() => Err(Failure::new(
            Exit::Usage,
            "no chain was named",
            format!("the hub {hub} is not on this machine, so its chain is not guessed"),
        )
        .hint(
            "Add --rpc URL (or set FRAMEFAIR_RPC) with an endpoint of the chain that the hub uses.",
        )),
        _ => LOCAL_RPC
            .parse()
            .map_err(|error| Failure::new(Exit::Usage, "no chain was named", error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(text: &str) -> HubUrl {
        text.parse().expect(text)
    }

    #[test]
    fn the_chain_is_guessed_on_this_machine_only() {
        for near in [
            "http://127.0.0.1:8000",
            "http://localhost:8000/hub",
            "http://[::1]:1",
            "http://127.9.9.9",
        ] {
            assert_eq!(
                rpc_beside(Some(&hub(near)), None).unwrap().to_string().trim_end_matches('/'),
                LOCAL_RPC
            );
        }
        assert!(rpc_beside(None, None).is_ok());
        for far in [
            "https://hub.example.org",
            "http://10.0.0.1",
            "http://localhost.example.org",
            "http://127.0.0.1.example",
        ] {
            let refused = rpc_beside(Some(&hub(far)), None).unwrap_err();
            assert_eq!(refused.exit, Exit::Usage, "{far}");
            assert!(refused.to_string().contains("--rpc"), "{refused}");
        }
        let named = "https://rpc.example.org/?api-key=1".parse().unwrap();
        assert_eq!(rpc_beside(Some(&hub("https://hub.example.org")), Some(&named)).unwrap(), named);
    }

    #[test]
    fn addresses_are_plain_http_ones() {
        for (text, error) in [
            ("", NotAnAddress::Form),
            ("127.0.0.1:8000", NotAnAddress::Form),
            ("http://", NotAnAddress::Form),
            ("ftp://hub.example.org", NotAnAddress::Scheme),
            ("file:///etc/passwd", NotAnAddress::Scheme),
            ("http://user:secret@hub.example.org", NotAnAddress::Extras),
            ("http://hub.example.org/#x", NotAnAddress::Extras),
            ("http://hub.example.org/?x=1", NotAnAddress::Extras),
        ] {
            assert_eq!(text.parse::<HubUrl>(), Err(error), "{text}");
        }
    }

    #[test]
    fn routes_are_appended_and_cannot_leave_the_base() {
        for (base, route) in [
            ("http://h", "http://h/render/pay"),
            ("http://h/", "http://h/render/pay"),
            ("http://h/hub", "http://h/hub/render/pay"),
            ("http://h/hub/", "http://h/hub/render/pay"),
        ] {
            assert_eq!(hub(base).route(&["render", "pay"]).as_str(), route);
        }
        assert_eq!(
            hub("http://h/hub").route(&["render", "a/b?c"]).as_str(),
            "http://h/hub/render/a%2Fb%3Fc"
        );
        assert_eq!(hub("http://h/hub/").to_string(), "http://h/hub");
    }
}
