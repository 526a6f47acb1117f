//! One transaction of a settlement at a time: signed, stored, sent, followed to its end.

use framefair_chain::{
    Commitment, Fate, Order, PRICE_MAX, RENT_EXEMPT_MIN, Sent, UNITS_MAX, check_out, memo_out,
};
use framefair_domain::money::Lamports;
use framefair_domain::settlement::{Event, Inflow, Leg, LegKind, Outflow, Plan, next};
use framefair_domain::time::{MINUTE_MS, SECOND_MS};
use framefair_domain::wallet::Wallet;
use framefair_store::rows::{JobRow, OutflowRow, SignedOutRow};
use framefair_store::{TransactFailed, When, Write, WriteFailed, keys};

use super::advance::{Advanced, SOON, Signers};
use crate::statistics::Count;
use crate::write::replace;
use crate::{Broken, Call, Ctx, Refusal, sweep};

const WHEN_RPC_IS_BACK_MS: i64 = 10 * SECOND_MS;
/// A payout too small to open its owner's wallet waits this long between looks.
const WHEN_WALLET_IS_OPEN_MS: i64 = 10 * MINUTE_MS;
/// And one that escrow or gas cannot pay for, this long.
const WHEN_FUNDED_MS: i64 = MINUTE_MS;
/// Two signatures, and all compute units at the highest price that we bid.
const FEE_MAX: u64 = 2 * 5_000 + UNITS_MAX as u64 * PRICE_MAX / 1_000_000;

/// Signs transaction `after + 1` and stores it; whoever stores first wins, and what is stored is
/// what is sent.
pub(super) async fn sign(
    ctx: &Ctx,
    call: &Call,
    job: JobRow,
    plan: &Plan,
    signers: &Signers,
    after: u32,
) -> Result<Advanced, Refusal> {
    let Ok(Outflow::Signed(n)) = next(job.inflow, Outflow::Owed, after, Event::Sign) else {
        tracing::error!(job = %job.id, "Too many attempts to pay out: an operator must look");
        return close(ctx, call, job, Outflow::Parked).await;
    };
    let excess_held = match deliverable(ctx, plan).await? {
        Deliverable::All => false,
        Deliverable::WithoutExcess => true,
        Deliverable::NotYet => return put_off(ctx, call, job, WHEN_WALLET_IS_OPEN_MS).await,
    };
    let legs = legs(plan, excess_held);
    if !funded(ctx, signers, sum(&legs)).await? {
        tracing::error!(job = %job.id, "Escrow or gas is short: nothing leaves until it is funded");
        return put_off(ctx, call, job, WHEN_FUNDED_MS).await;
    }
    let order = Order { settlement: job.id, attempt: n, legs: &legs };
    let out = ctx.chain.sign_out(&order, &signers.escrow, &signers.gas).await?;
    let row = SignedOutRow {
        job: job.id,
        n,
        signature: out.signature,
        bytes: out.bytes,
        excess_held,
        last_valid: out.last_valid_block_height,
        min_slot: out.min_slot,
    };
    match ctx.store.write(Write::put(&row, When::Absent)).await {
        Ok(()) | Err(WriteFailed::Condition) => {}
        Err(other) => return Err(other.into()),
    }
    let stored = ctx.store.get::<SignedOutRow>(&keys::signed_out(job.id, n)).await?;
    let stored = stored.ok_or_else(|| Broken(format!("a stored payout of {} is gone", job.id)))?;
    send(ctx, &stored, plan, signers).await?;
    Ok(SOON)
}

async fn send(
    ctx: &Ctx,
    stored: &SignedOutRow,
    plan: &Plan,
    signers: &Signers,
) -> Result<(), Refusal> {
    let legs = legs(plan, stored.excess_held);
    let order = Order { settlement: stored.job, attempt: stored.n, legs: &legs };
    check_out(&stored.bytes, &order, &signers.escrow.wallet(), &signers.gas.wallet())
        .map_err(|refused| Broken(format!("a stored payout of {}: {refused}", stored.job)))?;
    if let Err(error) = ctx.chain.send(&stored.bytes).await {
        tracing::debug!(job = %stored.job, n = stored.n, %error, "Sending said no, which means nothing");
    }
    Ok(())
}

/// Follows the last stored transaction to its end.
pub(super) async fn follow(
    ctx: &Ctx,
    call: &Call,
    job: JobRow,
    plan: &Plan,
    signers: &Signers,
    last: &SignedOutRow,
) -> Result<Advanced, Refusal> {
    let sent = Sent {
        signature: last.signature,
        last_valid_block_height: last.last_valid,
        min_slot: last.min_slot,
        memo: memo_out(job.id, last.n),
    };
    let event = match ctx.chain.fate(&sent, &signers.escrow.wallet()).await? {
        Fate::Unseen => {
            send(ctx, last, plan, signers).await?;
            return Ok(SOON);
        }
        Fate::Processing | Fate::Confirmed { .. } => return Ok(SOON),
        Fate::Finalized { slot } => return settled(ctx, call, job, plan, last, slot).await,
        Fate::FailedOnChain { error, .. } => {
            tracing::error!(job = %job.id, n = last.n, error, "A payout failed on chain");
            Event::FailedOnChain
        }
        Fate::Expired => {
            tracing::warn!(job = %job.id, n = last.n, "A payout expired and is signed anew");
            Event::Expired
        }
        Fate::Unknowable(why) => {
            tracing::warn!(job = %job.id, n = last.n, why, "The fate of a payout cannot be known yet");
            return put_off(ctx, call, job, WHEN_RPC_IS_BACK_MS).await;
        }
    };
    let owed = next(Inflow::Final, Outflow::Signed(last.n), last.n, event)
        .and_then(|ended| next(Inflow::Final, ended, last.n, Event::OweAgain));
    match owed {
        Ok(_) => sign(ctx, call, job, plan, signers, last.n).await,
        Err(refused) => Err(Broken(refused.to_string()).into()),
    }
}

