//! One step of one settlement: look at what is true on chain and in the table, and do what follows.
//! Safe to run twice, at once, and after a crash at any point.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use framefair_chain::{Commitment, Fate, RENT_EXEMPT_MIN, Sent, Signer, check_out, memo_out};
use framefair_domain::id::JobId;
use framefair_domain::job::Event as JobEvent;
use framefair_domain::money::Lamports;
use framefair_domain::settlement::{Event, Inflow, Outflow, Plan, next};
use framefair_domain::time::{MINUTE_MS, SECOND_MS};
use framefair_domain::wallet::{TxSignature, Wallet};
use framefair_store::rows::{JobRow, OutflowRow, Payment, SignedOutRow};
use framefair_store::{TransactFailed, When, Write, WriteFailed, keys};

use crate::statistics::Count;
use crate::write::{replace, step};
use crate::{Broken, Call, Ctx, Refusal, delivery, sweep};

/// The keys that may move money out. Held by the payouts worker alone.
#[derive(Debug)]
pub struct Signers {
    pub escrow: Signer,
    pub gas: Signer,
}

/// What is left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advanced {
    Nothing,
    /// Look again after this many milliseconds.
    Later(i64),
}

const SOON: Advanced = Advanced::Later(2 * SECOND_MS);
const WHEN_RPC_IS_BACK_MS: i64 = 10 * SECOND_MS;
/// A payout too small to open its owner's wallet waits this long between looks.
const WHEN_WALLET_IS_OPEN_MS: i64 = 10 * MINUTE_MS;
/// A payment that is gone for this many finalized slots can never come back: its blockhash was
/// valid for 150 blocks, and this leaves room for skipped slots.
const VANISHED_AFTER_SLOTS: u64 = 600;

pub async fn advance(
    ctx: &Ctx,
    call: &Call,
    signers: &Signers,
    id: JobId,
) -> Result<Advanced, Refusal> {
    let (mut job, signed) = read(ctx, id).await?;
    let Some(payment) = job.payment.clone() else { return Ok(Advanced::Nothing) };
    if matches!(job.outflow, Outflow::Settled | Outflow::Parked) {
        return Ok(Advanced::Nothing);
    }
    if job.inflow == Inflow::Confirmed {
        match finality(ctx, &job, &payment).await? {
            Finality::Final => job.inflow = Inflow::Final,
            Finality::NotYet => return Ok(SOON),
            Finality::Vanished => return revert(ctx, call, job).await,
        }
    }
    let (Inflow::Final, Some(plan)) = (job.inflow, job.plan.clone()) else {
        return Ok(Advanced::Nothing);
    };
    if plan.legs.is_empty() {
        return settled(ctx, call, job, &plan, None).await;
    }
    let Some(last) = signed.last() else {
        return sign(ctx, call, &job, &plan, signers, 0).await;
    };
    follow(ctx, call, job, &plan, signers, last).await
}

async fn read(ctx: &Ctx, id: JobId) -> Result<(JobRow, Vec<SignedOutRow>), Refusal> {
    let (mut job, mut signed) = (None, Vec::new());
    for item in ctx.store.partition(&keys::job_partition(id)).await? {
        if item.sk() == "JOB" {
            job = Some(item.decode::<JobRow>()?);
        } else if item.sk().starts_with(keys::SIGNED_OUT) {
            signed.push(item.decode::<SignedOutRow>()?);
        }
    }
    signed.sort_by_key(|row| row.n);
    Ok((job.ok_or(Refusal::NotFound)?, signed))
}

enum Finality {
    Final,
    NotYet,
    Vanished,
}

async fn finality(ctx: &Ctx, job: &JobRow, payment: &Payment) -> Result<Finality, Refusal> {
    let (finalized_slot, facts) = tokio::try_join!(
        ctx.chain.slot(Commitment::Finalized),
        ctx.chain.facts(&payment.signature, Commitment::Finalized),
    )?;
    if let Some(facts) = facts {
        // A fork may have landed it again elsewhere; what counts is what is final.
        let paid = framefair_domain::payment::check(&facts, &job.terms());
        let same = paid.is_ok_and(|accepted| accepted.paid == payment.lamports);
        return Ok(if same { Finality::Final } else { Finality::Vanished });
    }
    if finalized_slot <= payment.slot.saturating_add(VANISHED_AFTER_SLOTS) {
        return Ok(Finality::NotYet);
    }
    // Gone from the finalized view, and also not on its way back in.
    let confirmed = ctx.chain.facts(&payment.signature, Commitment::Confirmed).await?;
    Ok(if confirmed.is_none() { Finality::Vanished } else { Finality::NotYet })
}

/// The payment is gone: work stops, nobody is paid, nothing is refunded. A job that was completed
/// stays so, with its result withheld.
async fn revert(ctx: &Ctx, call: &Call, mut job: JobRow) -> Result<Advanced, Refusal> {
    let holder = job.task.lease;
    job.inflow = Inflow::Reverted;
    job.due = None;
    let effects = step(&mut job, JobEvent::PaymentReverted, call.now).unwrap_or(&[]);
    if job.error.is_none() && !effects.is_empty() {
        job.error = Some("The payment vanished from the chain".into());
    }
    tracing::error!(job = %job.id, state = ?job.state, "A confirmed payment vanished");
    if ctx.save(&mut job).await?.is_err() {
        return Ok(SOON);
    }
    if let Some(lease) = holder {
        delivery::release(ctx, call, lease.node, job.id).await;
    }
    Ok(Advanced::Nothing)
}

