//! Totals of the platform, spread over a few items that are only ever added to.

use serde::{Deserialize, Serialize};

use crate::{Entity, Key, keys};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatisticsRow {
    #[serde(default)]
    pub shard: u8,
    #[serde(default)]
    pub providers: i64,
    #[serde(default)]
    pub jobs: i64,
    #[serde(default)]
    pub completed: i64,
    /// Accepted payments less refunds, in lamports.
    #[serde(default)]
    pub volume: i64,
    #[serde(default)]
    pub render_ms: i64,
}

impl Entity for StatisticsRow {
    fn key(&self) -> Key {
        keys::statistics(self.shard)
    }
}
