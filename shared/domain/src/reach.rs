//! Which addresses may be dialled on a stranger's word. Pure: it reads text and numbers, and leaves
//! resolving and dialling to others. One rule for those who take a URL and for those who dial it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use url::{Host, Url};

/// A longer URL is refused unread.
pub const URL_BYTES_MAX: usize = 2_048;

/// What may be dialled besides public addresses. The default is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// This machine's own loopback, for a hub that serves one machine.
    pub loopback: bool,
    /// Private networks of a deployment's own tests.
    pub networks: Vec<IpNet>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a network is written as 10.1.0.0/16, and {0:?} is not one")]
pub struct NotANetwork(String);

/// Why a URL or an address is not dialled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error(
        "a URL has at most {URL_BYTES_MAX} characters, all of them printable ASCII and none a backslash"
    )]
    Text,
    #[error("this is not a URL: {0}")]
    Form(url::ParseError),
    #[error("only http and https URLs are dialled")]
    Scheme,
    #[error("a URL must not hold a user name or a password")]
    Credentials,
    #[error("the host is an address in another notation than dotted decimals; write {0}")]
    Notation(Ipv4Addr),
    #[error("the host `{0}` is a name for use inside a network; give a public name or address")]
    InnerName(String),
    #[error("port {0} belongs to another protocol; use 80, 443, or one from 1024 up")]
    Port(u16),
    #[error("{0} is {1}; only public addresses are dialled")]
    Address(IpAddr, &'static str),
}

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8, why: &'static str) -> (Ipv4Net, &'static str) {
    (Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length), why)
}

const fn v6(start: [u16; 3], length: u8, why: &'static str) -> (Ipv6Net, &'static str) {
    let address = Ipv6Addr::new(start[0], start[1], start[2], 0, 0, 0, 0, 0);
    (Ipv6Net::new_assert(address, length), why)
}

/// IANA's registry of special IPv4 addresses, less those that anybody may be reached at.
const NOT_PUBLIC_V4: &[(Ipv4Net, &str)] = &[
    v4(0, 0, 0, 0, 8, "unspecified"),
    v4(10, 0, 0, 0, 8, "private"),
    v4(100, 64, 0, 0, 10, "shared behind a carrier's translation"),
    v4(127, 0, 0, 0, 8, "loopback"),
    v4(168, 63, 129, 16, 32, "a cloud's own service"),
    v4(169, 254, 0, 0, 16, "link-local, where clouds keep credentials"),
    v4(172, 16, 0, 0, 12, "private"),
    v4(192, 0, 0, 0, 24, "reserved for protocols"),
    v4(192, 0, 2, 0, 24, "for documentation"),
    v4(192, 88, 99, 0, 24, "a 6to4 relay"),
    v4(192, 168, 0, 0, 16, "private"),
    v4(198, 18, 0, 0, 15, "for benchmarks"),
    v4(198, 51, 100, 0, 24, "for documentation"),
    v4(203, 0, 113, 0, 24, "for documentation"),
    v4(224, 0, 0, 0, 4, "multicast"),
    v4(240, 0, 0, 0, 4, "reserved"),
];

/// Named for the words alone: whatever lies outside `GLOBAL_UNICAST` is refused anyway.
const NOT_PUBLIC_V6: &[(Ipv6Net, &str)] = &[
    (Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 128), "unspecified"),
    (Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128), "loopback"),
    (
        Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96),
        "an IPv4 address in IPv6 form",
    ),
    v6([0, 0, 0], 96, "an IPv4 address in IPv6 form"),
    v6([0x64, 0xff9b, 0], 96, "an IPv4 address behind NAT64"),
    v6([0x64, 0xff9b, 1], 48, "an IPv4 address behind NAT64"),
    v6([0x100, 0, 0], 64, "discarded"),
    v6([0x2001, 0, 0], 32, "an IPv4 address behind Teredo"),
    v6([0x2001, 2, 0], 48, "for benchmarks"),
    v6([0x2001, 0, 0], 23, "reserved for protocols"),
    v6([0x2001, 0xdb8, 0], 32, "for documentation"),
    v6([0x2002, 0, 0], 16, "an IPv4 address behind 6to4"),
    v6([0x3fff, 0, 0], 20, "for documentation"),
    v6([0xfc00, 0, 0], 7, "private"),
    v6([0xfe80, 0, 0], 10, "link-local"),
    v6([0xff00, 0, 0], 8, "multicast"),
];

/// All that was ever given out to be reached from everywhere.
const GLOBAL_UNICAST: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Last labels of names that mean something inside a network only.
const INNER_NAMES: &[&str] = &[
    "arpa",
    "corp",
    "home",
    "internal",
    "intranet",
    "invalid",
    "lan",
    "local",
    "localhost",
    "onion",
    "test",
];

/// Ports from 1024 up that browsers refuse, too: whoever listens there would take a body for orders.
const FOREIGN_PORTS: &[u16] = &[
    1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6379, 6566, 6665, 6666, 6667, 6668,
    6669, 6679, 6697, 10080, 11211,
];

