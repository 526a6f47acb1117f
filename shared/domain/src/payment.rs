//! Whether a transaction pays a quote. Works on facts that `chain` has read; knows no RPC.

use crate::id::JobId;
use crate::money::Lamports;
use crate::time::{SECOND_MS, Timestamp};
use crate::wallet::{TxSignature, Wallet};

/// Every memo that begins so speaks to us; exactly one may.
pub const MEMO_PREFIX: &str = "rayment:";
/// A block's clock may run behind ours by this much when the quote is fresh.
pub const WINDOW_BEFORE_MS: i64 = 30 * SECOND_MS;
/// A payment sent in the last second of the quote still lands.
pub const WINDOW_AFTER_MS: i64 = 120 * SECOND_MS;

/// What one confirmed transaction did, normalised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    pub signature: TxSignature,
    pub slot: u64,
    /// The block's own time; a node that has none for it leaves the slot's estimate here.
    pub block_time: Option<Timestamp>,
    /// The chain's word for why it failed, when it did. A failed transaction moved nothing but its fee.
    pub error: Option<String>,
    /// System transfers of the outermost instructions, in order. Transfers made inside programs
    /// are not here on purpose.
    pub transfers: Vec<Transfer>,
    /// Data of every outermost memo instruction, as UTF-8; not from logs.
    pub memos: Vec<String>,
    /// How each account's balance changed over the whole transaction, in lamports.
    pub deltas: Vec<(Wallet, i128)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    pub from: Wallet,
    pub to: Wallet,
    pub lamports: Lamports,
}

/// What a quote asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    pub job: JobId,
    pub client: Wallet,
    pub pay_to: Wallet,
    pub lamports: Lamports,
    pub created: Timestamp,
    pub expires: Timestamp,
}

impl Terms {
    pub fn memo(&self) -> String {
        memo(self.job)
    }
}

/// The memo that binds a payment to a job.
pub fn memo(job: JobId) -> String {
    format!("{MEMO_PREFIX}{job}")
}

/// A payment that pays its quote, in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    pub paid: Lamports,
    /// What was sent beyond the price; goes back with the settlement.
    pub excess: Lamports,
}

/// Why a transaction does not pay a quote, in the order in which the reasons are looked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PaymentRefused {
    #[error("The transaction failed on chain ({0}); nothing was paid. Send a new payment.")]
    TxFailed(String),
    #[error(
        "The transaction must carry exactly one memo that begins with `rayment:`, and it must be the quote's."
    )]
    MemoMismatch,
    #[error("The transaction has no top-level System transfer to the quote's payTo wallet.")]
    WrongRecipient,
    #[error("The transfer's source is not the job's clientWallet.")]
    WrongPayer,
    #[error("The payment of {paid} is below the price of {price}.")]
    Underpaid { paid: Lamports, price: Lamports },
    #[error("The payment's block time lies outside the quote's window.")]
    OutsideWindow,
}

/// Checks every rule that can be decided from the transaction and the quote alone.
pub fn check(facts: &Facts, terms: &Terms) -> Result<Accepted, PaymentRefused> {
    if let Some(error) = &facts.error {
        return Err(PaymentRefused::TxFailed(error.clone()));
    }
    let mut ours = facts.memos.iter().filter(|memo| memo.starts_with(MEMO_PREFIX));
    if ours.next() != Some(&terms.memo()) || ours.next().is_some() {
        return Err(PaymentRefused::MemoMismatch);
    }
    let paid = paid_by_client(facts, terms)?;
    let Some(excess) = paid.checked_sub(terms.lamports) else {
        return Err(PaymentRefused::Underpaid { paid, price: terms.lamports });
    };
    let first = terms.created.plus_ms(-WINDOW_BEFORE_MS);
    let last = terms.expires.plus_ms(WINDOW_AFTER_MS);
    match facts.block_time {
        Some(time) if time >= first && time <= last => Ok(Accepted { paid, excess }),
        _ => Err(PaymentRefused::OutsideWindow),
    }
}

/// The client's top-level transfers to the recipient, believed only as far as the recipient's
/// balance really rose.
fn paid_by_client(facts: &Facts, terms: &Terms) -> Result<Lamports, PaymentRefused> {
    let to_us = || facts.transfers.iter().filter(|transfer| transfer.to == terms.pay_to);
    if to_us().next().is_none() {
        return Err(PaymentRefused::WrongRecipient);
    }
    // A payer that is the recipient moves nothing.
    if terms.client == terms.pay_to || to_us().all(|transfer| transfer.from != terms.client) {
        return Err(PaymentRefused::WrongPayer);
    }
    let sent: u128 = to_us()
        .filter(|transfer| transfer.from == terms.client)
        .map(|transfer| u128::from(transfer.lamports.0))
        .sum();
    let risen =
        facts.deltas.iter().find(|(wallet, _)| *wallet == terms.pay_to).map_or(0, |delta| delta.1);
    let risen = u128::try_from(risen).unwrap_or(0);
    // What others added in the same transaction is the client's too, once its own part covers the
    // price: every lamport that came in must be somebody's.
    let covered = sent.min(risen) >= u128::from(terms.lamports.0);
    let paid = if covered { risen } else { sent.min(risen) };
    Ok(Lamports(u64::try_from(paid).unwrap_or(u64::MAX)))
}
