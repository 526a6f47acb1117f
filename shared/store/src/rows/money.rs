//! What came into escrow and what left it, one item per transaction.

use framefair_domain::id::JobId;
use framefair_domain::money::Lamports;
use framefair_domain::wallet::{TxSignature, Wallet};
use serde::{Deserialize, Serialize};

use crate::{Entity, Key, keys};

/// Why money came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Inbound {
    /// It pays a quote; `job` says which.
    Payment,
    /// The operator's own funds.
    Float,
    /// It pays nothing we asked for; it goes back, or an operator looks.
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
    pub job: JobId,
    pub n: u32,
    pub slot: u64,
    pub lamports: Lamports,
}

impl Entity for OutflowRow {
    fn key(&self) -> Key {
        keys::outflow(&self.signature)
    }
}

/// A signed transaction, stored before it is sent; exactly these bytes may leave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedOutRow {
    pub job: JobId,
    pub n: u32,
    pub signature: TxSignature,
    /// The wire form.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
    /// The client's excess is not in it: its wallet could not take so little.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub excess_held: bool,
    pub last_valid: u64,
    pub min_slot: u64,
}

impl Entity for SignedOutRow {
    fn key(&self) -> Key {
        keys::signed_out(self.job, self.n)
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
