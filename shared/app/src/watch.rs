//! Reads the escrow wallet's finalized history forward and books what came in: payments whose call
//! never came are accepted, and what pays nothing is recorded as a stray.

use framefair_chain::{ChainError, Commitment, Seen, UNSUPPORTED_VERSION};
use framefair_domain::id::JobId;
use framefair_domain::job::State;
use framefair_domain::money::Lamports;
use framefair_domain::payment::{Facts, MEMO_PREFIX};
use framefair_domain::settlement::{Inflow, REFUND_MIN};
use framefair_domain::time::Timestamp;
use framefair_domain::wallet::{TxSignature, Wallet};
use framefair_store::rows::{CursorRow, Inbound, InflowRow, MarketJob};
use framefair_store::{Check, TransactFailed, When, Write, WriteFailed, keys};

use crate::{Call, Ctx, Refusal, market, settlement};

/// A transfer to escrow with this memo is given for good: it becomes float.
pub const GIFT_MEMO: &str = "framefair:donation";
/// A transfer that names no job of ours goes back from here on; the fee would eat what is below.
const STRAY_MIN: Lamports = Lamports(20_000);
/// Transactions asked for in one look.
const PAGE: usize = 1_000;
/// After so many the cursor moves on.
const BOOKED_TOGETHER: usize = 50;

/// Books everything since the last look, and says how many inflows were new.
pub async fn watch(ctx: &Ctx, call: &Call) -> Result<usize, Refusal> {
    let escrow = ctx.platform.escrow;
    let known = ctx.store.get::<CursorRow>(&keys::cursor(&escrow)).await?;
    let until = known.as_ref().and_then(|cursor| cursor.until);
    let seen = since(ctx, until).await?;
    let (mut booked, mut rev) = (0, known.map_or(0, |cursor| cursor.rev));
    let mut is_behind = false;
    // Oldest first, so that the cursor never passes what is not booked; and not all at once, so that strangers
    // cannot keep it where it is by what costs more than one look.
    for some in seen.rchunks(BOOKED_TOGETHER) {
        for transaction in some.iter().rev() {
            booked += usize::from(book(ctx, call, transaction).await?);
        }
        let Some(newest) = some.first() else { break };
        let cursor = CursorRow {
            wallet: escrow,
            rev: rev + 1,
            until: Some(newest.signature),
            slot: newest.slot,
            time: newest.block_time.map_or(0, |time| time.0),
        };
        let when = if rev > 0 { When::Rev(rev) } else { When::Absent };
        if is_behind {
            continue;
        }
        match ctx.store.write(Write::put(&cursor, when)).await {
            Ok(()) => rev += 1,
            // Somebody else moves it now, who need not have booked what follows: whoever asked for this look
            // relies on all of it.
            Err(WriteFailed::Condition) => is_behind = true,
            Err(other) => return Err(other.into()),
        }
    }
    Ok(booked)
}

/// Books everything, and says of which block time everything older is booked now.
pub(crate) async fn watch_until(ctx: &Ctx, call: &Call) -> Result<Timestamp, Refusal> {
    let slot = ctx.chain.slot(Commitment::Finalized).await?;
    let time = ctx.chain.block_time(slot).await?;
    watch(ctx, call).await?;
    Ok(time.unwrap_or_default())
}

/// Everything newer than `until`, newest first.
pub(crate) async fn since(ctx: &Ctx, until: Option<TxSignature>) -> Result<Vec<Seen>, Refusal> {
    let mut seen: Vec<Seen> = Vec::new();
    loop {
        let before = seen.last().map(|last| last.signature);
        let page = ctx.chain.signatures_of(&ctx.platform.escrow, before, until, PAGE).await?;
        let more = page.len() == PAGE;
        seen.extend(page);
        if !more {
            return Ok(seen);
        }
    }
}

/// Books one transaction if it brought money that is not booked yet.
async fn book(ctx: &Ctx, call: &Call, seen: &Seen) -> Result<bool, Refusal> {
    if seen.error.is_some() {
        return Ok(false);
    }
    let facts = match ctx.chain.facts(&seen.signature, Commitment::Finalized).await {
        // It must not keep what comes after it from being booked; the audit will name it.
        Err(ChainError::Rpc { code: UNSUPPORTED_VERSION, .. }) => {
            tracing::error!(signature = %seen.signature, "Escrow is in a transaction of a newer format");
            return Ok(false);
        }
        facts => facts?.ok_or(Refusal::ChainUnreachable)?,
    };
    let Some(gained) = gained(&facts, &ctx.platform.escrow) else { return Ok(false) };
    let job = match job_of(&facts) {
        Some(job) => ctx.market_job(job).await?,
        None => None,
    };
    if let Some(entry) = ctx.store.get::<InflowRow>(&keys::inflow(&facts.signature)).await? {
        return came_back(ctx, call, entry, job).await;
    }
    let pays = job.as_ref().filter(|job| job.state == State::AwaitingPayment);
    if let Some(job) = pays {
        match market::accept(ctx, call, job.clone(), &facts).await {
            Ok(_) => return Ok(true),
            Err(Refusal::Payment(why)) => {
                tracing::info!(signature = %facts.signature, %why, "A payment does not pay its job");
            }
            Err(Refusal::SignatureUsed | Refusal::NotPayable(_)) => {}
            Err(other) => return Err(other),
        }
    }
    let gift = facts.memos.iter().any(|memo| memo == GIFT_MEMO);
    let least = if job.is_some() { REFUND_MIN } else { STRAY_MIN };
    let row = InflowRow {
        signature: facts.signature,
        kind: if gift { Inbound::Float } else { Inbound::Stray },
        job: job_of(&facts),
        back_to: if gift { None } else { sole_source(ctx, &facts, gained, least) },
        slot: facts.slot,
        lamports: gained,
    };
    let booked = owe_back(ctx, call, &row, Write::put(&row, When::Absent)).await?;
    if booked {
        let (signature, lamports) = (row.signature, row.lamports.0);
        tracing::warn!(%signature, lamports, kind = ?row.kind, back_to = ?row.back_to, "Money came in that pays no quote");
    }
    Ok(booked)
}

