//! Nodes of the fleet: the key that one registers with, the challenge that it signs, and how healthy it is
//! by the time of its last sign of life.

use ed25519_dalek::Signature;
use spki::{ObjectIdentifier, SubjectPublicKeyInfoRef};

use crate::signing::verifying_key;
use crate::time::{MINUTE_MS, SECOND_MS, Timestamp};
use crate::wallet::Wallet;

/// A result that is a text in a frame is at most this long.
pub const RESULT_TEXT_BYTES_MAX: usize = 64 << 10;
/// Without a sign of life a node is unhealthy after this, and offline after the other.
const UNHEALTHY_AFTER_MS: i64 = 90 * SECOND_MS;
const OFFLINE_AFTER_MS: i64 = 5 * MINUTE_MS;
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const LABEL: &str = "PUBLIC KEY";
/// What stands before an Ed25519 key in its DER form.
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

/// How a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It was never heard of since.
    Registered,
    Healthy,
    Unhealthy,
    Offline,
}

impl Health {
    /// By the time of its last sign of life.
    pub fn of(beat: Option<Timestamp>, now: Timestamp) -> Health {
        match beat.map(|beat| now.since_ms(beat)) {
            None => Health::Registered,
            Some(silent) if silent >= OFFLINE_AFTER_MS => Health::Offline,
            Some(silent) if silent >= UNHEALTHY_AFTER_MS => Health::Unhealthy,
            Some(_) => Health::Healthy,
        }
    }

    pub const fn word(self) -> &'static str {
        match self {
            Health::Registered => "REGISTERED",
            Health::Healthy => "HEALTHY",
            Health::Unhealthy => "UNHEALTHY",
            Health::Offline => "OFFLINE",
        }
    }
}

/// What was given as a node's key is none that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAKey {
    #[error("the key is not PEM: -----BEGIN PUBLIC KEY----- and its lines")]
    Pem,
    #[error("the key is not an Ed25519 key in the form of RFC 8410")]
    Ed25519,
    #[error("the key has small order and could sign anything")]
    Weak,
}

/// Reads a PEM SubjectPublicKeyInfo (RFC 8410).
pub fn key_of_pem(text: &str) -> Result<Wallet, NotAKey> {
    let (label, der) = pem_rfc7468::decode_vec(text.as_bytes()).map_err(|_| NotAKey::Pem)?;
    if label != LABEL {
        return Err(NotAKey::Pem);
    }
    let info = SubjectPublicKeyInfoRef::try_from(der.as_slice()).map_err(|_| NotAKey::Ed25519)?;
    if info.algorithm.oid != ED25519 || info.algorithm.parameters.is_some() {
        return Err(NotAKey::Ed25519);
    }
    let bytes = info.subject_public_key.as_bytes().and_then(|bytes| bytes.try_into().ok());
    let key = bytes.and_then(|bytes| Wallet::from_bytes(bytes).ok()).ok_or(NotAKey::Ed25519)?;
    verifying_key(&key).map_err(|_| NotAKey::Weak)?;
    Ok(key)
}

/// The same key as text.
pub fn pem_of_key(key: &Wallet) -> String {
    let der = [SPKI.as_slice(), key.as_bytes()].concat();
    // Fails only for a label that is none.
    pem_rfc7468::encode_string(LABEL, pem_rfc7468::LineEnding::LF, &der).unwrap_or_default()
}

/// Whether `signature` over the text of `challenge` is by `key`, checked as strictly as a wallet's.
pub fn has_signed(key: &Wallet, challenge: &str, signature: &[u8]) -> bool {
    let Ok(signature) = Signature::from_slice(signature) else { return false };
    verifying_key(key).is_ok_and(|key| key.verify_strict(challenge.as_bytes(), &signature).is_ok())
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};

    use super::*;

    /// `openssl genpkey -algorithm ed25519 | openssl pkey -pubout` of the key of RFC 8032's first vector.
    const PEM: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";
    const SECRET: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";

    #[test]
    fn a_key_is_read_from_its_pem_and_proves_itself() {
        let mut secret = [0; 32];
        hex::decode_to_slice(SECRET, &mut secret).expect("hex");
        let signer = SigningKey::from_bytes(&secret);
        let key = key_of_pem(PEM).expect("a key");
        assert_eq!(key.as_bytes(), signer.verifying_key().as_bytes());
        assert_eq!(pem_of_key(&key), PEM);
        let signature = signer.sign(b"abc").to_bytes();
        assert!(has_signed(&key, "abc", &signature));
        assert!(!has_signed(&key, "abd", &signature) && !has_signed(&key, "abc", &signature[1..]));
    }

    #[test]
    fn what_is_no_ed25519_key_is_refused() {
        let rsa = PEM.replace("MCowBQYDK2Vw", "MCowBQYDK2Vu");
        let weak = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n-----END PUBLIC KEY-----\n";
        for (text, why) in [
            ("", NotAKey::Pem),
            ("MCowBQYDK2VwAyEA", NotAKey::Pem),
            (&PEM.replace("PUBLIC", "PRIVATE"), NotAKey::Pem),
            (&rsa, NotAKey::Ed25519),
            (weak, NotAKey::Weak),
        ] {
            assert_eq!(key_of_pem(text), Err(why), "{text}");
        }
    }

    #[test]
    fn silence_makes_a_node_unhealthy_and_then_offline() {
        let now = Timestamp(1_764_000_000_000);
        for (ago_ms, health) in [
            (0, Health::Healthy),
            (89_999, Health::Healthy),
            (90_000, Health::Unhealthy),
            (299_999, Health::Unhealthy),
            (300_000, Health::Offline),
        ] {
            assert_eq!(Health::of(Some(now.plus_ms(-ago_ms)), now), health, "{ago_ms}");
        }
        assert_eq!(Health::of(None, now), Health::Registered);
    }
}