/// Signs transaction `after + 1` and stores it; whoever stores first wins, and what is stored is
/// what is sent.
async fn sign(
    ctx: &Ctx,
    call: &Call,
    job: &JobRow,
    plan: &Plan,
    signers: &Signers,
    after: u32,
) -> Result<Advanced, Refusal> {
    if next(job.inflow, Outflow::Owed, after, Event::Sign).is_err() {
        return park(ctx, job.clone(), "too many attempts to pay out").await;
    }
    if opens_a_wallet_too_small(ctx, plan).await? {
        return put_off(ctx, call, job.clone(), WHEN_WALLET_IS_OPEN_MS).await;
    }
    let legs = legs(plan);
    let n = after + 1;
    let order = framefair_chain::Order { settlement: job.id, attempt: n, legs: &legs };
    let out = ctx.chain.sign_out(&order, &signers.escrow, &signers.gas).await?;
    let row = SignedOutRow {
        job: job.id,
        n,
        signature: out.signature,
        bytes: BASE64.encode(&out.bytes),
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
    let bytes = BASE64.decode(&stored.bytes).map_err(|e| Broken(e.to_string()))?;
    let legs = legs(plan);
    let order = framefair_chain::Order { settlement: stored.job, attempt: stored.n, legs: &legs };
    check_out(&bytes, &order, &signers.escrow.wallet(), &signers.gas.wallet())
        .map_err(|refused| Broken(format!("a stored payout of {}: {refused}", stored.job)))?;
    if let Err(error) = ctx.chain.send(&bytes).await {
        tracing::debug!(job = %stored.job, n = stored.n, %error, "Sending said no, which means nothing");
    }
    Ok(())
}

/// Follows the last stored transaction to its end.
async fn follow(
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
    match ctx.chain.fate(&sent, &signers.escrow.wallet()).await? {
        Fate::Unseen => {
            send(ctx, last, plan, signers).await?;
            Ok(SOON)
        }
        Fate::Processing | Fate::Confirmed { .. } => Ok(SOON),
        Fate::Finalized { slot } => {
            settled(ctx, call, job, plan, Some((last.n, last.signature, slot))).await
        }
        Fate::FailedOnChain { error, .. } => {
            tracing::error!(job = %job.id, n = last.n, error, "A payout failed on chain");
            sign(ctx, call, &job, plan, signers, last.n).await
        }
        Fate::Expired => {
            tracing::warn!(job = %job.id, n = last.n, "A payout expired and is signed anew");
            sign(ctx, call, &job, plan, signers, last.n).await
        }
        Fate::Unknowable(why) => {
            tracing::warn!(job = %job.id, n = last.n, why, "The fate of a payout cannot be known yet");
            put_off(ctx, call, job, WHEN_RPC_IS_BACK_MS).await
        }
    }
}

/// The end: the ledger entry and the job in one write, and the job needs no more attention.
async fn settled(
    ctx: &Ctx,
    call: &Call,
    mut job: JobRow,
    plan: &Plan,
    out: Option<(u32, TxSignature, u64)>,
) -> Result<Advanced, Refusal> {
    job.outflow = Outflow::Settled;
    job.due = None;
    let mut writes = Vec::new();
    if let Some((n, signature, slot)) = out {
        job.out_tx = Some(signature);
        let entry = OutflowRow { signature, job: job.id, n, slot, lamports: plan.sent() };
        writes.push(Write::put(&entry, When::Absent));
    }
    writes.push(replace(&mut job));
    match ctx.store.transact(writes).await {
        Ok(()) => {}
        Err(TransactFailed::Conditions(_)) => return Ok(SOON),
        Err(other) => return Err(other.into()),
    }
    tracing::info!(job = %job.id, lamports = plan.sent().0, at = call.now.0, "Settled a job");
    let refunded: u64 =
        plan.legs.iter().filter(|leg| leg.to == job.client).map(|leg| leg.lamports.0).sum();
    let lamports = -i64::try_from(refunded).unwrap_or(0);
    if lamports != 0 {
        ctx.count(Some(job.id), Count { lamports, ..Count::default() }).await;
    }
    Ok(Advanced::Nothing)
}

/// Has the sweeper come back later.
async fn put_off(ctx: &Ctx, call: &Call, job: JobRow, ms: i64) -> Result<Advanced, Refusal> {
    sweep::redate(ctx, job, call.now.plus_ms(ms)).await?;
    Ok(Advanced::Nothing)
}

async fn park(ctx: &Ctx, mut job: JobRow, why: &str) -> Result<Advanced, Refusal> {
    tracing::error!(job = %job.id, why, "A settlement is parked for an operator");
    job.outflow = Outflow::Parked;
    let _ = ctx.save(&mut job).await?;
    Ok(Advanced::Nothing)
}

/// A transfer that leaves a new wallet under the rent-exempt minimum fails the whole transaction.
async fn opens_a_wallet_too_small(ctx: &Ctx, plan: &Plan) -> Result<bool, Refusal> {
    for leg in plan.legs.iter().filter(|leg| leg.lamports < Lamports(RENT_EXEMPT_MIN)) {
        let has = ctx.chain.balance(&leg.to, Commitment::Finalized).await?;
        if has.0.saturating_add(leg.lamports.0) < RENT_EXEMPT_MIN {
            return Ok(true);
        }
    }
    Ok(false)
}

fn legs(plan: &Plan) -> Vec<(Wallet, Lamports)> {
    plan.legs.iter().map(|leg| (leg.to, leg.lamports)).collect()
}
