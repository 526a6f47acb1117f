//! Names of things: uuid version 7, so that they sort by birth. Draws no randomness of its own.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

use crate::time::Timestamp;

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
