//! What wallets sign, and the strict check of it. Nothing here remembers a nonce: single use is
//! the caller's business.

use ed25519_dalek::{Signature, VerifyingKey};

use crate::id::{JobId, ProviderId};
use crate::time::{MINUTE_MS, Timestamp};
use crate::wallet::{Wallet, base58};

/// A signed timestamp must lie this near to our clock, on either side.
pub const CLOCK_SKEW_MAX_MS: i64 = MINUTE_MS;

/// A base58 text of 64 bytes is never longer.
const SIGNATURE_TEXT_MAX: usize = 88;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureRefused {
    #[error("a signature is the base58 text of 64 bytes")]
    Encoding,
    #[error("the wallet's key has small order and could sign anything")]
    WeakKey,
    #[error("the signature does not match the message and the wallet")]
    Mismatch,
    #[error("the signed timestamp is more than 60 seconds off")]
    Stale,
    #[error("a nonce is 16 to 64 characters of A-Z a-z 0-9 _ -")]
    Nonce,
    #[error("timestamp and nonce come together or not at all")]
    Half,
}

/// What makes a signature good for once: both are part of the signed text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    pub timestamp: Timestamp,
    pub nonce: String,
}

impl Once {
    /// Reads the optional pair as it comes in a request.
    pub fn read(
        timestamp: Option<i64>,
        nonce: Option<&str>,
    ) -> Result<Option<Once>, SignatureRefused> {
        let (timestamp, nonce) = match (timestamp, nonce) {
            (None, None) => return Ok(None),
            (Some(timestamp), Some(nonce)) => (timestamp, nonce),
            _ => return Err(SignatureRefused::Half),
        };
        let fits = (16..=64).contains(&nonce.len());
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if !fits || !nonce.bytes().all(plain) {
            return Err(SignatureRefused::Nonce);
        }
        Ok(Some(Once { timestamp: Timestamp(timestamp), nonce: nonce.to_owned() }))
    }

    pub fn is_fresh(&self, now: Timestamp) -> bool {
        is_fresh(self.timestamp, now)
    }
}

/// Whether a signed timestamp is near enough to `now`.
pub fn is_fresh(timestamp: Timestamp, now: Timestamp) -> bool {
    now.since_ms(timestamp).unsigned_abs() <= CLOCK_SKEW_MAX_MS.unsigned_abs()
}

pub fn register(wallet: &Wallet, name: &str) -> String {
    format!("register:{wallet}:{name}")
}

pub fn status(provider: ProviderId, status: &str) -> String {
    format!("status:{provider}:{status}")
}

/// `pricing` is the raw JSON text of the member as received, never a re-serialisation.
pub fn pricing(provider: ProviderId, pricing: &str) -> String {
    format!("pricing:{provider}:{pricing}")
}

/// `render_time` is the raw text of the form part as received.
pub fn complete(job: JobId, render_time: &str) -> String {
    format!("complete:{job}:{render_time}")
}

pub fn failed(job: JobId, error: &str) -> String {
    format!("failed:{job}:{error}")
}

pub fn socket(provider: ProviderId, timestamp: Timestamp) -> String {
    format!("ws:{provider}:{}", timestamp.0)
}

pub fn cancel(job: JobId) -> String {
    format!("cancel:{job}")
}

/// The text that is signed: the short form, or with `once` the single-use form.
pub fn text(short: String, once: Option<&Once>) -> String {
    match once {
        None => short,
        Some(once) => format!("{short}:{}:{}", once.timestamp.0, once.nonce),
    }
}

/// Whether a short text ends as a single-use one does, so that one signature would fit both.
pub fn ends_like_once(short: &str) -> bool {
    let mut parts = short.rsplitn(3, ':');
    let nonce = parts.next().unwrap_or_default();
    let timestamp = parts.next().and_then(|text| text.parse().ok());
    parts.next().is_some() && matches!(Once::read(timestamp, Some(nonce)), Ok(Some(_)))
}

/// Checks `signature` (base58) over `message` by `wallet`, strictly: canonical encodings only, no
/// small-order keys or points, so that one message has one signature that is accepted.
pub fn verify(wallet: &Wallet, message: &[u8], signature: &str) -> Result<(), SignatureRefused> {
    let bytes: [u8; 64] =
        base58(signature, SIGNATURE_TEXT_MAX).ok_or(SignatureRefused::Encoding)?;
    let key = verifying_key(wallet)?;
    key.verify_strict(message, &Signature::from_bytes(&bytes))
        .map_err(|_| SignatureRefused::Mismatch)
}

