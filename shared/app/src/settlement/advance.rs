//! One step of one settlement: look at what is true on chain and in the table, and do what follows.
//! Safe to run twice, at once, and after a crash at any point.

use framefair_chain::{Commitment, Fate, Sent, Signer};
use framefair_domain::id::JobId;
use framefair_domain::job::Event as JobEvent;
use framefair_domain::payment::{PaymentRefused, check};
use framefair_domain::settlement::{Inflow, Outflow, SettlementId};
use framefair_store::rows::{Inbound, InflowRow, JobRow, MarketJob, Payment, WayOutRow};
use framefair_store::{When, Write, keys};

use super::{debt, job, out::SOON};
use crate::write::step;
use crate::{Call, Ctx, Refusal, delivery, tidy, watch};

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

/// A payment that is gone for this many finalized slots can never come back: its blockhash was
/// valid for 150 blocks, and this leaves room for skipped slots.
const VANISHED_AFTER_SLOTS: u64 = 600;

/// Moves a job's settlement, or what is owed to one wallet.
pub async fn advance(
    ctx: &Ctx,
    call: &Call,
    signers: &Signers,
    settlement: impl Into<SettlementId>,
) -> Result<Advanced, Refusal> {
    match settlement.into() {
        SettlementId::Job(job) => advance_job(ctx, call, signers, job).await,
        SettlementId::Debt(wallet) => debt::pay(ctx, call, signers, &wallet).await,
    }
}

async fn advance_job(
    ctx: &Ctx,
    call: &Call,
    signers: &Signers,
    id: JobId,
) -> Result<Advanced, Refusal> {
    let (mut job, way_out) = read(ctx, id).await?;
    let Some(payment) = job.deal.payment.clone() else { return Ok(Advanced::Nothing) };
    if matches!(job.deal.outflow, Outflow::Settled | Outflow::Parked) {
        return Ok(Advanced::Nothing);
    }
    // Money has left already, so the payment was final when it did.
    if job.deal.inflow == Inflow::Confirmed && !way_out.is_empty() {
        job.deal.inflow = Inflow::Final;
    }
    if job.deal.inflow == Inflow::Confirmed {
        match finality(ctx, &job, &payment).await? {
            Finality::Final { slot } => {
                job.deal.inflow = Inflow::Final;
                rebook(ctx, &mut job, slot).await?;
            }
            Finality::NotYet => return Ok(SOON),
            Finality::Vanished => return revert(ctx, call, job).await,
        }
    }
    match (job.deal.inflow, job.deal.plan.clone()) {
        (Inflow::Final, Some(plan)) => job::settle(ctx, call, signers, job, &plan, &way_out).await,
        _ => Ok(Advanced::Nothing),
    }
}

async fn read(ctx: &Ctx, id: JobId) -> Result<(MarketJob, Vec<WayOutRow>), Refusal> {
    let (mut job, mut way_out) = (None, Vec::new());
    for item in ctx.store.partition(&keys::job_partition(id)).await? {
        if item.sk() == "JOB" {
            job = item.decode::<JobRow>()?.market();
        } else if item.sk().starts_with(keys::WAY_OUT) {
            way_out.push(item.decode::<WayOutRow>()?);
        }
    }
    way_out.sort_by_key(|row| row.n);
    Ok((job.ok_or(Refusal::NotFound)?, way_out))
}

enum Finality {
    Final { slot: u64 },
    NotYet,
    Vanished,
}

async fn finality(ctx: &Ctx, job: &MarketJob, payment: &Payment) -> Result<Finality, Refusal> {
    let facts = async {
        // Above the limit one node's word is not enough where there is a second.
        let large = ctx.chain.has_second() && payment.lamports >= ctx.platform.agree_above;
        if large {
            ctx.chain.facts_agreed(&payment.signature, Commitment::Finalized).await
        } else {
            ctx.chain.facts(&payment.signature, Commitment::Finalized).await
        }
    };
    let (finalized_slot, facts) = tokio::try_join!(ctx.chain.slot(Commitment::Finalized), facts)?;
    if let Some(facts) = facts {
        // A fork may have landed it again elsewhere; what counts is what is final. That it came
        // in time was settled when it was accepted.
        let checked = check(&facts, &job.terms());
        let pays = matches!(checked, Ok(_) | Err(PaymentRefused::OutsideWindow));
        let same = pays && watch::gained(&facts, &job.deal.pay_to) == Some(payment.lamports);
        return Ok(if same { Finality::Final { slot: facts.slot } } else { Finality::Vanished });
    }
    if finalized_slot <= payment.slot.saturating_add(VANISHED_AFTER_SLOTS) {
        return Ok(Finality::NotYet);
    }
    // One node's silence proves nothing: it must show that it remembers that time.
    let sent = Sent {
        signature: payment.signature,
        last_valid_block_height: 0,
        min_slot: payment.slot,
        memo: String::new(),
    };
    match ctx.chain.fate(&sent, &job.deal.pay_to).await? {
        Fate::Expired | Fate::FailedOnChain { .. } => Ok(Finality::Vanished),
        _ => Ok(Finality::NotYet),
    }
}

/// A fork may have landed the payment in another block than the one that was seen first.
async fn rebook(ctx: &Ctx, job: &mut MarketJob, slot: u64) -> Result<(), Refusal> {
    let id = job.id;
    let Some(payment) = job.deal.payment.as_mut().filter(|payment| payment.slot != slot) else {
        return Ok(());
    };
    payment.slot = slot;
    let entry = InflowRow {
        signature: payment.signature,
        kind: Inbound::Payment,
        job: Some(id),
        back_to: None,
        slot,
        lamports: payment.lamports,
    };
    Ok(ctx.store.write(Write::put(&entry, When::Present)).await?)
}

/// The payment is gone: work stops, nobody is paid, nothing is refunded. A job that was completed
/// stays so, with its result withheld.
async fn revert(ctx: &Ctx, call: &Call, mut job: MarketJob) -> Result<Advanced, Refusal> {
    let holder = job.task.lease;
    job.deal.inflow = Inflow::Reverted;
    job.due = None;
    if step(&mut job, JobEvent::PaymentReverted, call.now).is_ok() {
        job.error = Some("The payment vanished from the chain".into());
    }
    tracing::error!(job = %job.id, state = ?job.state, "A confirmed payment vanished");
    Box::pin(tidy::leavings_of_the_end(ctx, &job)).await;
    if ctx.save(&mut job).await?.is_err() {
        return Ok(SOON);
    }
    if let Some(lease) = holder {
        delivery::release(ctx, call, lease.node, job.id).await;
    }
    Ok(Advanced::Nothing)
}
