//! A transaction is accepted as the payment of a job: verified first, then claimed and the job
//! moved in one write.

use std::time::Duration;

use framefair_chain::{ChainError, Commitment, UNSUPPORTED_VERSION};
use framefair_domain::id::JobId;
use framefair_domain::job::{Event, State};
use framefair_domain::payment::{self, Facts};
use framefair_domain::settlement::Inflow;
use framefair_domain::time::SECOND_MS;
use framefair_domain::wallet::TxSignature;
use framefair_store::rows::{Inbound, InflowRow, JobRow, MarketJob, Payment};
use framefair_store::seam::over_again;
use framefair_store::{Check, Queue, TransactFailed, Update, When, Write, keys};

use super::named::Name;
use crate::statistics::Count;
use crate::write::{replace, step};
use crate::{Call, Ctx, Hint, IdempotencyKey, Refusal, watch};

/// A payment that is not yet visible is looked for twice more: three looks in six seconds.
const LOOK_AGAIN: [Duration; 2] = [Duration::from_millis(1_500), Duration::from_millis(4_000)];
/// A call that waits is over after this, and the next may.
const WAITING_MS: i64 = 8 * SECOND_MS;

/// The job after its payment was accepted, now or before.
#[derive(Debug)]
pub struct Paid {
    pub job: MarketJob,
}

/// Checks that `signature` pays `job`, and starts the job if so. Repeating it is harmless.
///
/// Two round trips to the table: the job, and the job as it is paid.
pub async fn pay(
    ctx: &Ctx,
    call: &Call,
    id: JobId,
    signature: &str,
    key: Option<IdempotencyKey>,
) -> Result<Paid, Refusal> {
    let name = Name::new(key, "POST /render/pay", signature.to_owned());
    let signature: TxSignature = signature.parse().map_err(|_| Refusal::NotATransaction)?;
    let (job, facts) = match seen(ctx, &signature).await {
        Ok(None) => match wait(ctx, call, id, &signature, &name).await? {
            Waited::Paid(paid) => return Ok(*paid),
            Waited::Seen(job, facts) => (*job, facts),
        },
        looked => {
            let job = ctx.market_job(id).await?.ok_or(Refusal::NotFound)?;
            // Whatever the chain says by now.
            if let Some(paid) = answered(ctx, call, &job, &signature, &name).await? {
                return Ok(paid);
            }
            (job, looked?.ok_or(Refusal::PaymentUnseen)?)
        }
    };
    match Box::pin(accept_named(ctx, call, job, &facts, &name)).await {
        Err(refused @ Refusal::Payment(_)) => Err(explained(ctx, id, &signature, refused).await?),
        answer => answer,
    }
}

/// The answer for a job that is past payment.
fn already_paid(job: &MarketJob, signature: &TxSignature) -> Result<Option<Paid>, Refusal> {
    match &job.deal.payment {
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

/// The same for a request that may bear a name.
async fn answered(
    ctx: &Ctx,
    call: &Call,
    job: &MarketJob,
    signature: &TxSignature,
    name: &Name,
) -> Result<Option<Paid>, Refusal> {
    let paid = already_paid(job, signature);
    match &paid {
        Ok(None) => {}
        Ok(Some(paid)) => name.take(ctx, call, &paid.job).await?,
        Err(_) => name.check(ctx, call, job).await?,
    }
    paid
}

/// What waiting for a payment has come to.
enum Waited {
    Seen(Box<MarketJob>, Facts),
    /// The job needs none any more.
    Paid(Box<Paid>),
}

/// Waits for a transaction that the chain does not show yet. For a live quote the first caller waits;
/// others are answered at once, so that nobody's invented signatures keep many functions waiting.
async fn wait(
    ctx: &Ctx,
    call: &Call,
    id: JobId,
    signature: &TxSignature,
    name: &Name,
) -> Result<Waited, Refusal> {
    let now = call.now;
    let began = Update::at(keys::job(id), When::Present)
        .set("waiting", now.plus_ms(WAITING_MS))
        .require(Check::equals("state", State::AwaitingPayment))
        .require(Check::at_least("expires", now.plus_ms(-payment::WINDOW_AFTER_MS)))
        .require_any([Check::missing("waiting"), Check::at_most("waiting", now)]);
    let job = match ctx.store.update_or_found::<JobRow>(began).await? {
        Ok(job) => job.market().ok_or(Refusal::NotFound)?,
        Err(job) => {
            let job = job.and_then(JobRow::market).ok_or(Refusal::NotFound)?;
            let paid = answered(ctx, call, &job, signature, name).await?;
            return paid.map(|paid| Waited::Paid(Box::new(paid))).ok_or(Refusal::PaymentUnseen);
        }
    };
    for wait in LOOK_AGAIN {
        tokio::time::sleep(wait).await;
        if let Some(facts) = seen(ctx, signature).await? {
            return Ok(Waited::Seen(Box::new(job), facts));
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

/// Claims the transaction and moves the job, both or neither.
pub(crate) async fn accept(
    ctx: &Ctx,
    call: &Call,
    job: MarketJob,
    facts: &Facts,
) -> Result<Paid, Refusal> {
    accept_named(ctx, call, job, facts, &Name::default()).await
}

/// With the name of the request that brought it.
async fn accept_named(
    ctx: &Ctx,
    call: &Call,
    mut job: MarketJob,
    facts: &Facts,
    name: &Name,
) -> Result<Paid, Refusal> {
    let accepted = payment::check(facts, &job.terms())?;
    // What else came in with it is excess, too: one transaction is one entry of the books.
    let lamports = watch::gained(facts, &job.deal.pay_to).unwrap_or(accepted.paid);
    step(&mut job, Event::Paid, call.now)
        .map_err(|_| Refusal::NotPayable("this job does not await payment any more".into()))?;
    job.deal.payment = Some(Payment {
        signature: facts.signature,
        slot: facts.slot,
        lamports,
        accepted: call.now,
    });
    job.deal.inflow = Inflow::Confirmed;
    let claim = InflowRow {
        signature: facts.signature,
        kind: Inbound::Payment,
        job: Some(job.id),
        back_to: None,
        slot: facts.slot,
        lamports,
    };
    let id = job.id;
    let writes = [Write::put(&claim, When::Absent), replace(&mut job)];
    let writes = writes.into_iter().chain(name.taking(call, &job)).collect();
    match ctx.store.transact(writes).await {
        Ok(()) => {}
        Err(TransactFailed::Conditions(_)) => {
            name.check(ctx, call, &job).await?;
            return over_again(overtaken(ctx, id, &facts.signature)).await;
        }
        Err(other) => return Err(other.into()),
    }
    tracing::info!(job = %id, signature = %facts.signature, lamports = lamports.0, "Accepted a payment");
    ctx.hint(Queue::Dispatch, &Hint::about(id), 0).await;
    let lamports = i64::try_from(lamports.0).unwrap_or(i64::MAX);
    ctx.count(Some(id), Count { jobs: 1, lamports, ..Count::default() }).await;
    Ok(Paid { job })
}

/// Somebody else was faster with this job or this transaction: say who won.
async fn overtaken(ctx: &Ctx, id: JobId, signature: &TxSignature) -> Result<Paid, Refusal> {
    let job = ctx.market_job(id).await?.ok_or(Refusal::NotFound)?;
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
