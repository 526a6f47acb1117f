//! Tokens: JWTs by EdDSA, each with the name of its key. Knows what they say, not who may do what.

use std::collections::HashMap;
use std::sync::Arc;

use ed25519_dalek::{SigningKey, VerifyingKey};
use framefair_domain::id::{ProviderId, SessionId, UserId};
use framefair_domain::time::{MINUTE_MS, Timestamp};
use framefair_domain::wallet::Wallet;
use framefair_store::rows::{FleetRow, Pair, SessionRow};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{NotAuthenticated, crypto};
use crate::{Broken, Refusal};

const ACCESS_MS: i64 = 30 * MINUTE_MS;
pub(super) const REFRESH_MS: i64 = 7 * 24 * 60 * MINUTE_MS;
const AUDIENCE: &str = "framefair";
/// A longer text is not even looked at.
const TOKEN_BYTES_MAX: usize = 4_096;

const NODE_MS: i64 = 24 * 60 * MINUTE_MS;

/// The keys of a deployment: those that it believes, and, where tokens are made, the one that signs.
#[derive(Clone)]
pub struct TokenKeys(Arc<Keys>);

struct Keys {
    signing: Option<(String, EncodingKey)>,
    trusted: HashMap<String, DecodingKey>,
}

/// Says nothing of what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTokenKey {
    #[error("a token key is a Solana key file, such as `framefair wallet new` makes")]
    Secret,
    #[error("token keys to believe are base58 addresses with commas between")]
    Public,
}

impl TokenKeys {
    /// Signs with the key of this key file, and believes it.
    pub fn parse(key_file: &str) -> Result<TokenKeys, BadTokenKey> {
        let bytes: Vec<u8> = serde_json::from_str(key_file).map_err(|_| BadTokenKey::Secret)?;
        let bytes = bytes.try_into().map_err(|_| BadTokenKey::Secret)?;
        let key = SigningKey::from_keypair_bytes(&bytes).map_err(|_| BadTokenKey::Secret)?;
        crypto::install();
        let (kid, believed) = believed(&key.verifying_key());
        let signing = Some((kid.clone(), EncodingKey::from_ed_der(key.as_bytes())));
        Ok(TokenKeys(Arc::new(Keys { signing, trusted: HashMap::from([(kid, believed)]) })))
    }

    /// Believes these, each an address, with commas between, and signs nothing.
    pub fn trusting(addresses: &str) -> Result<TokenKeys, BadTokenKey> {
        crypto::install();
        let read = |text: &str| {
            let address: Wallet = text.trim().parse().ok()?;
            VerifyingKey::from_bytes(address.as_bytes()).ok().map(|key| believed(&key))
        };
        let trusted: Option<HashMap<_, _>> = addresses.split(',').map(read).collect();
        let trusted = trusted.ok_or(BadTokenKey::Public)?;
        Ok(TokenKeys(Arc::new(Keys { signing: None, trusted })))
    }

    /// Also believes what `others` do: keys that were, or will be, the signing one.
    #[must_use]
    pub fn and(self, others: &TokenKeys) -> TokenKeys {
        let all = self.0.trusted.iter().chain(&others.0.trusted);
        let trusted = all.map(|(kid, key)| (kid.clone(), key.clone())).collect();
        TokenKeys(Arc::new(Keys { signing: self.0.signing.clone(), trusted }))
    }
}

impl std::fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.trusted.keys()).finish()
    }
}

/// A key under its name.
fn believed(key: &VerifyingKey) -> (String, DecodingKey) {
    let name = hex::encode(&Sha256::digest(key.as_bytes())[..8]);
    (name, DecodingKey::from_ed_der(key.as_bytes()))
}

/// What a caller is given at login, and again at each refresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPair {
    pub access: String,
    pub refresh: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Access,
    Refresh,
    Node,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Claims {
    pub(super) sub: UserId,
    /// Unix seconds.
    exp: i64,
    iat: i64,
    pub(super) jti: Uuid,
    pub(super) family: SessionId,
    pub(super) token_type: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    aud: Option<String>,
}

/// What every token says, whatever else it says.
#[derive(Debug, Deserialize)]
struct Head {
    exp: i64,
    token_type: Kind,
    aud: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct NodeClaims {
    sub: ProviderId,
    exp: i64,
    iat: i64,
    jti: Uuid,
    capabilities: Vec<String>,
    token_type: Kind,
}

impl TokenKeys {
    /// The token of a registered node.
    pub(crate) fn node(
        &self,
        row: &FleetRow,
        capabilities: &[String],
        now: Timestamp,
    ) -> Result<String, Refusal> {
        self.sign(&NodeClaims {
            sub: row.id,
            exp: now.plus_ms(NODE_MS).seconds(),
            iat: now.seconds(),
            jti: row.token,
            capabilities: capabilities.to_vec(),
            token_type: Kind::Node,
        })
    }

