//! Credits of an account: the balance, each movement of it, and what was used by day.

use std::collections::BTreeMap;

use framefair_domain::credits::Credits;
use framefair_domain::id::{EntryId, UserId};
use framefair_domain::merkle::Hash;
use framefair_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::compact;
use crate::{Entity, Indexes, Key, Update, When, keys};

/// `available + held` is what was posted. A hold moves between the two under a condition alone, so nobody
/// puts this row as a whole; whatever posts an entry raises `rev`, because the entry carries the balance
/// after it and its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalanceRow {
    pub user: UserId,
    pub rev: u64,
    pub available: Credits,
    pub held: Credits,
    /// Entries so far; the next one has this number plus one.
    pub entries: u64,
    /// Jobs of the creator face so far, and how many of them came to an end, and to which.
    pub jobs: u64,
    #[serde(default)]
    pub completed: u64,
    #[serde(default)]
    pub failed: u64,
    /// Hash of the leaf of the last one.
    #[serde(with = "compact")]
    pub last_leaf: Hash,
    pub updated: Timestamp,
}

impl BalanceRow {
    /// The write of what one more entry changes, where this is the balance with that entry: the two parts
    /// gain so much each, whatever holds were placed meanwhile.
    pub fn after_entry(&self, available: i64, held: i64) -> Update {
        Update::at(self.key(), When::Rev(self.rev - 1))
            .set("rev", self.rev)
            .set("entries", self.entries)
            .set("last_leaf", serde_bytes::Bytes::new(&self.last_leaf))
            .set("updated", self.updated)
            .add("available", available)
            .add("held", held)
    }
}

impl Entity for BalanceRow {
    fn key(&self) -> Key {
        keys::balance(self.user)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Direction {
    Credit,
    Debit,
}

impl Direction {
    pub const fn word(self) -> &'static str {
        match self {
            Direction::Credit => "CREDIT",
            Direction::Debit => "DEBIT",
        }
    }
}

/// Why credits moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Source {
    Stripe,
    Usage,
    Adjustment,
    Refund,
}

impl Source {
    pub const fn word(self) -> &'static str {
        match self {
            Source::Stripe => "STRIPE",
            Source::Usage => "USAGE",
            Source::Adjustment => "ADJUSTMENT",
            Source::Refund => "REFUND",
        }
    }
}

/// One movement of credits. Nothing of it is ever changed but where it is sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryRow {
    pub user: UserId,
    /// 1 for the first entry of the account, without gaps.
    pub seq: u64,
    pub id: EntryId,
    /// One of the platform's numbers, which have gaps.
    pub number: i64,
    /// Above zero.
    pub amount: Credits,
    pub direction: Direction,
    pub source: Source,
    pub reference: String,
    pub balance_after: Credits,
    /// Hash of the account's leaf before this one.
    #[serde(with = "compact")]
    pub prev_leaf: Hash,
    /// Where it is anchored; none while it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Sealed>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub created: Timestamp,
}

impl Entity for EntryRow {
    fn key(&self) -> Key {
        keys::entry(self.user, self.seq)
    }

    fn indexes(&self) -> Indexes {
        let waits = self.sealed.is_none();
        Indexes {
            owner: Some(keys::entry_by_number(self.number)),
            due: waits.then(|| keys::entry_waits(self.number, self.created)),
            ..Indexes::default()
        }
    }
}

/// A place in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    pub batch: u64,
    pub index: u32,
}

/// That a reference of an account has moved credits: which entry, and how much.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnceRow {
    #[serde(skip)]
    pub key: Option<Key>,
    pub seq: u64,
    pub amount: Credits,
}

impl Entity for OnceRow {
    fn key(&self) -> Key {
        self.key.clone().unwrap_or_else(|| Key { pk: "ONCE".into(), sk: "CLAIM".into() })
    }
}

/// What an account used in one month, by day: `d01` to `d31`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRow {
    pub month: String,
    #[serde(flatten)]
    pub days: BTreeMap<String, Credits>,
}

impl Entity for UsageRow {
    fn key(&self) -> Key {
        // Rows of usage are only ever added to, by updates that name their key.
        Key { pk: "USAGE".into(), sk: self.month.clone() }
    }
}

/// What jobs of a type cost where an admin has set that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PricesRow {
    pub credits: BTreeMap<String, Credits>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Timestamp>,
}

impl Entity for PricesRow {
    fn key(&self) -> Key {
        keys::prices()
    }
}

/// The next number of the platform's sequence of entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceRow {
    pub next: i64,
}

impl Entity for SequenceRow {
    fn key(&self) -> Key {
        keys::entry_numbers()
    }
}
