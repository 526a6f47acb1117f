//! A transaction is accepted as the payment of a job: verified first, then claimed and the job
//! moved in one write.

use std::time::Duration;

use framefair_chain::{ChainError, Commitment, UNSUPPORTED_VERSION};
use framefair_domain::id::JobId;
use framefair_domain::job::{Event, State};
use framefair_domain::payment::{self, Facts};
use framefair_domain::settlement::Inflow;
use framefair_domain::time::{SECOND_MS, Timestamp};
use framefair_domain::wallet::TxSignature;
use framefair_store::rows::{ClaimRow, Inbound, InflowRow, JobRow, Payment};
use framefair_store::{Queue, TransactFailed, When, Write, WriteFailed, keys};

use crate::statistics::Count;
use crate::write::{replace, step};
use crate::{Call, Ctx, Hint, Refusal, uploads, watch};

/// A payment that is not yet visible is looked for twice more: three looks in six seconds.
const LOOK_AGAIN: [Duration; 2] = [Duration::from_millis(1_500), Duration::from_millis(4_000)];
/// A call that waits is over after this, and the next may.
const WAITING_MS: i64 = 8 * SECOND_MS;

/// The job after its payment was accepted, now or before.
#[derive(Debug)]
pub struct Paid {
    pub job: JobRow,
}

/// Checks that `signature` pays `job`, and starts the job if so. Repeating it is harmless.
pub async fn pay(ctx: &Ctx, call: &mut Call, id: JobId, signature: &str) -> Result<Paid, Refusal> {
    let signature: TxSignature = signature.parse().map_err(|_| Refusal::NotATransaction)?;
    let job = ctx.store.get::<JobRow>(&keys::job(id)).await?.ok_or(Refusal::NotFound)?;
    if let Some(paid) = already_paid(&job, &signature)? {
        return Ok(paid);
    }
    let facts = look(ctx, &job, call, &signature).await?;
    match accept(ctx, call, job, &facts).await {
        Err(refused @ Refusal::Payment(_)) => Err(explained(ctx, id, &signature, refused).await?),
        answer => answer,
    }
}

/// The answer for a job that is past payment.
fn already_paid(job: &JobRow, signature: &TxSignature) -> Result<Option<Paid>, Refusal> {
    match &job.payment {
        Some(payment) if payment.signature == *signature => Ok(Some(Paid { job: job.clone() })),
        Some(_) => {
            Err(Refusal::NotPayable("this job is paid already, by another transaction".into()))
        }
        None if job.state == State::AwaitingPayment => Ok(None),
        None => Err(Refusal::NotPayable(
            "this job's quote is over; submit the scene again for a new one".into(),
        )),
    }
}

/// What the chain says of the transaction. For a live quote the first caller waits for it; others are
/// answered at once, so that nobody's invented signatures keep many functions waiting.
async fn look(
    ctx: &Ctx,
    job: &JobRow,
    call: &Call,
    signature: &TxSignature,
) -> Result<Facts, Refusal> {
    if let Some(facts) = seen(ctx, signature).await? {
        return Ok(facts);
    }
    let live = call.now <= job.expires.plus_ms(payment::WINDOW_AFTER_MS);
    if live && begin_to_wait(ctx, job.id, call.now).await? {
        for wait in LOOK_AGAIN {
            tokio::time::sleep(wait).await;
            if let Some(facts) = seen(ctx, signature).await? {
                return Ok(facts);
            }
        }
    }
    Err(Refusal::PaymentUnseen)
}

async fn seen(ctx: &Ctx, signature: &TxSignature) -> Result<Option<Facts>, Refusal> {
    match ctx.chain.facts(signature, Commitment::Confirmed).await {
        // It would be the same at every further look.
        Err(ChainError::Rpc { code: UNSUPPORTED_VERSION, .. }) => Err(Refusal::invalid(
            "a payment is a legacy or a version 0 transaction; this one is newer",
        )),
        facts => Ok(facts?),
    }
}

/// Whether nobody waits for a payment of this job already.
async fn begin_to_wait(ctx: &Ctx, job: JobId, now: Timestamp) -> Result<bool, Refusal> {
    let claim = ClaimRow {
        key: Some(keys::waiting_claim(job)),
        by: job.to_string(),
        until_s: Some(now.plus_ms(WAITING_MS).seconds()),
    };
    let when = When::AbsentOrExpired { now_s: now.seconds() };
    match ctx.store.write(Write::put(&claim, when)).await {
        Ok(()) => Ok(true),
        Err(WriteFailed::Condition) => Ok(false),
        Err(other) => Err(other.into()),
    }
}

/// Claims the transaction and moves the job, both or neither.
pub(crate) async fn accept(
    ctx: &Ctx,
    call: &Call,
    mut job: JobRow,
    facts: &Facts,
) -> Result<Paid, Refusal> {
    let accepted = payment::check(facts, &job.terms())?;
    // What else came in with it is excess, too: one transaction is one entry of the books.
    let lamports = watch::gained(facts, &job.pay_to).unwrap_or(accepted.paid);
    step(&mut job, Event::Paid, call.now)
        .map_err(|_| Refusal::NotPayable("this job does not await payment any more".into()))?;
    job.payment = Some(Payment {
        signature: facts.signature,
        slot: facts.slot,
        lamports,
        accepted: call.now,
    });
    job.inflow = Inflow::Confirmed;
    let claim = InflowRow {
        signature: facts.signature,
        kind: Inbound::Payment,
        job: Some(job.id),
        back_to: None,
        slot: facts.slot,
        lamports,
    };
    let id = job.id;
    match ctx.store.transact(vec![Write::put(&claim, When::Absent), replace(&mut job)]).await {
        Ok(()) => {}
        Err(TransactFailed::Conditions(_)) => {
            return overtaken(ctx, id, &facts.signature).await;
        }
        Err(other) => return Err(other.into()),
    }
    tracing::info!(job = %id, signature = %facts.signature, lamports = lamports.0, "Accepted a payment");
    ctx.hint(Queue::Dispatch, &Hint::about(id), 0).await;
    let lamports = i64::try_from(lamports.0).unwrap_or(i64::MAX);
    ctx.count(Some(id), Count { jobs: 1, lamports, ..Count::default() }).await;
    Box::pin(uploads::release_paid(ctx, &job)).await;
    Ok(Paid { job })
}

/// Somebody else was faster with this job or this transaction: say who won.
async fn overtaken(ctx: &Ctx, id: JobId, signature: &TxSignature) -> Result<Paid, Refusal> {
    let job = ctx.store.get::<JobRow>(&keys::job(id)).await?.ok_or(Refusal::NotFound)?;
    match already_paid(&job, signature)? {
        Some(paid) => Ok(paid),
        None => Err(Refusal::SignatureUsed),
    }
}

/// A transaction that pays another job has a better reason to be refused than its memo.
async fn explained(
    ctx: &Ctx,
    id: JobId,
    signature: &TxSignature,
    refused: Refusal,
) -> Result<Refusal, Refusal> {
    let claim = ctx.store.get::<InflowRow>(&keys::inflow(signature)).await?;
    // What the watcher booked as a stray paid for nothing.
    let elsewhere =
        claim.is_some_and(|claim| claim.kind == Inbound::Payment && claim.job != Some(id));
    Ok(if elsewhere { Refusal::SignatureUsed } else { refused })
}