/// The wallet's key, when it is one that can be trusted to sign for one holder alone.
pub fn verifying_key(wallet: &Wallet) -> Result<VerifyingKey, SignatureRefused> {
    let key = VerifyingKey::from_bytes(wallet.as_bytes()).map_err(|_| SignatureRefused::WeakKey)?;
    if key.is_weak() { Err(SignatureRefused::WeakKey) } else { Ok(key) }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};
    use proptest::prelude::*;

    use super::*;

    fn signer() -> (SigningKey, Wallet) {
        let key = SigningKey::from_bytes(&[7; 32]);
        let wallet = Wallet::from_bytes(key.verifying_key().to_bytes()).expect("a real key");
        (key, wallet)
    }

    fn signed(key: &SigningKey, message: &str) -> String {
        bs58::encode(key.sign(message.as_bytes()).to_bytes()).into_string()
    }

    #[test]
    fn a_signature_is_for_one_message_and_one_wallet() {
        let (key, wallet) = signer();
        let message = register(&wallet, "node");
        let signature = signed(&key, &message);
        assert_eq!(verify(&wallet, message.as_bytes(), &signature), Ok(()));
        let other = SigningKey::from_bytes(&[8; 32]).verifying_key().to_bytes();
        let other = Wallet::from_bytes(other).expect("a real key");
        for refused in [
            verify(&wallet, b"register:x:node", &signature),
            verify(&other, message.as_bytes(), &signature),
        ] {
            assert_eq!(refused, Err(SignatureRefused::Mismatch));
        }
    }

    #[test]
    fn a_malleated_signature_is_refused() {
        let (key, wallet) = signer();
        let mut bytes = key.sign(b"m").to_bytes();
        // Adding the group order to s gives a second spelling of the same signature.
        let order: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9,
            0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let mut carry = 0_u16;
        for (byte, add) in bytes[32..].iter_mut().zip(order) {
            carry += u16::from(*byte) + u16::from(add);
            *byte = carry.to_le_bytes()[0];
            carry >>= 8;
        }
        let malleated = bs58::encode(bytes).into_string();
        assert_eq!(verify(&wallet, b"m", &malleated), Err(SignatureRefused::Mismatch));
    }

    #[test]
    fn a_single_use_text_is_no_short_one() {
        assert!(ends_like_once("register:w:node:1699999999999:0123456789abcdef"));
        for short in ["register:w:node", "status:id:online", "register:w:a:1:short", "a:b"] {
            assert!(!ends_like_once(short), "{short}");
        }
    }

    #[test]
    fn a_small_order_key_signs_nothing() {
        for first in [0_u8, 1] {
            let mut bytes = [0_u8; 32];
            bytes[0] = first;
            let wallet = Wallet::from_bytes(bytes).expect("on the curve");
            let mut zero = [0_u8; 64];
            zero[..32].copy_from_slice(&bytes);
            let signature = bs58::encode(zero).into_string();
            assert_eq!(verify(&wallet, b"anything", &signature), Err(SignatureRefused::WeakKey));
        }
    }

    #[test]
    fn a_nonce_comes_with_its_timestamp() {
        let nonce = "0123456789abcdef";
        assert_eq!(Once::read(None, None), Ok(None));
        assert_eq!(Once::read(Some(1), None), Err(SignatureRefused::Half));
        assert_eq!(Once::read(None, Some(nonce)), Err(SignatureRefused::Half));
        for bad in ["short", &"x".repeat(65), "0123456789abcde:"] {
            assert_eq!(Once::read(Some(1), Some(bad)), Err(SignatureRefused::Nonce), "{bad}");
        }
        let once = Once::read(Some(5), Some(nonce)).expect("good").expect("present");
        assert_eq!(text("a:b".into(), Some(&once)), "a:b:5:0123456789abcdef");
        assert!(once.is_fresh(Timestamp(60_005)));
        assert!(!once.is_fresh(Timestamp(60_006)));
        assert!(!once.is_fresh(Timestamp(-60_000)));
    }

    proptest! {
        #[test]
        fn no_signature_text_panics(text in ".{0,100}") {
            prop_assert!(verify(&signer().1, b"m", &text).is_err());
        }
    }
}