impl Reach {
    /// Reads a list such as `10.1.0.0/16,fd00::/8`.
    pub fn networks(list: &str) -> Result<Vec<IpNet>, NotANetwork> {
        let texts = list.split(',').map(str::trim).filter(|text| !text.is_empty());
        texts.map(|text| text.parse().map_err(|_| NotANetwork(text.to_owned()))).collect()
    }

    /// Whether this address may be dialled.
    pub fn address(&self, address: IpAddr) -> Result<(), Refused> {
        let loopback = self.loopback && address.is_loopback();
        if loopback || self.networks.iter().any(|network| network.contains(&address)) {
            return Ok(());
        }
        let why = match address {
            IpAddr::V4(address) => {
                NOT_PUBLIC_V4.iter().find(|(net, _)| net.contains(&address)).map(|(_, why)| *why)
            }
            IpAddr::V6(address) => {
                let named = NOT_PUBLIC_V6.iter().find(|(net, _)| net.contains(&address));
                let other = (!GLOBAL_UNICAST.contains(&address)).then_some("not in use");
                named.map(|(_, why)| *why).or(other)
            }
        };
        why.map_or(Ok(()), |why| Err(Refused::Address(address, why)))
    }

    /// Whether this URL may be dialled, as far as its text tells: what a name resolves to must pass
    /// [`Reach::address`] as well, at the moment of dialling.
    pub fn url(&self, text: &str) -> Result<Url, Refused> {
        let url = form(text)?;
        // Dialled without a port, http is 80 and https 443.
        let port = url.port_or_known_default().ok_or(Refused::Scheme)?;
        if !matches!(port, 80 | 443 | 1024..) || FOREIGN_PORTS.contains(&port) {
            return Err(Refused::Port(port));
        }
        match url.host() {
            Some(Host::Ipv4(address)) => {
                // Decimal, octal and hexadecimal hosts are read as such an address, too.
                let typed = text.split("://").nth(1).unwrap_or_default();
                let typed = typed.split(['/', '?', '#', ':']).next().unwrap_or_default();
                if typed != address.to_string() {
                    return Err(Refused::Notation(address));
                }
                self.address(address.into())?;
            }
            Some(Host::Ipv6(address)) => self.address(address.into())?,
            Some(Host::Domain(name)) => self.name(name)?,
            None => return Err(Refused::Form(url::ParseError::EmptyHost)),
        }
        Ok(url)
    }

    fn name(&self, name: &str) -> Result<(), Refused> {
        let bare = name.strip_suffix('.').unwrap_or(name);
        let own = self.loopback && bare == "localhost";
        let inner = bare.rsplit_once('.').is_none_or(|(_, last)| INNER_NAMES.contains(&last));
        if inner && !own { Err(Refused::InnerName(name.to_owned())) } else { Ok(()) }
    }
}

