//! What entitles to an upload, its client's token or the proof that our own ingest took it in, and to
//! a private job. All are codes over a secret of the deployment, so that nothing of them is stored.

use std::fmt;
use std::net::IpAddr;

use framefair_domain::id::{JobId, UploadId, UserId};
use framefair_domain::time::{MINUTE_MS, Timestamp};
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// A proof is used at once; this leaves room for a slow start of what reads it.
const PROOF_LIFE_MS: i64 = 2 * MINUTE_MS;
/// The clocks of two machines may differ by this much.
const CLOCK_SKEW_MS: i64 = MINUTE_MS;
const SECRET_BYTES_MIN: usize = 32;
const TOKEN: &str = "framefair upload token 1";
const READER: &str = "framefair reader token 1";
const PROOF: &str = "framefair ingest proof 1";

/// The secret behind tokens and proofs, the same for the ingest and for the functions.
#[derive(Clone)]
pub struct UploadSecret(Vec<u8>);

/// Too short to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("UPLOAD_SECRET must have at least 32 bytes; `openssl rand -hex 32` makes one")]
pub struct WeakSecret;

impl fmt::Debug for UploadSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UploadSecret")
    }
}

/// Who may use an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pass {
    /// The client that began it, as it says.
    Token(String),
    Proof(Proof),
    /// The account that it was bound to.
    Owner(UserId),
}

/// What the ingest vouches for: it took this file in, whole, for this caller, just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    pub time: Timestamp,
    pub id: UploadId,
    pub bytes: u64,
    /// Of the whole file, lower-case hex.
    pub sha256: String,
    /// SHA-256 over the hashes of its parts.
    pub tree: String,
    /// Who sent it.
    pub from: IpAddr,
}

impl UploadSecret {
    pub fn new(secret: &str) -> Result<UploadSecret, WeakSecret> {
        let secret = secret.trim().as_bytes();
        if secret.len() < SECRET_BYTES_MIN {
            return Err(WeakSecret);
        }
        Ok(UploadSecret(secret.to_vec()))
    }

    /// `purpose` keeps a code of one kind from passing as another.
    fn code(&self, purpose: &str, text: &str) -> Hmac<Sha256> {
        let mut code =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("a key for HMAC may have any length");
        for part in [purpose, text] {
            code.update(&(part.len() as u64).to_be_bytes());
            code.update(part.as_bytes());
        }
        code
    }

    fn fits(&self, purpose: &str, text: &str, code: &str) -> bool {
        hex::decode(code).is_ok_and(|code| self.code(purpose, text).verify_slice(&code).is_ok())
    }

    /// What the client of the upload must show.
    pub fn token(&self, id: UploadId) -> String {
        hex::encode(self.code(TOKEN, &id.to_string()).finalize().into_bytes())
    }

    /// What opens a private job.
    pub(crate) fn reader_token(&self, id: JobId) -> String {
        hex::encode(self.code(READER, &id.to_string()).finalize().into_bytes())
    }

    pub(super) fn is_token(&self, id: UploadId, token: &str) -> bool {
        self.fits(TOKEN, &id.to_string(), token)
    }

    /// The proof as text for a header.
    pub fn sign(&self, proof: &Proof) -> String {
        let text = proof.text();
        let code = hex::encode(self.code(PROOF, &text).finalize().into_bytes());
        format!("{text};{code}")
    }

    /// The proof, if this deployment's ingest made it and it is fresh.
    pub fn read(&self, text: &str, now: Timestamp) -> Option<Proof> {
        let (claimed, code) = text.rsplit_once(';')?;
        if !self.fits(PROOF, claimed, code) {
            return None;
        }
        let proof = Proof::parse(claimed)?;
        let age_ms = now.since_ms(proof.time);
        (-CLOCK_SKEW_MS..=PROOF_LIFE_MS).contains(&age_ms).then_some(proof)
    }
}

impl Proof {
    fn text(&self) -> String {
        let Proof { time, id, bytes, sha256, tree, from } = self;
        format!("{};{id};{bytes};{sha256};{tree};{from}", time.0)
    }

    fn parse(text: &str) -> Option<Proof> {
        let mut parts = text.split(';');
        let mut next = || parts.next();
        let proof = Proof {
            time: Timestamp(next()?.parse().ok()?),
            id: next()?.parse().ok()?,
            bytes: next()?.parse().ok()?,
            sha256: next()?.to_owned(),
            tree: next()?.to_owned(),
            from: next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(proof)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn secret(letter: &str) -> UploadSecret {
        UploadSecret::new(&letter.repeat(32)).expect("long enough")
    }

    fn proof() -> Proof {
        Proof {
            time: NOW,
            id: UploadId::new(NOW, [7; 10]),
            bytes: 5_000_000,
            sha256: "ab".repeat(32),
            tree: "cd".repeat(32),
            from: "2001:db8::1".parse().expect("an address"),
        }
    }

    #[test]
    fn a_proof_is_read_as_it_was_signed_and_not_for_long() {
        let text = secret("a").sign(&proof());
        assert_eq!(secret("a").read(&text, NOW), Some(proof()));
        assert_eq!(secret("a").read(&text, NOW.plus_ms(PROOF_LIFE_MS)), Some(proof()));
        for late in [PROOF_LIFE_MS + 1, -CLOCK_SKEW_MS - 1] {
            assert_eq!(secret("a").read(&text, NOW.plus_ms(late)), None, "{late}");
        }
        assert_eq!(secret("b").read(&text, NOW), None, "another deployment's");
    }

    #[test]
    fn a_proof_that_was_touched_is_none() {
        let text = secret("a").sign(&proof());
        for place in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[place] = if bytes[place] == b'0' { b'1' } else { b'0' };
            let touched = String::from_utf8(bytes).expect("still text");
            assert_eq!(secret("a").read(&touched, NOW), None, "{touched}");
        }
        for nonsense in ["", ";", ";;;;;;", "x", &"a".repeat(5_000)] {
            assert_eq!(secret("a").read(nonsense, NOW), None);
        }
    }

    #[test]
    fn a_token_is_for_one_upload_and_no_proof() {
        let (id, other) = (UploadId::new(NOW, [1; 10]), UploadId::new(NOW, [2; 10]));
        let token = secret("a").token(id);
        assert!(secret("a").is_token(id, &token));
        assert!(!secret("a").is_token(other, &token) && !secret("b").is_token(id, &token));
        assert!(!secret("a").is_token(id, "") && !secret("a").is_token(id, &token[1..]));
        assert_eq!(secret("a").read(&format!("{id};{token}"), NOW), None);
        assert_eq!(UploadSecret::new("short").err(), Some(WeakSecret));
    }
}
