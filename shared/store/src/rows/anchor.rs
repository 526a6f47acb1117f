//! Batches of entries and what was said of them on the chain.

use framefair_domain::id::{BatchId, UserId};
use framefair_domain::merkle::Hash;
use framefair_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{SignedTx, compact};
use crate::{Entity, Key, keys};

/// Entries that are anchored together. Who they are is written once and never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchRow {
    /// From 1, without gaps.
    pub n: u64,
    pub rev: u64,
    pub id: BatchId,
    #[serde(with = "compact")]
    pub root: Hash,
    /// Of the batch before.
    #[serde(with = "compact")]
    pub previous: Hash,
    /// Hashes of the leaves, in their order.
    #[serde(with = "compact")]
    pub leaves: Vec<Hash>,
    /// Whose they are, in the same order.
    #[serde(with = "compact")]
    pub members: Vec<Member>,
    pub sealed: Timestamp,
    /// Whether each entry knows its place here.
    pub marked: bool,
    /// What was signed last, and how often something was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<SignedTx>,
    #[serde(default)]
    pub attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchored: Option<Anchored>,
}

/// What is in a batch, by its account and its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    Entry { user: UserId, seq: u64 },
    Movement { seq: u64 },
}

impl Member {
    pub fn key(self) -> Key {
        match self {
            Member::Entry { user, seq } => keys::entry(user, seq),
            Member::Movement { seq } => keys::movement(seq),
        }
    }
}

/// Final on the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchored {
    pub slot: u64,
    pub at: Timestamp,
}

impl Entity for BatchRow {
    fn key(&self) -> Key {
        keys::batch(self.n)
    }
}

/// The newest batch, and how many from the first are anchored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadRow {
    pub rev: u64,
    pub sealed: u64,
    pub anchored: u64,
    #[serde(with = "compact")]
    pub root: Hash,
}

impl Entity for HeadRow {
    fn key(&self) -> Key {
        keys::anchors_head()
    }
}