/// Whether this is an http or https URL without credentials, wherever it leads.
pub fn form(text: &str) -> Result<Url, Refused> {
    // A parser would silently drop line breaks and tabs, and take a backslash for a slash.
    if text.len() > URL_BYTES_MAX || !text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
        return Err(Refused::Text);
    }
    let url = Url::parse(text).map_err(Refused::Form)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Refused::Scheme);
    }
    // An empty name before an `@` is dropped by the parser, and so are slashes too many.
    let written = text.split_once(':').map_or("", |(_, rest)| rest.trim_start_matches('/'));
    let authority = written.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') || !url.username().is_empty() || url.password().is_some() {
        return Err(Refused::Credentials);
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn why(text: &str) -> String {
        Reach::default().url(text).expect_err(text).to_string()
    }

    #[test]
    fn public_urls_may_be_dialled() {
        for text in [
            "http://1.1.1.1:4402",
            "https://render.example.com/hub",
            "http://example.com.:8080/a?b=c",
            "https://[2606:4700::1111]/",
            "http://xn--bcher-kva.example.org:65535",
            "HTTPS://Example.com",
        ] {
            assert!(Reach::default().url(text).is_ok(), "{text}: {}", why(text));
        }
    }

    #[test]
    fn every_way_to_write_an_inner_address_is_refused_by_its_reason() {
        for (host, reason) in [
            ("127.0.0.1", "loopback"),
            ("127.255.255.254", "loopback"),
            ("10.0.0.1", "private"),
            ("172.16.0.1", "private"),
            ("172.31.255.255", "private"),
            ("192.168.1.1", "private"),
            ("169.254.169.254", "link-local"),
            ("169.254.170.2", "link-local"),
            ("168.63.129.16", "cloud"),
            ("100.64.0.1", "carrier"),
            ("100.100.100.200", "carrier"),
            ("100.127.255.255", "carrier"),
            ("0.0.0.0", "unspecified"),
            ("192.0.0.192", "reserved for protocols"),
            ("192.0.2.1", "documentation"),
            ("198.51.100.1", "documentation"),
            ("203.0.113.1", "documentation"),
            ("198.18.0.1", "benchmarks"),
            ("198.19.255.255", "benchmarks"),
            ("192.88.99.1", "6to4"),
            ("224.0.0.1", "multicast"),
            ("239.255.255.255", "multicast"),
            ("240.0.0.1", "reserved"),
            ("255.255.255.255", "reserved"),
            ("[::]", "unspecified"),
            ("[::1]", "loopback"),
            ("[::ffff:127.0.0.1]", "IPv6 form"),
            ("[::ffff:8.8.8.8]", "IPv6 form"),
            ("[::127.0.0.1]", "IPv6 form"),
            ("[64:ff9b::7f00:1]", "NAT64"),
            ("[64:ff9b::8.8.8.8]", "NAT64"),
            ("[64:ff9b:1::1]", "NAT64"),
            ("[100::1]", "discarded"),
            ("[2001::1]", "Teredo"),
            ("[2001:2::1]", "benchmarks"),
            ("[2001:20::1]", "reserved for protocols"),
            ("[2001:db8::1]", "documentation"),
            ("[3fff::1]", "documentation"),
            ("[2002:7f00:1::]", "6to4"),
            ("[fc00::1]", "private"),
            ("[fd00:ec2::254]", "private"),
            ("[fe80::1]", "link-local"),
            ("[fec0::1]", "not in use"),
            ("[ff02::1]", "multicast"),
            ("[4000::1]", "not in use"),
            ("2130706433", "127.0.0.1"),
            ("0x7f000001", "127.0.0.1"),
            ("0x7f.1", "127.0.0.1"),
            ("0177.0.0.1", "127.0.0.1"),
            ("127.1", "127.0.0.1"),
            ("127.0.0.1.", "127.0.0.1"),
            ("%31%32%37.0.0.1", "127.0.0.1"),
            ("134744072", "8.8.8.8"),
            ("010.8.8.8", "8.8.8.8"),
            ("localhost", "inside a network"),
            ("LOCALHOST.", "inside a network"),
            ("a.localhost", "inside a network"),
            ("metadata.google.internal", "inside a network"),
            ("printer.local", "inside a network"),
            ("1.0.0.127.in-addr.arpa", "inside a network"),
            ("intranet", "inside a network"),
        ] {
            for text in [format!("http://{host}:4402/x"), format!("https://{host}")] {
                assert!(why(&text).contains(reason), "{text}: {}", why(&text));
            }
        }
    }

    #[test]
    fn what_is_no_plain_url_is_refused_by_its_reason() {
        for (text, reason) in [
            ("ftp://example.com", "only http"),
            ("file:///etc/passwd", "only http"),
            ("gopher://example.com:70/_x", "only http"),
            ("example.com", "not a URL"),
            ("http://", "not a URL"),
            ("http://user@example.com", "user name"),
            ("http://:pass@example.com", "user name"),
            ("http://@example.com", "user name"),
            ("http://1.1.1.1@127.0.0.1/", "user name"),
            ("http://example.com\\@127.0.0.1", "printable"),
            ("http://exa\nmple.com", "printable"),
            (" http://example.com", "printable"),
            ("http://bücher.example", "printable"),
            ("http://example.com:22", "port 22"),
            ("http://example.com:0", "port 0"),
            ("http://example.com:25", "port 25"),
            ("http://example.com:6379", "port 6379"),
            ("http://example.com:99999", "not a URL"),
            ("http://[fe80::1%25eth0]", "not a URL"),
            ("http://256.1.1.1", "not a URL"),
        ] {
            assert!(why(text).contains(reason), "{text}: {}", why(text));
        }
        assert_eq!(
            Reach::default().url(&format!("http://a.b/{}", "x".repeat(2_048))),
            Err(Refused::Text)
        );
    }

    #[test]
    fn loopback_is_opened_alone() {
        let reach = Reach { loopback: true, ..Reach::default() };
        for text in ["http://127.0.0.1:4402", "http://[::1]:4402", "http://localhost:4402"] {
            assert!(reach.url(text).is_ok(), "{text}");
        }
        for text in [
            "http://10.0.0.1",
            "http://169.254.169.254",
            "http://[::ffff:127.0.0.1]",
            "http://2130706433",
            "http://a.localhost",
            "http://0.0.0.0",
        ] {
            assert!(reach.url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_named_network_is_opened_alone() {
        let networks = Reach::networks(" 10.1.0.0/16, fd00::/8,").expect("two networks");
        let reach = Reach { networks, ..Reach::default() };
        assert!(reach.url("http://10.1.2.3").is_ok() && reach.url("http://[fd00::1]").is_ok());
        assert!(reach.url("http://10.2.0.1").is_err() && reach.url("http://127.0.0.1").is_err());
        assert!(Reach::networks("10.0.0.1").is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics_and_no_accepted_address_is_an_inner_one(text in "(http://)?[0-9a-fx.:\\[\\]%@/]{0,40}") {
            if let Ok(url) = Reach::default().url(&text)
                && let Some(Host::Ipv4(address)) = url.host()
            {
                prop_assert!(!address.is_loopback() && !address.is_private() && !address.is_link_local());
            }
        }
    }
}
