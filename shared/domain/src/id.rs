//! Names of things: uuid version 7, so that they sort by birth. Where one follows from a key it has that
//! form too, and no birth. Draws no randomness of its own.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid, Variant, Version};

use crate::time::Timestamp;
use crate::wallet::Wallet;

const PROVIDER_OF: &[u8] = b"framefair provider 1";

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new id, born at `now`.
            pub fn new(now: Timestamp, entropy: [u8; 10]) -> Self {
                let ms = u64::try_from(now.0).unwrap_or(0);
                $name(Builder::from_unix_timestamp_millis(ms, &entropy).into_uuid())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            /// Takes the hyphenated form only, so that one thing has one spelling.
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                let id = Uuid::try_parse(text).map_err(|_| NotAnId)?;
                if text.len() == 36 { Ok($name(id)) } else { Err(NotAnId) }
            }
        }
    };
}

id!(
    /// A render job, on whatever face it was born.
    JobId
);
id!(
    /// A provider of the market.
    ProviderId
);
impl ProviderId {
    /// One provider per wallet: the id follows from it, by SHA-256.
    pub fn of(wallet: &Wallet) -> ProviderId {
        let hash =
            Sha256::new().chain_update(PROVIDER_OF).chain_update(wallet.as_bytes()).finalize();
        let mut id = [0; 16];
        id.copy_from_slice(&hash[..16]);
        let id = Builder::from_bytes(id).with_version(Version::SortRand);
        ProviderId(id.with_variant(Variant::RFC4122).into_uuid())
    }
}

id!(
    /// A file on its way in. The job whose scene it becomes takes over its number.
    UploadId
);
id!(
    /// A person with an account, on creator, pipeline and studio.
    UserId
);
id!(
    /// One movement of credits.
    EntryId
);
id!(
    /// Entries that are anchored together.
    BatchId
);
id!(
    /// A login and all that follows from it by refreshing.
    SessionId
);

/// The text is not a hyphenated uuid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a uuid")]
pub struct NotAnId;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_birth_and_have_one_spelling() {
        let early = JobId::new(Timestamp(1_000), [255; 10]);
        let late = JobId::new(Timestamp(1_001), [0; 10]);
        assert!(early < late);
        assert_eq!(early.to_string().parse(), Ok(early));
        for bad in ["", "x", &early.0.simple().to_string(), &format!("{{{early}}}")] {
            assert_eq!(bad.parse::<JobId>(), Err(NotAnId), "{bad}");
        }
    }
}
