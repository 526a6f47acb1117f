//! What a job is given to work on, as the contract's clients write it.

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use framefair_domain::id::{UploadId, UserId};
use framefair_store::rows::{InputRow, Priority};

use crate::uploads::{self, Pass};
use crate::{Call, Ctx, Refusal};

const FIELD: &str = "payload_ref";
const IPFS: &str = "ipfs://";
/// What follows it is the payload in base64.
const INLINE: &str = "inline:";
/// The shortest kind of content id that is in use.
const CID_MIN: usize = 46;

/// Both alphabets, with padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A payload reference, read. The stored text keeps its suffix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Payload<'a> {
    /// Without the suffix of the clients.
    pub(crate) text: &'a str,
    pub(crate) kind: Kind,
    pub(crate) priority: Priority,
    pub(crate) gpu: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file that came in here.
    Upload(UploadId),
    /// Somewhere else: the node fetches it.
    Elsewhere,
    /// A name that only a gateway can fetch.
    Ipfs,
    /// The text itself.
    Inline,
}

impl<'a> Payload<'a> {
    /// Any text without a known scheme is the payload itself.
    pub(crate) fn read(given: &'a str) -> Payload<'a> {
        let (text, priority, gpu) = suffix(given).unwrap_or((given, Priority::default(), false));
        let upload = text.strip_prefix("upload:").and_then(|id| id.parse().ok());
        let kind = match upload {
            Some(id) => Kind::Upload(id),
            None if ["https://", "s3://"].iter().any(|scheme| text.starts_with(scheme)) => {
                Kind::Elsewhere
            }
            None if text.starts_with(IPFS) => Kind::Ipfs,
            None => Kind::Inline,
        };
        Payload { text, kind, priority, gpu }
    }

    /// As a node is told it: what is behind a gateway by its address there, and what was packed into the
    /// reference unpacked.
    pub(crate) fn told(&self, ipfs_gateway: Option<&str>) -> String {
        let unpacked = || {
            let packed = self.text.strip_prefix(INLINE)?;
            let standard = packed.replace('-', "+").replace('_', "/");
            let text = String::from_utf8(BASE64.decode(standard).ok()?).ok()?;
            // What names a place is looked at where it is given, and not packed away.
            (Payload::read(&text).kind == Kind::Inline).then_some(text)
        };
        match (self.kind, ipfs_gateway, self.text.strip_prefix(IPFS)) {
            (Kind::Ipfs, Some(gateway), Some(path)) => format!("{gateway}/ipfs/{path}"),
            (Kind::Inline, ..) => unpacked().unwrap_or_else(|| self.text.to_owned()),
            _ => self.text.to_owned(),
        }
    }

    /// The upload that it is, if it is one.
    pub(super) fn upload(&self) -> Option<UploadId> {
        match self.kind {
            Kind::Upload(id) => Some(id),
            Kind::Elsewhere | Kind::Ipfs | Kind::Inline => None,
        }
    }

    /// What is said when the upload was removed in between.
    pub(super) fn is_gone(&self) -> Refusal {
        Refusal::field(FIELD, format!("{FIELD}: this upload is not here any more"))
    }

    /// Where it lies here, if it does. Refuses what no node could be given.
    pub(super) async fn input(
        &self,
        ctx: &Ctx,
        call: &Call,
        user: UserId,
        pass: Option<&Pass>,
    ) -> Result<Option<InputRow>, Refusal> {
        let refuse = |why: &str| Refusal::field(FIELD, format!("{FIELD}: {why}"));
        match self.kind {
            Kind::Ipfs if ctx.platform.ipfs_gateway.is_none() => Err(refuse(
                "this deployment has no gateway to IPFS; use upload:{uploadId}, https:// or inline text",
            )),
            Kind::Ipfs if !is_ipfs_path(self.text) => {
                Err(refuse("ipfs:// is followed by a CID, and by a path in it if there is one"))
            }
            Kind::Elsewhere if self.text.starts_with(&ctx.store.objects().reference("")) => {
                Err(refuse("this bucket is the platform's own; use upload:{uploadId}"))
            }
            Kind::Ipfs | Kind::Elsewhere | Kind::Inline => Ok(None),
            Kind::Upload(id) => {
                let none =
                    || refuse("no complete upload of this id for this account or X-Upload-Token");
                let pass = pass.ok_or_else(none)?;
                match uploads::look(ctx, call, id, pass).await {
                    // Bound to an account, it is of use to no other.
                    Ok(upload) if upload.owner.is_some_and(|owner| owner != user) => Err(none()),
                    Ok(upload) => Ok(Some(InputRow { object: upload.object(), name: upload.name })),
                    Err(Refusal::NotFound) => Err(none()),
                    Err(other) => Err(other),
                }
            }
        }
    }
}

/// A content id, and pieces that lead nowhere else.
fn is_ipfs_path(text: &str) -> bool {
    let Some(path) = text.strip_prefix(IPFS) else { return false };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let mut pieces = path.split('/');
    let is_cid =
        |cid: &str| cid.len() >= CID_MIN && cid.bytes().all(|it| it.is_ascii_alphanumeric());
    pieces.next().is_some_and(is_cid)
        && pieces.all(|piece| piece.bytes().all(plain) && piece != "." && piece != "..")
}

/// `?priority=low|normal|high&gpu=true|false` at the end, in any order of the two.
fn suffix(given: &str) -> Option<(&str, Priority, bool)> {
    let (text, query) = given.rsplit_once('?')?;
    let (mut priority, mut gpu) = (Priority::default(), false);
    for pair in query.split('&') {
        match pair.split_once('=')? {
            ("priority", "low") => priority = Priority::Low,
            ("priority", "normal") => priority = Priority::Normal,
            ("priority", "high") => priority = Priority::High,
            ("gpu", "true") => gpu = true,
            ("gpu", "false") => gpu = false,
            _ => return None,
        }
    }
    Some((text, priority, gpu))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_read_as_the_clients_write_them() {
        let read = |given| {
            let payload = Payload::read(given);
            (payload.text, payload.kind, payload.priority, payload.gpu)
        };
        let (normal, inline) = (Priority::Normal, Kind::Inline);
        assert_eq!(read("{\"a\":1}"), ("{\"a\":1}", inline, normal, false));
        assert_eq!(read("hello?"), ("hello?", inline, normal, false));
        assert_eq!(read("why?because=so"), ("why?because=so", inline, normal, false));
        let with = "s3://bucket/a.blend?priority=high&gpu=true";
        assert_eq!(read(with), ("s3://bucket/a.blend", Kind::Elsewhere, Priority::High, true));
        let other = "https://example.com/a?x=1";
        assert_eq!(read(other), (other, Kind::Elsewhere, normal, false));
        assert_eq!(read("ipfs://bafy?gpu=false&priority=low").2, Priority::Low);
        let id = "0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001";
        let upload = format!("upload:{id}");
        assert_eq!(Payload::read(&upload).kind, Kind::Upload(id.parse().expect("an id")));
        assert_eq!(read("upload:../../x").1, inline);
    }

    #[test]
    fn a_node_is_told_what_it_can_use() {
        let told = |given, gateway| Payload::read(given).told(gateway);
        let gateway = Some("https://ipfs.example.com");
        assert_eq!(told("inline:eyJsaW1pdCI6N30=", None), r#"{"limit":7}"#);
        assert_eq!(told("inline:eyJsaW1pdCI6MTAwMH0", None), r#"{"limit":1000}"#);
        assert_eq!(told("inline:w7_Dv8O_", None), "\u{ff}\u{ff}\u{ff}");
        let packed = "inline:aHR0cHM6Ly9leGFtcGxlLmNvbS9h";
        assert_eq!(told(packed, None), packed, "an address");
        assert_eq!(told("inline:%%%?priority=low", gateway), "inline:%%%");
        assert_eq!(told("inline:/w==", None), "inline:/w==", "not a text");
        assert_eq!(told("hello", gateway), "hello");
        let cid = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi";
        let named = format!("ipfs://{cid}/scenes/a.blend");
        let there = format!("https://ipfs.example.com/ipfs/{cid}/scenes/a.blend");
        assert_eq!(told(&named, gateway), there);
        assert_eq!(told(&named, None), named);
        let end = |end: &str| is_ipfs_path(&format!("ipfs://{cid}{end}"));
        assert!(end("") && end("/") && end("/a/b-c_d.e"));
        assert!(!end("/../x") && !end("/a?b") && !end("/%2e%2e") && !end("@x"));
        assert!(!is_ipfs_path("ipfs://short"));
    }
}