/// The end: the ledger entry and the job in one write, and the job needs no more attention.
async fn settled(
    ctx: &Ctx,
    call: &Call,
    mut job: JobRow,
    plan: &Plan,
    last: &SignedOutRow,
    slot: u64,
) -> Result<Advanced, Refusal> {
    let outflow = next(Inflow::Final, Outflow::Signed(last.n), last.n, Event::Finalized);
    job.outflow = outflow.map_err(|refused| Broken(refused.to_string()))?;
    job.due = None;
    job.out_tx = Some(last.signature);
    job.excess_held = last.excess_held;
    let lamports = sum(&legs(plan, last.excess_held));
    let entry = OutflowRow { signature: last.signature, job: job.id, n: last.n, slot, lamports };
    let writes = vec![Write::put(&entry, When::Absent), replace(&mut job)];
    match ctx.store.transact(writes).await {
        Ok(()) => {}
        Err(TransactFailed::Conditions(_)) => return Ok(SOON),
        Err(other) => return Err(other.into()),
    }
    tracing::info!(job = %job.id, lamports = lamports.0, at = call.now.0, "Settled a job");
    count_refund(ctx, &job, last, plan).await;
    Ok(Advanced::Nothing)
}

/// Ends a settlement that sends nothing: there is nothing to send, or an operator must look.
pub(super) async fn close(
    ctx: &Ctx,
    call: &Call,
    mut job: JobRow,
    outflow: Outflow,
) -> Result<Advanced, Refusal> {
    job.outflow = outflow;
    job.due = None;
    tracing::info!(job = %job.id, ?outflow, at = call.now.0, "Closed a settlement");
    Ok(if ctx.save(&mut job).await?.is_ok() { Advanced::Nothing } else { SOON })
}

/// What goes back to the client leaves the platform's volume.
async fn count_refund(ctx: &Ctx, job: &JobRow, last: &SignedOutRow, plan: &Plan) {
    // By kind, not by wallet: a provider may buy from itself.
    let back = sent(plan, last.excess_held).filter(|leg| leg.kind != LegKind::Payout);
    let lamports = -i64::try_from(back.map(|leg| leg.lamports.0).sum::<u64>()).unwrap_or(0);
    if lamports != 0 {
        tracing::info!(job = %job.id, signature = %last.signature, lamports, "Returned money to the client");
        ctx.count(Some(job.id), Count { lamports, ..Count::default() }).await;
    }
}

/// Has the sweeper come back later.
async fn put_off(ctx: &Ctx, call: &Call, job: JobRow, ms: i64) -> Result<Advanced, Refusal> {
    sweep::redate(ctx, job, call.now.plus_ms(ms)).await?;
    Ok(Advanced::Nothing)
}

/// Attempts are counted, so none is spent on what cannot land.
async fn funded(ctx: &Ctx, signers: &Signers, sum: Lamports) -> Result<bool, Refusal> {
    let (escrow, gas) = (signers.escrow.wallet(), signers.gas.wallet());
    let (escrow, gas) = tokio::try_join!(
        ctx.chain.balance(&escrow, Commitment::Confirmed),
        ctx.chain.balance(&gas, Commitment::Confirmed),
    )?;
    // A wallet holds nothing at all, or the rent-exempt minimum.
    let escrow_left = escrow.0.checked_sub(sum.0);
    let stays = escrow_left.is_some_and(|left| left == 0 || left >= RENT_EXEMPT_MIN);
    Ok(stays && gas.0 >= RENT_EXEMPT_MIN + FEE_MAX)
}

enum Deliverable {
    All,
    /// The excess is too small for the client's empty wallet; it must not keep the rest waiting.
    WithoutExcess,
    NotYet,
}

/// A transfer that leaves a new wallet under the rent-exempt minimum fails the whole transaction.
async fn deliverable(ctx: &Ctx, plan: &Plan) -> Result<Deliverable, Refusal> {
    let mut excess_held = false;
    for leg in plan.legs.iter().filter(|leg| leg.lamports < Lamports(RENT_EXEMPT_MIN)) {
        let has = ctx.chain.balance(&leg.to, Commitment::Finalized).await?;
        if has.0.saturating_add(leg.lamports.0) >= RENT_EXEMPT_MIN {
            continue;
        }
        match leg.kind {
            LegKind::Excess => excess_held = true,
            LegKind::Payout | LegKind::Refund => return Ok(Deliverable::NotYet),
        }
    }
    let nothing_else = plan.legs.iter().all(|leg| leg.kind == LegKind::Excess);
    Ok(match excess_held {
        false => Deliverable::All,
        true if nothing_else => Deliverable::NotYet,
        true => Deliverable::WithoutExcess,
    })
}

fn sent(plan: &Plan, excess_held: bool) -> impl Iterator<Item = &Leg> {
    plan.legs.iter().filter(move |leg| !(excess_held && leg.kind == LegKind::Excess))
}

fn legs(plan: &Plan, excess_held: bool) -> Vec<(Wallet, Lamports)> {
    sent(plan, excess_held).map(|leg| (leg.to, leg.lamports)).collect()
}

fn sum(legs: &[(Wallet, Lamports)]) -> Lamports {
    Lamports(legs.iter().map(|(_, lamports)| lamports.0).sum())
}
