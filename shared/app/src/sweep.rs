//! What looks at every job that is not finished with, in case a hint was lost, a lease ran out or
//! a quote went unpaid. The table says what is due; nothing here remembers anything.

use framefair_domain::id::JobId;
use framefair_domain::job::{Event, State};
use framefair_domain::payment::WINDOW_AFTER_MS;
use framefair_domain::settlement::SettlementId;
use framefair_domain::time::{MINUTE_MS, SECOND_MS, Timestamp};
use framefair_store::rows::{
    AnyJob, Deal, Dealt, JobRow, Lease, MarketJob, NodeRow, ProgressRow, Task,
};
use framefair_store::{Index, Order, Queue, Range, keys};

use crate::delivery::Overdue;
use crate::write::step;
use crate::{Call, Ctx, Hint, Refusal, Report, delivery, fleet, tidy, uploads, watch};

/// Rows looked at in one sweep of one shard.
const PAGE: usize = 100;
/// A job in good order is looked at again after this.
const LOOK_AGAIN_MS: i64 = MINUTE_MS;
/// What has landed is final after about this long.
const WHEN_FINAL_MS: i64 = 15 * SECOND_MS;

/// How much of the index a sweep covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// What is due by now.
    Due,
    /// Every open job: after a restart, whose hints may be lost.
    Everything,
}

/// Looks at what is due, and says how many jobs that were.
pub async fn sweep(ctx: &Ctx, call: &mut Call, reach: Reach) -> Result<usize, Refusal> {
    let mut looked_at = 0;
    let mut read = None;
    for shard in 0..keys::DUE_SHARDS {
        let mut start = None;
        loop {
            let range = match reach {
                Reach::Due => Range::AtMost(keys::due_time(call.now)),
                Reach::Everything => Range::All,
            };
            let page = ctx
                .store
                .index(Index::Due, &keys::due_shard(shard), range, Order::Ascending, PAGE, start)
                .await?;
            for id in page.keys().iter().filter_map(keys::settlement_of) {
                looked_at += 1;
                let SettlementId::Job(job) = id else {
                    ctx.settle(id).await;
                    continue;
                };
                if let Err(refusal) = look_at(ctx, call, job, &mut read).await {
                    tracing::warn!(%job, %refusal, "A job could not be swept");
                }
            }
            for id in page.keys().iter().filter_map(keys::upload_of) {
                if let Err(refusal) = Box::pin(uploads::sweep(ctx, call, id)).await {
                    tracing::warn!(upload = %id, %refusal, "An upload could not be swept");
                }
            }
            start = page.next;
            if start.is_none() {
                break;
            }
        }
    }
    delivery::look_after_providers(ctx, call).await?;
    Ok(looked_at)
}

/// Does for one job whatever its state asks for, and dates its next look. `read` is until when
/// this sweep has read escrow's history, once it had to.
async fn look_at(
    ctx: &Ctx,
    call: &mut Call,
    id: JobId,
    read: &mut Option<Timestamp>,
) -> Result<(), Refusal> {
    let Some(job) = ctx.job(id).await? else { return Ok(()) };
    let job: JobRow = match job.which() {
        AnyJob::Market(job) if job.state == State::AwaitingPayment => {
            return look_at_quote(ctx, call, job, read).await;
        }
        // Nobody paid, so nothing is settled: what is left is to tidy up.
        AnyJob::Market(job) if job.state == State::Cancelled && job.deal.payment.is_none() => {
            return Box::pin(clear(ctx, call, job)).await;
        }
        AnyJob::Market(job) => job.into(),
        AnyJob::Creator(job) => job.into(),
    };
    if job.state.is_leased()
        && let Some((failed, why)) = overdue(ctx, call, &job).await?
    {
        delivery::give_back(ctx, call, job, failed, why).await?;
        return Ok(());
    }
    let (state, task) = (job.state, job.task.clone());
    let platform = &ctx.platform;
    let again_ms = LOOK_AGAIN_MS.min(2 * platform.reconnect_grace_ms).min(platform.silence_max_ms);
    // The write comes first: who follows a hint must not be overtaken by whoever sent it.
    let owes_money = matches!(job.deal, Deal::Market(_));
    redate(ctx, job, call.now.plus_ms(again_ms)).await?;
    match state {
        State::Queued | State::Held => ctx.hint(Queue::Dispatch, &Hint::about(id), 0).await,
        state if state.is_leased() => remind(ctx, id, &task).await?,
        _ => {}
    }
    // A payment may vanish while the work goes on, and money is owed when it is over.
    if owes_money {
        ctx.settle(id).await;
    }
    Ok(())
}

/// A quote that was not paid in time is over, once everything that came in by then is booked.
async fn look_at_quote(
    ctx: &Ctx,
    call: &mut Call,
    job: MarketJob,
    read: &mut Option<Timestamp>,
) -> Result<(), Refusal> {
    let at = job.deal.expires.plus_ms(WINDOW_AFTER_MS);
    if call.now < at {
        redate(ctx, job, at).await?;
        return Ok(());
    }
    // A payment of the last second may not be final yet, or its call never came.
    let until = match *read {
        Some(until) => until,
        None => *read.insert(watch::watch_until(ctx, call).await?),
    };
    if until <= at {
        redate(ctx, job, call.now.plus_ms(WHEN_FINAL_MS)).await?;
        return Ok(());
    }
    expire(ctx, call, job.id).await
}

