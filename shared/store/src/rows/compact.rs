//! Ids, wallets, signatures and hashes as bytes: in text they would make a job's row two write
//! units instead of one.

use framefair_domain::id::{JobId, ProviderId};
use framefair_domain::wallet::{TxSignature, Wallet};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};
use serde_bytes::ByteBuf;

/// A value that has one form in bytes.
pub(super) trait Compact: Sized {
    fn to_bytes(&self) -> Vec<u8>;
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

pub(super) fn serialize<T: Compact, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_bytes(&value.to_bytes())
}

pub(super) fn deserialize<'de, T: Compact, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    let bytes = ByteBuf::deserialize(from)?;
    T::from_bytes(&bytes).ok_or_else(|| D::Error::custom("bytes of another length or meaning"))
}

/// The same for values that may be missing; `default` and `skip_serializing_if` go with it.
pub(super) mod option {
    use super::*;

    pub(in crate::rows) fn serialize<T: Compact, S: Serializer>(
        value: &Option<T>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => super::serialize(value, to),
            None => to.serialize_none(),
        }
    }

    pub(in crate::rows) fn deserialize<'de, T: Compact, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<T>, D::Error> {
        super::deserialize(from).map(Some)
    }
}

impl Compact for Wallet {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Wallet> {
        Wallet::from_bytes(bytes.try_into().ok()?).ok()
    }
}

impl Compact for TxSignature {
    fn to_bytes(&self) -> Vec<u8> {
        self.0.to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<TxSignature> {
        bytes.try_into().ok().map(TxSignature)
    }
}

macro_rules! compact_id {
    ($($name:ident),*) => {$(
        impl Compact for $name {
            fn to_bytes(&self) -> Vec<u8> {
                self.0.as_bytes().to_vec()
            }

            fn from_bytes(bytes: &[u8]) -> Option<$name> {
                uuid::Uuid::from_slice(bytes).ok().map($name)
            }
        }
    )*};
}

compact_id!(JobId, ProviderId);

/// Text of hexadecimal digits, lower case.
impl Compact for String {
    fn to_bytes(&self) -> Vec<u8> {
        hex::decode(self).unwrap_or_default()
    }

    fn from_bytes(bytes: &[u8]) -> Option<String> {
        Some(hex::encode(bytes))
    }
}
