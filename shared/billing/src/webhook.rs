//! Whether a webhook is Stripe's: signatures over the raw body, and their age. Knows the secrets and is
//! told the time; what an event says is read elsewhere.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::event::Event;

/// A webhook with a longer body is not looked at.
pub const BODY_BYTES_MAX: usize = 256 * 1024;

/// How far the time in a signature may lie from now, in seconds, on either side.
pub const TOLERANCE_S: u64 = 300;

/// Two secrets in rotation make a header of some 200 bytes.
const HEADER_BYTES_MAX: usize = 4096;

/// Why a webhook is not believed, in the order in which it is found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEvent {
    /// The header is empty, or was not there.
    #[error("no Stripe-Signature")]
    Missing,
    /// The header is no such header, is older or newer than [`TOLERANCE_S`], or none of its signatures was
    /// made with one of the secrets over this very body.
    #[error("no signature of Stripe's over this body and of this time")]
    Signature,
    /// The body is longer than [`BODY_BYTES_MAX`], which is found out before its signature is looked at;
    /// or it is signed and is no event.
    #[error("not an event of Stripe's")]
    Payload,
}

/// There is no signing secret, or one of them is blank, and anybody could sign with that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a webhook endpoint needs signing secrets, and none of them blank")]
pub struct NoSecret;

/// Where Stripe's webhooks arrive.
///
/// The signatures are looked at here: `async-stripe-webhook` reads each event whole, as the one version of
/// Stripe's API that it was generated from, so an event of another version, or with a value it has no name
/// for, would be refused although it is signed and all that matters in it can be read.
#[derive(Clone)]
pub struct Endpoint {
    /// One for each secret, keyed already.
    keys: Vec<Hmac<Sha256>>,
}

impl Endpoint {
    /// With the signing secrets that are valid now, whole, as in `whsec_...`: one, or several while one
    /// takes over from another. White space around them is not theirs.
    pub fn new<S: AsRef<str>>(secrets: impl IntoIterator<Item = S>) -> Result<Endpoint, NoSecret> {
        let keys = secrets.into_iter().map(|secret| key(secret.as_ref().trim()));
        let keys: Vec<_> = keys.collect::<Result<_, _>>()?;
        if keys.is_empty() { Err(NoSecret) } else { Ok(Endpoint { keys }) }
    }

    /// Reads what Stripe sent: `raw_body` byte for byte as it came, `signature_header` the value of
    /// `Stripe-Signature` or nothing, `now_s` in seconds since 1970.
    ///
    /// An event may come more than once and in any order; its id is the same each time.
    pub fn read(
        &self,
        raw_body: &[u8],
        signature_header: &str,
        now_s: i64,
    ) -> Result<Event, BadEvent> {
        if signature_header.trim().is_empty() {
            return Err(BadEvent::Missing);
        }
        if raw_body.len() > BODY_BYTES_MAX {
            return Err(BadEvent::Payload);
        }
        let signed = Signed::parse(signature_header).ok_or(BadEvent::Signature)?;
        let fresh = signed.at_s.abs_diff(now_s) <= TOLERANCE_S;
        if !(self.made(&signed, raw_body) && fresh) {
            return Err(BadEvent::Signature);
        }
        Event::parse(raw_body).ok_or(BadEvent::Payload)
    }

    /// The value of `Stripe-Signature` that Stripe would send with this body: one signature for each
    /// secret. For whoever plays Stripe, in tests and on one machine.
    pub fn sign(&self, raw_body: &[u8], at_s: i64) -> String {
        let at = at_s.to_string();
        let signature = |key| hex::encode(over(key, &at, raw_body).finalize().into_bytes());
        let signatures = self.keys.iter().map(|key| format!(",v1={}", signature(key)));
        format!("t={at}{}", signatures.collect::<String>())
    }