/// A payment that was given up for vanished and stands on chain after all goes back.
async fn came_back(
    ctx: &Ctx,
    call: &Call,
    entry: InflowRow,
    job: Option<MarketJob>,
) -> Result<bool, Refusal> {
    let reverted = job.filter(|job| {
        entry.kind == Inbound::Payment
            && entry.job == Some(job.id)
            && job.deal.inflow == Inflow::Reverted
    });
    let Some(job) = reverted else { return Ok(false) };
    tracing::error!(job = %job.id, signature = %entry.signature, "A vanished payment is back");
    let row = InflowRow { kind: Inbound::Stray, back_to: Some(job.deal.client), ..entry };
    // Only one that is still booked as a payment: its debt arises once.
    let unchanged =
        Write::put(&row, When::Present).require(Check::equals("kind", Inbound::Payment));
    owe_back(ctx, call, &row, unchanged).await
}

/// Writes an inflow down, together with the debt of its return.
async fn owe_back(ctx: &Ctx, call: &Call, row: &InflowRow, entry: Write) -> Result<bool, Refusal> {
    let Some(wallet) = row.back_to else {
        return match ctx.store.write(entry).await {
            Ok(()) => Ok(true),
            Err(WriteFailed::Condition) => Ok(false),
            Err(other) => Err(other.into()),
        };
    };
    let mut writes = settlement::owe(ctx, call, &[(wallet, row.lamports)]).await?;
    writes.insert(0, entry);
    match ctx.store.transact(writes).await {
        Ok(()) => {}
        // The entry stands already. That a debt was overtaken is for the next look.
        Err(TransactFailed::Conditions(failed)) if failed.contains(&0) => return Ok(false),
        Err(TransactFailed::Conditions(_)) => return Err(Refusal::Busy),
        Err(other) => return Err(other.into()),
    }
    ctx.settle(wallet).await;
    Ok(true)
}

/// Whom an inflow can go back to: the one wallet whose plain transfers it consists of. Only the
/// System program's own accounts can send those.
fn sole_source(ctx: &Ctx, facts: &Facts, gained: Lamports, least: Lamports) -> Option<Wallet> {
    let mut ours = facts.transfers.iter().filter(|transfer| transfer.to == ctx.platform.escrow);
    let source = ours.next()?.from;
    let sent: u128 = facts
        .transfers
        .iter()
        .filter(|transfer| transfer.to == ctx.platform.escrow)
        .map(|transfer| u128::from(transfer.lamports.0))
        .sum();
    let sole = ours.all(|transfer| transfer.from == source) && source != ctx.platform.escrow;
    (sole && gained >= least && sent == u128::from(gained.0)).then_some(source)
}

/// Books a transaction as the operator's own funds, also where it was taken for a stray before.
pub async fn book_float(ctx: &Ctx, call: &Call, signature: &TxSignature) -> Result<(), Refusal> {
    let facts = ctx.chain.facts(signature, Commitment::Confirmed).await?;
    let facts = facts.ok_or(Refusal::PaymentUnseen)?;
    let lamports = gained(&facts, &ctx.platform.escrow).unwrap_or_default();
    let (signature, slot) = (facts.signature, facts.slot);
    let kind = Inbound::Float;
    let row = InflowRow { signature, kind, job: None, back_to: None, slot, lamports };
    tracing::info!(%signature, lamports = lamports.0, at = call.now.0, "Booked the operator's float");
    match ctx.store.write(Write::put(&row, When::Absent)).await {
        Ok(()) => return Ok(()),
        Err(WriteFailed::Condition) => {}
        Err(other) => return Err(other.into()),
    }
    let entry = ctx.store.get::<InflowRow>(&keys::inflow(&signature)).await?;
    match entry.map(|entry| (entry.kind, entry.job, entry.back_to)) {
        // What is owed back is on its way to whom it came from.
        Some((Inbound::Stray, None, None)) => {
            Ok(ctx.store.write(Write::put(&row, When::Present)).await?)
        }
        Some((Inbound::Float, ..)) => Ok(()),
        _ => Err(Refusal::SignatureUsed),
    }
}

/// What `wallet` gained by it, when it gained.
pub(crate) fn gained(facts: &Facts, wallet: &Wallet) -> Option<Lamports> {
    let delta = facts.deltas.iter().find(|(known, _)| known == wallet)?.1;
    u64::try_from(delta).ok().filter(|lamports| *lamports > 0).map(Lamports)
}

/// Which job its memo names.
pub(crate) fn job_of(facts: &Facts) -> Option<JobId> {
    facts.memos.iter().find_map(|memo| memo.strip_prefix(MEMO_PREFIX)?.parse().ok())
}
