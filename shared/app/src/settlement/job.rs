//! A job's plan leaves in one transaction. A leg that its wallet cannot take yet becomes a debt, so
//! that it neither waits alone nor keeps the rest waiting.

use framefair_domain::money::Lamports;
use framefair_domain::settlement::{Inflow, Leg, LegKind, Outflow, Plan};
use framefair_domain::wallet::Wallet;
use framefair_store::rows::{MarketJob, OutStep, OutflowRow, WayOutRow};
use framefair_store::{TransactFailed, When, Write};

use super::out::{self, Leaving, SOON, Stands};
use super::{Advanced, Signers, debt};
use crate::statistics::Count;
use crate::write::replace;
use crate::{Call, Ctx, Refusal, sweep, tidy};

pub(super) async fn settle(
    ctx: &Ctx,
    call: &Call,
    signers: &Signers,
    job: MarketJob,
    plan: &Plan,
    way_out: &[WayOutRow],
) -> Result<Advanced, Refusal> {
    if plan.legs.is_empty() {
        return close(ctx, call, job, Outflow::Settled).await;
    }
    let kept: Vec<LegKind> = way_out.iter().flat_map(|row| row.kept()).copied().collect();
    let rest: Vec<Leg> =
        plan.legs.iter().filter(|leg| !kept.contains(&leg.kind)).copied().collect();
    let legs = amounts(&rest);
    let last = way_out.last();
    let signed = last.and_then(|row| Some((row, row.signed()?)));
    let (before, counted) = (job.deal.out_used, signed.is_some());
    let leaving = Leaving { settlement: job.id.into(), legs: &legs, before, counted };
    let mut stands = Stands::Void;
    if let Some((row, tx)) = signed {
        stands = out::follow(ctx, signers, &leaving, row.n, tx).await?;
    }
    if matches!(stands, Stands::Void) {
        let n = last.map_or(1, |row| row.n + 1);
        let small = too_small(ctx, &rest).await?;
        if !small.is_empty() {
            return keep(ctx, call, job, &rest, small, n).await;
        }
        stands = out::sign(ctx, call, signers, &leaving, n).await?;
    }
    match stands {
        Stands::Open | Stands::Void => Ok(SOON),
        Stands::PutOff(ms) => {
            sweep::redate(ctx, job, call.now.plus_ms(ms)).await?;
            Ok(Advanced::Nothing)
        }
        Stands::Hopeless => close(ctx, call, job, Outflow::Parked).await,
        Stands::Arrived(entry) => arrived(ctx, call, job, &rest, entry).await,
    }
}

fn amounts(legs: &[Leg]) -> Vec<(Wallet, Lamports)> {
    legs.iter().map(|leg| (leg.to, leg.lamports)).collect()
}

async fn too_small(ctx: &Ctx, legs: &[Leg]) -> Result<Vec<LegKind>, Refusal> {
    let mut small = Vec::new();
    for leg in legs {
        if !out::can_take(ctx, &leg.to, leg.lamports).await? {
            small.push(leg.kind);
        }
    }
    Ok(small)
}

/// Fills place `n` of the way out with the decision that these legs become debts. Whoever signs at
/// the same time fills the same place, so a leg is never both.
async fn keep(
    ctx: &Ctx,
    call: &Call,
    mut job: MarketJob,
    rest: &[Leg],
    kinds: Vec<LegKind>,
    n: u32,
) -> Result<Advanced, Refusal> {
    let (small, more): (Vec<Leg>, Vec<Leg>) =
        rest.iter().copied().partition(|leg| kinds.contains(&leg.kind));
    let mut writes = debt::owe(ctx, call, &amounts(&small)).await?;
    job.deal.inflow = Inflow::Final;
    job.deal.kept.extend(&kinds);
    if more.is_empty() {
        job.deal.outflow = Outflow::Settled;
        job.due = None;
        Box::pin(tidy::leavings_of_the_end(ctx, &job)).await;
    }
    let row = WayOutRow { settlement: job.id.into(), n, step: OutStep::Kept(kinds) };
    writes.push(Write::put(&row, When::Absent));
    writes.push(replace(&mut job));
    match ctx.store.transact(writes).await {
        Ok(()) => {}
        Err(TransactFailed::Conditions(_)) => return Ok(SOON),
        Err(other) => return Err(other.into()),
    }
    tracing::info!(job = %job.id, kinds = ?job.deal.kept, "Kept what its wallet cannot take yet");
    count_refund(ctx, &job, &small).await;
    for leg in small {
        ctx.settle(leg.to).await;
    }
    Ok(if more.is_empty() { Advanced::Nothing } else { SOON })
}

/// The end: the ledger entry and the job in one write, and the job needs no more attention.
async fn arrived(
    ctx: &Ctx,
    call: &Call,
    mut job: MarketJob,
    legs: &[Leg],
    entry: OutflowRow,
) -> Result<Advanced, Refusal> {
    job.deal.outflow = Outflow::Settled;
    job.due = None;
    job.deal.out_tx = Some(entry.signature);
    Box::pin(tidy::leavings_of_the_end(ctx, &job)).await;
    let writes = vec![Write::put(&entry, When::Absent), replace(&mut job)];
    match ctx.store.transact(writes).await {
        Ok(()) => {}
        Err(TransactFailed::Conditions(_)) => return Ok(SOON),
        Err(other) => return Err(other.into()),
    }
    tracing::info!(job = %job.id, lamports = entry.lamports.0, at = call.now.0, "Settled a job");
    count_refund(ctx, &job, legs).await;
    Ok(Advanced::Nothing)
}

/// Ends a settlement that sends nothing: there is nothing to send, or an operator must look.
async fn close(
    ctx: &Ctx,
    call: &Call,
    mut job: MarketJob,
    outflow: Outflow,
) -> Result<Advanced, Refusal> {
    job.deal.outflow = outflow;
    job.due = None;
    Box::pin(tidy::leavings_of_the_end(ctx, &job)).await;
    tracing::info!(job = %job.id, ?outflow, at = call.now.0, "Closed a settlement");
    Ok(if ctx.save(&mut job).await?.is_ok() { Advanced::Nothing } else { SOON })
}

/// What goes back to the client leaves the platform's volume.
async fn count_refund(ctx: &Ctx, job: &MarketJob, legs: &[Leg]) {
    // By kind, not by wallet: a provider may buy from itself.
    let back = legs.iter().filter(|leg| leg.kind != LegKind::Payout);
    let lamports = -i64::try_from(back.map(|leg| leg.lamports.0).sum::<u64>()).unwrap_or(0);
    if lamports != 0 {
        tracing::info!(job = %job.id, lamports, "Returned money to the client");
        ctx.count(Some(job.id), Count { lamports, ..Count::default() }).await;
    }
}