    /// Whether one of the signatures was made with one of the secrets. Compares all with all, and each
    /// pair in constant time.
    fn made(&self, signed: &Signed<'_>, raw_body: &[u8]) -> bool {
        let mut made = false;
        for key in &self.keys {
            let expected = over(key, signed.at, raw_body);
            for signature in &signed.signatures {
                made |= expected.clone().verify_slice(signature).is_ok();
            }
        }
        made
    }
}

/// The secrets stay where they are.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("secrets", &self.keys.len()).finish_non_exhaustive()
    }
}

fn key(secret: &str) -> Result<Hmac<Sha256>, NoSecret> {
    if secret.is_empty() {
        return Err(NoSecret);
    }
    Hmac::new_from_slice(secret.as_bytes()).map_err(|_| NoSecret)
}

fn over(key: &Hmac<Sha256>, at: &str, raw_body: &[u8]) -> Hmac<Sha256> {
    key.clone().chain_update(at).chain_update(".").chain_update(raw_body)
}

/// `t=...,v1=...`, where `v1` may stand several times and other schemes beside it.
struct Signed<'a> {
    /// The time as it was signed.
    at: &'a str,
    at_s: i64,
    signatures: Vec<[u8; 32]>,
}

impl Signed<'_> {
    fn parse(header: &str) -> Option<Signed<'_>> {
        if header.len() > HEADER_BYTES_MAX {
            return None;
        }
        let (mut at, mut signatures) = (None, Vec::new());
        for part in header.split(',') {
            match part.trim().split_once('=') {
                // Two times would leave open which of them is meant.
                Some(("t", _)) if at.is_some() => return None,
                Some(("t", text)) => at = Some(text),
                Some(("v1", text)) => signatures.extend(signature(text)),
                _ => {}
            }
        }
        let at = at.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
        Some(Signed { at, at_s: at.parse().ok()?, signatures })
    }
}

