//! The one algorithm of our tokens: Ed25519, strictly verified. No other is compiled in, so that no token
//! can ask for one.

use ed25519_dalek::ed25519::signature::Error as Unsigned;
use ed25519_dalek::{Signature, Signer, SigningKey, Verifier, VerifyingKey};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| Ok(Box::new(Signs::new(*algorithm, key)?)),
    verifier_factory: |algorithm, key| Ok(Box::new(Verifies::new(*algorithm, key)?)),
    key_utils: KeyUtils::new_unimplemented(),
};

/// Once per process; whoever was first has installed the same one.
pub(super) fn install() {
    let _ = PROVIDER.install_default();
}

struct Signs(SigningKey);

impl Signs {
    fn new(algorithm: Algorithm, key: &EncodingKey) -> Result<Signs, Error> {
        let seed: &[u8; 32] =
            key.as_bytes().try_into().map_err(|_| Error::from(ErrorKind::InvalidEddsaKey))?;
        only(algorithm).map(|()| Signs(SigningKey::from_bytes(seed)))
    }
}

impl Signer<Vec<u8>> for Signs {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, Unsigned> {
        Ok(self.0.try_sign(message)?.to_bytes().to_vec())
    }
}

impl JwtSigner for Signs {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

struct Verifies(VerifyingKey);

impl Verifies {
    fn new(algorithm: Algorithm, key: &DecodingKey) -> Result<Verifies, Error> {
        let bad = || Error::from(ErrorKind::InvalidEddsaKey);
        let bytes: &[u8; 32] = key.try_get_as_bytes()?.try_into().map_err(|_| bad())?;
        only(algorithm)?;
        VerifyingKey::from_bytes(bytes).map(Verifies).map_err(|_| bad())
    }
}

impl Verifier<Vec<u8>> for Verifies {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), Unsigned> {
        self.0.verify_strict(message, &Signature::from_slice(signature)?)
    }
}

impl JwtVerifier for Verifies {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

fn only(algorithm: Algorithm) -> Result<(), Error> {
    match algorithm {
        Algorithm::EdDSA => Ok(()),
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    }
}