/// Hints at a task that somebody holds, to whoever carries it.
async fn remind(ctx: &Ctx, id: JobId, task: &Task) -> Result<(), Refusal> {
    match task.lease {
        Some(Lease { handed_in_ms: Some(render_ms), .. }) => {
            let report = Report { epoch: task.epoch, render_ms };
            ctx.hint(Queue::Verify, &Hint::reported(id, report), 0).await;
        }
        Some(Lease { pushed: true, .. }) => {
            ctx.hint(Queue::Push, &Hint::about(id), 0).await;
        }
        _ => {}
    }
    let Some(lease) = task.lease else { return Ok(()) };
    let node = ctx.store.get::<NodeRow>(&keys::node(lease.node)).await?;
    if let Some(connection) = node.and_then(|node| node.connection) {
        ctx.hint(Queue::Relay(connection.relay), &Hint::about(id), 0).await;
    }
    Ok(())
}

/// Takes back a lease that is over.
pub async fn look_after_lease(ctx: &Ctx, call: &Call, id: JobId) -> Result<(), Refusal> {
    let job = ctx.job(id).await?;
    let Some(job) = job.filter(|job| job.state.is_leased()) else { return Ok(()) };
    if let Some((failed, why)) = overdue(ctx, call, &job).await? {
        delivery::give_back(ctx, call, job, failed, why).await?;
    }
    Ok(())
}

/// Why a lease is over, if it is.
async fn overdue(ctx: &Ctx, call: &Call, job: &JobRow) -> Result<Option<Overdue>, Refusal> {
    let Some(lease) = job.task.lease else { return Ok(Some((false, "the lease was lost"))) };
    if call.now >= lease.until {
        return Ok(Some((true, "the render took longer than a task may take")));
    }
    if job.state == State::Verifying && lease.handed_in_ms.is_some() {
        return Ok(None);
    }
    if lease.pushed {
        let Some(job) = job.clone().market() else { return Ok(None) };
        return delivery::pushed_overdue(ctx, call, &job, &lease).await;
    }
    let node = ctx.store.get::<NodeRow>(&keys::node(lease.node)).await?;
    let Some(node) = node else { return Ok(Some((false, "the node is gone"))) };
    let absence = delivery::absence(ctx, call, &node).await?;
    // One that shows itself by calls alone has as long to begin as any other.
    let calls = match &absence {
        Some(absence) if !absence.relay_gone && absence.since < lease.since => {
            fleet::calls(ctx, call, lease.node, absence.since).await?
        }
        _ => false,
    };
    if let Some(absence) = absence.filter(|_| !calls) {
        let away_ms = call.now.since_ms(absence.since.max(lease.since));
        let grace_ms = ctx.platform.reconnect_grace_ms;
        // A relay's end is no fault of its nodes, and all of them look for another one at once.
        let (grace_ms, failed) =
            if absence.relay_gone { (2 * grace_ms, false) } else { (grace_ms, true) };
        return Ok((away_ms >= grace_ms).then_some((failed, "the node fell silent")));
    }
    let progress = ctx.store.get::<ProgressRow>(&keys::progress(job.id)).await?;
    let shown = progress.is_some_and(|progress| progress.epoch == job.task.epoch);
    let started = shown || job.state == State::Running;
    let late = call.now.since_ms(lease.since) >= ctx.platform.dispatch_timeout_ms;
    Ok((late && !started).then_some((true, "the node showed no sign of work")))
}

/// Cancels an unpaid quote; its scene goes a while later.
async fn expire(ctx: &Ctx, call: &Call, id: JobId) -> Result<(), Refusal> {
    let Some(mut job) = ctx.market_job(id).await? else { return Ok(()) };
    if step(&mut job, Event::QuoteExpired, call.now).is_err() {
        return Ok(());
    }
    job.due = Some(gone(&job));
    if ctx.save(&mut job).await?.is_ok() {
        tracing::info!(job = %job.id, "A quote expired unpaid");
    }
    Ok(())
}

/// When the scene of an unpaid job goes.
fn gone(job: &MarketJob) -> Timestamp {
    job.deal.expires.plus_ms(uploads::SCENE_AFTER_QUOTE_MS)
}

/// Removes what a job without a payment has left here, and with that the job is over.
async fn clear(ctx: &Ctx, call: &Call, mut job: MarketJob) -> Result<(), Refusal> {
    if call.now < gone(&job) {
        let at = gone(&job);
        redate(ctx, job, at).await?;
        return Ok(());
    }
    tidy::leavings(ctx, &job).await?;
    uploads::release_paid(ctx, &job).await;
    job.due = None;
    let _ = ctx.save(&mut job).await?;
    Ok(())
}

/// Moves the job in the index of what is due, unless it lies there already. False if somebody else
/// wrote the job first, so that it lies where it lay.
pub(crate) async fn redate<D: Dealt>(
    ctx: &Ctx,
    mut job: JobRow<D>,
    at: Timestamp,
) -> Result<bool, Refusal> {
    if job.due.is_none_or(|due| due.since_ms(at).abs() < SECOND_MS) {
        return Ok(true);
    }
    job.due = Some(at);
    Ok(ctx.save(&mut job).await?.is_ok())
}
