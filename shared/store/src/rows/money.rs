//! What came into escrow and what left it, one item per transaction.

use framefair_domain::id::JobId;
use framefair_domain::money::Lamports;
use framefair_domain::settlement::{LegKind, SettlementId};
use framefair_domain::time::Timestamp;
use framefair_domain::wallet::{TxSignature, Wallet};
use serde::{Deserialize, Serialize};

use crate::{Entity, Indexes, Key, keys};

/// Why money came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Inbound {
    /// It pays a quote; `job` says which.
    Payment,
    /// The operator's own funds, or somebody's gift.
    Float,
    /// It pays nothing we asked for: it is owed to `back_to`, or an operator looks.
    Stray,
}

/// One transaction that moved money into escrow. Its existence is the claim: a signature is
/// accepted once ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InflowRow {
    pub signature: TxSignature,
    pub kind: Inbound,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// Whom a stray is owed to, by a debt written with this entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back_to: Option<Wallet>,
    pub slot: u64,
    pub lamports: Lamports,
}

impl Entity for InflowRow {
    fn key(&self) -> Key {
        keys::inflow(&self.signature)
    }
}

/// One finalized transaction that moved money out of escrow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutflowRow {
    pub signature: TxSignature,
    pub settlement: SettlementId,
    pub n: u32,
    pub slot: u64,
    pub lamports: Lamports,
}

impl Entity for OutflowRow {
    fn key(&self) -> Key {
        keys::outflow(&self.signature)
    }
}

/// Place `n` in a settlement's way out. Who fills it first decides what happens there; it is never
/// written again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WayOutRow {
    pub settlement: SettlementId,
    pub n: u32,
    pub step: OutStep,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutStep {
    /// A transaction, stored before it is sent; exactly these bytes may leave.
    Signed(SignedTx),
    /// These legs of a job's plan leave no more with it: they became debts.
    Kept(Vec<LegKind>),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedTx {
    pub signature: TxSignature,
    /// The wire form.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
    pub last_valid: u64,
    pub min_slot: u64,
}

impl WayOutRow {
    pub fn signed(&self) -> Option<&SignedTx> {
        match &self.step {
            OutStep::Signed(signed) => Some(signed),
            OutStep::Kept(_) => None,
        }
    }

    pub fn kept(&self) -> &[LegKind] {
        match &self.step {
            OutStep::Signed(_) => &[],
            OutStep::Kept(kinds) => kinds,
        }
    }
}

impl Entity for WayOutRow {
    fn key(&self) -> Key {
        keys::way_out(self.settlement, self.n)
    }
}

/// What is owed to one wallet beside the plans of jobs. It is gathered until it can be sent, and
/// then leaves in one batch at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DebtRow {
    pub wallet: Wallet,
    pub rev: u64,
    /// Everything that was ever owed here.
    pub total: Lamports,
    /// Not in any batch yet.
    pub waiting: Lamports,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
    /// The last place of the way out that earlier batches have used.
    pub used: u32,
    /// Since when something waits.
    pub since: Timestamp,
    /// When the sweeper looks at it next; none while nothing is owed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
}

/// What is being sent. It does not change until it has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    pub lamports: Lamports,
    /// An operator must look.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub parked: bool,
}

impl Entity for DebtRow {
    fn key(&self) -> Key {
        keys::debt(&self.wallet)
    }

    fn indexes(&self) -> Indexes {
        let id = SettlementId::Debt(self.wallet);
        Indexes { due: self.due.map(|at| keys::due(id, at)), ..Indexes::default() }
    }
}

/// How far the watcher has read a wallet's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CursorRow {
    pub wallet: Wallet,
    pub rev: u64,
    /// The newest finalized transaction that has been booked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<TxSignature>,
    /// Everything up to this slot has been read.
    pub slot: u64,
    /// The block time up to which everything has been read, in ms.
    pub time: i64,
}

impl Entity for CursorRow {
    fn key(&self) -> Key {
        keys::cursor(&self.wallet)
    }
}
