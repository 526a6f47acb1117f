//! What moved in escrow as the ledger tells it: one account of one wallet, in the order of the chain.

use framefair_domain::id::EntryId;
use framefair_domain::merkle::Hash;
use framefair_domain::money::Lamports;
use framefair_domain::time::Timestamp;
use framefair_domain::wallet::{TxSignature, Wallet};
use serde::{Deserialize, Serialize};

use super::{Direction, EntryRow, Member, Sealed, compact};
use crate::{Entity, Indexes, Key, keys};

/// Why lamports moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Cause {
    /// Of a quote.
    Payment,
    /// The operator's own funds, or a gift.
    Float,
    /// It pays nothing that was asked for.
    Stray,
    /// What a job's end left to its provider and its client.
    Settlement,
    /// What was owed to a wallet.
    Debt,
    /// The books do not know it.
    Unbooked,
}

impl Cause {
    pub const fn word(self) -> &'static str {
        match self {
            Cause::Payment => "PAYMENT",
            Cause::Float => "FLOAT",
            Cause::Stray => "STRAY",
            Cause::Settlement => "SETTLEMENT",
            Cause::Debt => "DEBT",
            Cause::Unbooked => "UNBOOKED",
        }
    }
}

/// One final transaction that moved lamports of the wallet. Nothing of it is ever changed but where it is
/// sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovementRow {
    #[serde(with = "compact")]
    pub wallet: Wallet,
    /// 1 for the first, without gaps.
    pub seq: u64,
    pub id: EntryId,
    /// One of the platform's numbers, which have gaps.
    pub number: i64,
    /// Above zero.
    pub amount: Lamports,
    pub direction: Direction,
    pub cause: Cause,
    #[serde(with = "compact")]
    pub transaction: TxSignature,
    /// The sum of all until here.
    pub balance_after: i64,
    /// Hash of the leaf before this one.
    #[serde(with = "compact")]
    pub prev_leaf: Hash,
    /// Where it is anchored; none while it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Sealed>,
    /// The time of its block.
    pub created: Timestamp,
}

impl Entity for MovementRow {
    fn key(&self) -> Key {
        keys::movement(self.seq)
    }

    fn indexes(&self) -> Indexes {
        let waits = self.sealed.is_none();
        Indexes {
            owner: Some(keys::entry_by_number(self.number)),
            due: waits.then(|| keys::entry_waits(self.number, self.created)),
            state: Some(keys::movement_by_transaction(&self.transaction)),
        }
    }
}

/// How far the wallet's history has been told, and how it stands there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovementsRow {
    pub rev: u64,
    /// The last transaction that was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<TxSignature>,
    /// Movements so far.
    pub movements: u64,
    pub balance: i64,
    #[serde(with = "compact")]
    pub last_leaf: Hash,
    /// What the next transaction waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<Unbooked>,
}

/// A transaction that is not in the books: since when that is known, and how often it was looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unbooked {
    #[serde(with = "compact")]
    pub transaction: TxSignature,
    pub since: Timestamp,
    pub looks: u32,
}

impl Entity for MovementsRow {
    fn key(&self) -> Key {
        keys::movements_head()
    }
}

/// Whatever can be sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum LedgerRow {
    Entry(Box<EntryRow>),
    Movement(Box<MovementRow>),
}

impl LedgerRow {
    pub fn number(&self) -> i64 {
        match self {
            LedgerRow::Entry(row) => row.number,
            LedgerRow::Movement(row) => row.number,
        }
    }

    pub fn id(&self) -> EntryId {
        match self {
            LedgerRow::Entry(row) => row.id,
            LedgerRow::Movement(row) => row.id,
        }
    }

    pub fn sealed(&self) -> Option<Sealed> {
        match self {
            LedgerRow::Entry(row) => row.sealed,
            LedgerRow::Movement(row) => row.sealed,
        }
    }

    /// How a batch names it.
    pub fn member(&self) -> Member {
        match self {
            LedgerRow::Entry(row) => Member::Entry { user: row.user, seq: row.seq },
            LedgerRow::Movement(row) => Member::Movement { seq: row.seq },
        }
    }
}

impl Entity for LedgerRow {
    fn key(&self) -> Key {
        match self {
            LedgerRow::Entry(row) => row.key(),
            LedgerRow::Movement(row) => row.key(),
        }
    }

    fn indexes(&self) -> Indexes {
        match self {
            LedgerRow::Entry(row) => row.indexes(),
            LedgerRow::Movement(row) => row.indexes(),
        }
    }
}
