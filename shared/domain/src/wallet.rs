//! Solana wallets and transaction signatures as values: base58 in, base58 out.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A public key that lies on the curve, so that somebody can hold its private half.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wallet([u8; 32]);

/// The name of a transaction: its first signature.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TxSignature(pub [u8; 64]);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAWallet {
    #[error("a wallet is the base58 text of 32 bytes")]
    Encoding,
    #[error("a wallet must lie on the Ed25519 curve; this address belongs to no key")]
    OffCurve,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a transaction signature is the base58 text of 64 bytes")]
pub struct NotASignature;

/// Longer texts are refused unread: base58 decoding is quadratic.
const WALLET_TEXT_MAX: usize = 44;
const SIGNATURE_TEXT_MAX: usize = 88;

impl Wallet {
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Wallet, NotAWallet> {
        VerifyingKey::from_bytes(&bytes).map_err(|_| NotAWallet::OffCurve)?;
        Ok(Wallet(bytes))
    }

    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for Wallet {
    type Err = NotAWallet;

    fn from_str(text: &str) -> Result<Wallet, NotAWallet> {
        Wallet::from_bytes(base58(text, WALLET_TEXT_MAX).ok_or(NotAWallet::Encoding)?)
    }
}

impl FromStr for TxSignature {
    type Err = NotASignature;

    fn from_str(text: &str) -> Result<TxSignature, NotASignature> {
        base58(text, SIGNATURE_TEXT_MAX).map(TxSignature).ok_or(NotASignature)
    }
}

/// Decodes exactly `N` bytes.
pub(crate) fn base58<const N: usize>(text: &str, text_max: usize) -> Option<[u8; N]> {
    if text.len() > text_max {
        return None;
    }
    bs58::decode(text).into_vec().ok()?.try_into().ok()
}

macro_rules! base58_text {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&bs58::encode(&self.0).into_string())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

base58_text!(Wallet);
base58_text!(TxSignature);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keys_on_the_curve_are_wallets() {
        let system = "11111111111111111111111111111111";
        assert!(system.parse::<Wallet>().is_ok(), "32 zero bytes decode to a point");
        let mut off = [0_u8; 32];
        off[0] = 2;
        assert_eq!(Wallet::from_bytes(off), Err(NotAWallet::OffCurve));
        for bad in ["", "0OIl", "1111", &"1".repeat(33), &"z".repeat(44), &"1".repeat(10_000)] {
            assert_eq!(bad.parse::<Wallet>(), Err(NotAWallet::Encoding), "{bad:.50}");
        }
    }

    #[test]
    fn a_signature_is_exactly_64_bytes() {
        let signature = TxSignature([7; 64]);
        assert_eq!(signature.to_string().parse(), Ok(signature));
        let short = bs58::encode([7; 63]).into_string();
        let long = bs58::encode([7; 65]).into_string();
        for bad in [short.as_str(), &long, "", "=="] {
            assert_eq!(bad.parse::<TxSignature>(), Err(NotASignature));
        }
    }
}
