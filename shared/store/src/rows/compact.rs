//! Ids, wallets, signatures and hashes as bytes: in text they would make a job's row two write
//! units instead of one.

use framefair_domain::id::{JobId, ProviderId, UserId};
use framefair_domain::merkle::Hash;
use framefair_domain::wallet::{TxSignature, Wallet};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};
use serde_bytes::ByteBuf;

use super::Member;

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

compact_id!(JobId, ProviderId, UserId);

impl Compact for Hash {
    fn to_bytes(&self) -> Vec<u8> {
        self.to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Hash> {
        bytes.try_into().ok()
    }
}

/// One behind the other.
impl Compact for Vec<Hash> {
    fn to_bytes(&self) -> Vec<u8> {
        self.concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Vec<Hash>> {
        let (hashes, rest) = bytes.as_chunks::<32>();
        rest.is_empty().then(|| hashes.to_vec())
    }
}

/// Sixteen bytes of the account and eight of the place each. No user has the account of zeros: that one is
/// escrow's.
impl Compact for Vec<Member> {
    fn to_bytes(&self) -> Vec<u8> {
        let each = |member: &Member| {
            let (account, seq) = match *member {
                Member::Entry { user, seq } => (user.0, seq),
                Member::Movement { seq } => (uuid::Uuid::nil(), seq),
            };
            account.as_bytes().iter().copied().chain(seq.to_be_bytes()).collect::<Vec<u8>>()
        };
        self.iter().flat_map(each).collect()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Vec<Member>> {
        let (members, rest) = bytes.as_chunks::<24>();
        let each = |bytes: &[u8; 24]| {
            let (account, seq) = bytes.split_at(16);
            let account = uuid::Uuid::from_slice(account).ok()?;
            let seq = u64::from_be_bytes(seq.try_into().ok()?);
            Some(match account.is_nil() {
                true => Member::Movement { seq },
                false => Member::Entry { user: UserId(account), seq },
            })
        };
        members.iter().map(each).collect::<Option<_>>().filter(|_| rest.is_empty())
    }
}

/// Text of hexadecimal digits, lower case.
impl Compact for String {
    fn to_bytes(&self) -> Vec<u8> {
        hex::decode(self).unwrap_or_default()
    }

    fn from_bytes(bytes: &[u8]) -> Option<String> {
        Some(hex::encode(bytes))
    }
}
