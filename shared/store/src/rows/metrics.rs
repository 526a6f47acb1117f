//! Counts for whoever watches a deployment, spread over a few partitions and only ever added to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Entity, Key, keys};

/// What was counted of one thing, by the names that whoever counts it gave. In a partition of its own for
/// each shard; the sort key says of what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricsRow {
    #[serde(skip)]
    pub shard: u8,
    #[serde(skip)]
    pub of: String,
    #[serde(flatten)]
    pub counts: BTreeMap<String, i64>,
}

impl Entity for MetricsRow {
    fn key(&self) -> Key {
        keys::metrics(self.shard, &self.of)
    }
}
