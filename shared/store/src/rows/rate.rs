//! How often a route was asked.

use serde::{Deserialize, Serialize};

use crate::{Entity, Key};

/// The calls of one caller within one window, of all processes that count together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateRow {
    #[serde(skip)]
    pub key: Option<Key>,
    pub calls: u32,
    /// Unix seconds after which the window says nothing any more.
    pub expires: i64,
}

impl Entity for RateRow {
    fn key(&self) -> Key {
        self.key.clone().unwrap_or_else(|| Key { pk: "LIMIT".into(), sk: "W".into() })
    }

    fn expires(&self) -> Option<i64> {
        Some(self.expires)
    }
}