fn signature(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_760_000_000;
    const BODY: &[u8] = br#"{"id":"evt_1","created":1760000000,"type":"a.b","data":{"object":{}}}"#;

    fn endpoint() -> Endpoint {
        Endpoint::new(["whsec_new", "whsec_old"]).expect("two secrets")
    }

    fn v1(secret: &str, at: &str, body: &[u8]) -> String {
        let key = key(secret).expect("a secret");
        hex::encode(over(&key, at, body).finalize().into_bytes())
    }

    #[test]
    fn a_signature_of_either_secret_is_believed_wherever_it_stands() {
        let zeros = "0".repeat(64);
        for secret in ["whsec_new", "whsec_old"] {
            let good = v1(secret, "1760000000", BODY);
            for header in [
                format!("t=1760000000,v1={good}"),
                format!("v1={good},t=1760000000"),
                format!("t=1760000000,v1={zeros},v1={good},v0={zeros}"),
                format!("t=1760000000, v1={good}, v1=short, v2, ,="),
                format!("t=1760000000,v1={}", good.to_uppercase()),
            ] {
                let read = endpoint().read(BODY, &header, NOW);
                assert_eq!(read.map(|event| event.id), Ok("evt_1".to_owned()), "{header}");
            }
        }
    }

    #[test]
    fn no_other_header_is_believed() {
        let good = v1("whsec_new", "1760000000", BODY);
        for header in [
            "t".to_owned(),
            "t=1760000000".to_owned(),
            format!("v1={good}"),
            format!("t=,v1={good}"),
            format!("t=1760000000,v0={good}"),
            format!("t=1760000000,V1={good}"),
            format!("t=1760000000,v1={}", &good[..62]),
            format!("t=1760000000,v1={good}00"),
            format!("t=1760000000,v1={}", "0".repeat(64)),
            format!("t=1760000001,v1={good}"),
            format!("t=01760000000,v1={good}"),
            format!("t=+1760000000,v1={good}"),
            format!("t=1760000000.0,v1={good}"),
            format!("t=1760000000,t=1760000000,v1={good}"),
            format!("t=1760000000,v1={}", v1("whsec_other", "1760000000", BODY)),
            format!("t=1760000000,v1={}", v1("whsec_new ", "1760000000", BODY)),
            format!("t=1760000000,v1={good},{}", "v1=,".repeat(1024)),
            format!("t=-1,v1={}", v1("whsec_new", "-1", BODY)),
        ] {
            assert_eq!(endpoint().read(BODY, &header, NOW), Err(BadEvent::Signature), "{header}");
        }
    }

    #[test]
    fn a_missing_header_is_told_apart_from_a_wrong_one() {
        for header in ["", " ", "\t"] {
            assert_eq!(endpoint().read(BODY, header, NOW), Err(BadEvent::Missing), "{header:?}");
        }
        assert_eq!(endpoint().read(BODY, "v1", NOW), Err(BadEvent::Signature));
    }

    #[test]
    fn a_signature_is_worth_five_minutes_on_either_side() {
        let header = endpoint().sign(BODY, NOW);
        for (now_s, fresh) in [
            (NOW - 301, false),
            (NOW - 300, true),
            (NOW, true),
            (NOW + 300, true),
            (NOW + 301, false),
            (i64::MIN, false),
            (i64::MAX, false),
        ] {
            let read = endpoint().read(BODY, &header, now_s);
            assert_eq!(read.is_ok(), fresh, "{now_s}");
            assert!(fresh || read == Err(BadEvent::Signature));
        }
        for at_s in [0, i64::MAX, i64::MIN] {
            let header = endpoint().sign(BODY, at_s);
            assert_eq!(endpoint().read(BODY, &header, NOW), Err(BadEvent::Signature), "{at_s}");
        }
    }

    #[test]
    fn a_body_is_taken_up_to_its_limit_and_only_when_it_is_an_event() {
        let padded = |bytes: usize| [BODY, &vec![b' '; bytes - BODY.len()]].concat();
        let read = |body: &[u8]| endpoint().read(body, &endpoint().sign(body, NOW), NOW);
        assert!(read(&padded(BODY_BYTES_MAX)).is_ok());
        assert_eq!(read(&padded(BODY_BYTES_MAX + 1)), Err(BadEvent::Payload));
        assert_eq!(read(b""), Err(BadEvent::Payload));
        assert_eq!(read(b"\xff"), Err(BadEvent::Payload));
    }

    #[test]
    fn an_endpoint_needs_secrets_and_never_shows_them() {
        for secrets in [&[][..], &[""], &[" \n"], &["whsec_new", ""]] {
            assert_eq!(Endpoint::new(secrets).err(), Some(NoSecret), "{secrets:?}");
        }
        let shown = format!("{:?}", endpoint());
        assert_eq!(shown, "Endpoint { secrets: 2, .. }");
        let from_a_file = Endpoint::new(["whsec_new\n"]).expect("a secret");
        assert!(from_a_file.read(BODY, &endpoint().sign(BODY, NOW), NOW).is_ok());
    }

    proptest! {
        #[test]
        fn no_header_and_no_body_panics(
            header in ".{0,200}",
            body in prop::collection::vec(any::<u8>(), 0..200),
            now_s in any::<i64>(),
        ) {
            prop_assert!(endpoint().read(&body, &header, now_s).is_err());
        }

        #[test]
        fn no_header_of_the_right_shape_panics(
            header in "(t=[-+]?[0-9]{0,21},|v1=[0-9a-fA-F]{0,66},|v0=.{0,3},|,|=|t|v1){0,8}",
            now_s in any::<i64>(),
        ) {
            prop_assert!(endpoint().read(BODY, &header, now_s).is_err());
        }

        #[test]
        fn one_bit_of_a_signed_body_is_not_changed_unseen(bit in 0..BODY.len() * 8) {
            let header = endpoint().sign(BODY, NOW);
            let mut body = BODY.to_vec();
            body[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(endpoint().read(&body, &header, NOW), Err(BadEvent::Signature));
        }

        #[test]
        fn no_signed_body_panics(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = endpoint().read(&body, &endpoint().sign(&body, NOW), NOW);
        }
    }
}