    /// Whose token this is, and its name. A node learns nothing of what is wrong with it.
    pub(crate) fn read_node(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<(ProviderId, Uuid), NotAuthenticated> {
        let claims = self.read_as::<NodeClaims>(token, &[Kind::Node], now);
        claims.map(|claims| (claims.sub, claims.jti)).map_err(|_| NotAuthenticated::Node)
    }

    /// The tokens of a session's present pair: the same each time, to the byte.
    pub(super) fn pair(&self, session: &SessionRow) -> Result<TokenPair, Refusal> {
        let Pair { access, refresh, issued } = session.current;
        let claims = |jti, token_type, life_ms, aud| Claims {
            sub: session.user,
            exp: issued.plus_ms(life_ms).seconds(),
            iat: issued.seconds(),
            jti,
            family: session.id,
            token_type,
            aud,
        };
        let access = claims(access, Kind::Access, ACCESS_MS, Some(AUDIENCE.to_owned()));
        let refresh = claims(refresh, Kind::Refresh, REFRESH_MS, None);
        Ok(TokenPair { access: self.sign(&access)?, refresh: self.sign(&refresh)? })
    }

    fn sign(&self, claims: &impl Serialize) -> Result<String, Refusal> {
        let bad = |why: String| Refusal::Broken(Broken(format!("a token: {why}")));
        let (kid, key) = self.0.signing.as_ref().ok_or_else(|| bad("no key signs here".into()))?;
        let header = Header { kid: Some(kid.clone()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, claims, key).map_err(|error| bad(error.to_string()))
    }

    /// What a token of one of these kinds says, if it is ours and its time is not over.
    pub(super) fn read(
        &self,
        token: &str,
        wanted: &[Kind],
        now: Timestamp,
    ) -> Result<Claims, NotAuthenticated> {
        self.read_as(token, wanted, now)
    }

    fn read_as<C: DeserializeOwned>(
        &self,
        token: &str,
        wanted: &[Kind],
        now: Timestamp,
    ) -> Result<C, NotAuthenticated> {
        let invalid = NotAuthenticated::Invalid;
        if token.len() > TOKEN_BYTES_MAX {
            return Err(invalid);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| invalid)?;
        let key = header.kid.and_then(|kid| self.0.trusted.get(&kid)).ok_or(invalid)?;
        let mut rules = Validation::new(Algorithm::EdDSA);
        // The clock is ours, and so is the word about the audience: both are looked at below.
        rules.validate_exp = false;
        rules.validate_aud = false;
        rules.required_spec_claims.clear();
        let claims: Value = jsonwebtoken::decode(token, key, &rules).map_err(|_| invalid)?.claims;
        let head = Head::deserialize(&claims).map_err(|_| invalid)?;
        if head.exp <= now.seconds() {
            return Err(invalid);
        }
        if !wanted.contains(&head.token_type) {
            return Err(NotAuthenticated::WrongType);
        }
        let audience = (head.token_type == Kind::Access).then_some(AUDIENCE);
        if head.aud.as_deref() != audience {
            return Err(invalid);
        }
        serde_json::from_value(claims).map_err(|_| invalid)
    }
}

#[cfg(test)]
mod tests {
    use framefair_chain::Signer;

    use super::*;

    #[test]
    fn a_key_is_renewed_while_tokens_of_the_old_one_are_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let make = |name: &str| {
            let path = folder.path().join(name);
            let address = Signer::create(&path).expect("a key").wallet().to_string();
            (
                TokenKeys::parse(&std::fs::read_to_string(path).expect("text")).expect("keys"),
                address,
            )
        };
        let ((old, old_address), (new, new_address)) = (make("old"), make("new"));
        let now = Timestamp(1_764_000_000_000);
        let id = |n: u8| Uuid::from_bytes([n; 16]);
        let session = SessionRow {
            user: UserId(id(1)),
            id: SessionId(id(2)),
            rev: 1,
            resets: 0,
            current: Pair { access: id(3), refresh: id(4), issued: now },
            previous: None,
            revoked: false,
            expires: now.seconds() + 1,
        };
        let token = old.pair(&session).expect("tokens").access;
        assert_eq!(token, old.pair(&session).expect("tokens").access, "the same each time");
        let reads = |keys: &TokenKeys, now| keys.read(&token, &[Kind::Access], now).is_ok();
        assert!(reads(&old, now) && !reads(&new, now));
        let both = TokenKeys::trusting(&format!("{new_address}, {old_address}")).expect("keys");
        assert!(reads(&both, now) && reads(&new.and(&both), now));
        assert!(both.pair(&session).is_err(), "it signs nothing");
        assert!(reads(&old, now.plus_ms(ACCESS_MS - 1)) && !reads(&old, now.plus_ms(ACCESS_MS)));
        for (bad, why) in [("[1, 2]", BadTokenKey::Secret), ("", BadTokenKey::Secret)] {
            assert_eq!(TokenKeys::parse(bad).map(drop), Err(why));
        }
        assert_eq!(TokenKeys::trusting("x").map(drop), Err(BadTokenKey::Public));
    }
}
