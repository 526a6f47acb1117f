//! What a node says about its task: how far it is, that it is done, that it failed. A report under
//! a lease that is not the current one, or over a socket that was replaced, changes nothing.

use framefair_domain::id::{JobId, ProviderId};
use framefair_domain::job::{self, Event};
use framefair_domain::time::{SECOND_MS, Timestamp};
use framefair_store::rows::{AnyJob, Deal, JobRow, NodeRow, ProgressRow};
use framefair_store::seam::over_again;
use framefair_store::{Check, Queue, TransactFailed, Update, When, Write, WriteFailed, keys};

use super::lease::{booking, tell};
use super::{Session, held_by, held_lease, others_able};
use crate::ctx::Report;
use crate::write::{Done, replace, step};
use crate::{Call, Ctx, Hint, Refusal, jobs, settlement};

/// A node's words are cut to this many characters before a client sees them.
const ERROR_CHARS_MAX: usize = 500;
const TRIES: usize = 8;
/// Blender's own words for what no other machine would do better.
const BLENDER_BLAMES: [&str; 2] = ["cannot render, no camera", "file format is not supported"];
/// A provider that renders something else is asked again after this, then another one is.
const BUSY_WAIT_S: i64 = 15;

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    /// The result goes to verification; its outcome is told later.
    Verifying,
    Recorded,
}

/// Stores how far the attempt is. The relay calls this every few seconds at most.
pub async fn progress(ctx: &Ctx, session: Session, row: ProgressRow) -> Result<(), Refusal> {
    held_by(ctx, session, row.job, row.epoch).await?;
    let update = Update::at(keys::progress(row.job), When::Always)
        .set("job", row.job)
        .set("epoch", row.epoch)
        .set("frames_done", row.frames_done)
        .set("frames_total", row.frames_total)
        .set("frame", row.frame)
        .set("sample", row.sample)
        .set("samples", row.samples)
        .set("started", row.started)
        .set("at", row.at)
        .require_any([Check::missing("epoch"), Check::at_most("epoch", row.epoch)]);
    match ctx.store.write(update).await {
        Ok(()) => Ok(()),
        Err(WriteFailed::Condition) => Err(Refusal::StaleLease),
        Err(other) => Err(other.into()),
    }
}

/// Every frame is uploaded: a worker looks at them.
pub async fn done(
    ctx: &Ctx,
    session: Session,
    id: JobId,
    report: Report,
) -> Result<Reported, Refusal> {
    held_by(ctx, session, id, report.epoch).await?;
    ctx.hint(Queue::Verify, &Hint::reported(id, report), 0).await;
    Ok(Reported::Verifying)
}

/// The attempt failed. A fault of the scene ends the job, once a second node agrees or there is
/// none to ask.
pub async fn failed(
    ctx: &Ctx,
    call: &Call,
    session: Session,
    id: JobId,
    epoch: u32,
    scene_fault: bool,
    error: &str,
) -> Result<Reported, Refusal> {
    let job = held_by(ctx, session, id, epoch).await?;
    let end = match scene_fault {
        true => blame(ctx, &job, session.node).await?,
        false => AttemptEnd::Failed,
    };
    end_attempt(ctx, call, job, end, shown(error)).await
}

/// What it comes to that a node blames the scene.
async fn blame(ctx: &Ctx, job: &JobRow, node: ProviderId) -> Result<AttemptEnd, Refusal> {
    let blamed_by = job.task.blamed_by;
    let is_confirmed = match job.clone().which() {
        // Who blames it a second time was alone, or has found company.
        AnyJob::Creator(_) => blamed_by.is_some(),
        AnyJob::Market(_) if blamed_by.is_some_and(|by| by != node) => true,
        AnyJob::Market(job) => {
            others_able(ctx, &job).await?.iter().all(|other| other.provider.id == node)
        }
    };
    Ok(if is_confirmed { AttemptEnd::SceneFault } else { AttemptEnd::Blamed })
}

/// What a failure comes to of which only a text is known, as Blender wrote it.
pub(super) async fn end_of(
    ctx: &Ctx,
    job: &JobRow,
    node: ProviderId,
    error: &str,
) -> Result<AttemptEnd, Refusal> {
    let error = error.to_lowercase();
    match BLENDER_BLAMES.iter().any(|words| error.contains(words)) {
        true => blame(ctx, job, node).await,
        false => Ok(AttemptEnd::Failed),
    }
}

/// The node gives the task back through no fault of anybody.
pub async fn decline(
    ctx: &Ctx,
    call: &Call,
    session: Session,
    id: JobId,
    epoch: u32,
) -> Result<Reported, Refusal> {
    let job = held_by(ctx, session, id, epoch).await?;
    end_attempt(ctx, call, job, AttemptEnd::Released, String::new()).await
}

/// The lease is taken back from a node that fell silent: a failed attempt if `failed`.
pub async fn give_back(
    ctx: &Ctx,
    call: &Call,
    job: JobRow,
    failed: bool,
    why: &str,
) -> Result<Reported, Refusal> {
    let end = match (job.state, failed) {
        // Delivered, and never looked at: a verdict is all that can end it.
        (job::State::Verifying, _) => AttemptEnd::Rejected,
        (_, true) => AttemptEnd::Failed,
        (_, false) => AttemptEnd::Released,
    };
    end_attempt(ctx, call, job, end, why.to_owned()).await
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttemptEnd {
    Failed,
    /// The delivered result did not pass verification.
    Rejected,
    /// The scene is blamed, and another node is asked.
    Blamed,
    SceneFault,
    Released,
    /// The provider renders something else now.
    Busy,
}

/// Ends the current attempt: another one follows, or the refund. Somebody else's write in between
/// (the sweeper's, say) is no reason to lose the report, as long as the lease is the same.
pub(crate) async fn end_attempt(
    ctx: &Ctx,
    call: &Call,
    job: JobRow,
    end: AttemptEnd,
    error: String,
) -> Result<Reported, Refusal> {
    end_attempt_once(ctx, call, job, end, error, None).await
}

/// The same on a word that counts once: the write that uses it up goes with the end, or neither
/// does.
pub(crate) async fn end_attempt_once(
    ctx: &Ctx,
    call: &Call,
    mut job: JobRow,
    end: AttemptEnd,
    error: String,
    nonce: Option<Write>,
) -> Result<Reported, Refusal> {
    let Some(lease) = job.task.lease else { return Err(Refusal::StaleLease) };
    let (id, epoch, at) = (job.id, job.task.epoch, keys::node(lease.node));
    let ending = async |job: &mut JobRow| {
        let counts = (!job.has_tried(lease.node)).then_some(call.now);
        let effects = apply(job, lease.node, end, &error, call.now)?;
        let booking = Write::from(booking(lease.node, id, effects, counts));
        let writes = [replace(job), booking].into_iter().chain(nonce.clone());
        let writes = writes.chain(credits_freed(job, effects, call.now));
        // Who is to hear of it is read meanwhile.
        let node = ctx.store.get::<NodeRow>(&at);
        let ended = Box::pin(ctx.store.transact(writes.collect()));
        let (ended, node) = tokio::join!(ended, node);
        match ended {
            Err(TransactFailed::Conditions(legs)) if nonce.is_some() && legs.contains(&2) => {
                Err(Refusal::Replayed)
            }
            other => Ok(other.done()?.then_some(node)),
        }
    };
    let mut ended = ending(&mut job).await?;
    let mut tries = TRIES;
    while ended.is_none() {
        tries -= 1;
        if tries == 0 {
            return Err(Refusal::Busy);
        }
        let again = async {
            job = held_lease(ctx, lease.node, id, epoch).await?;
            ending(&mut job).await
        };
        ended = over_again(Box::pin(again)).await?;
    }
    tracing::info!(job = %id, node = %lease.node, ?end, state = ?job.state, "An attempt ended");
    if !job.state.is_final() {
        let wait_ms = job.task.not_before.map_or(0, |at| at.since_ms(call.now));
        let wait_s = u32::try_from(wait_ms.div_euclid(1_000)).unwrap_or(0);
        ctx.hint(Queue::Dispatch, &Hint::about(id), wait_s).await;
    } else {
        match &job.deal {
            Deal::Market(_) => ctx.settle(id).await,
            Deal::Creator(deal) => ctx.metrics.job_failed(&deal.kind),
        }
    }
    let Some(Ok(Some(node))) = ended else { return Ok(Reported::Recorded) };
    tell(ctx, &node, id).await;
    if let Deal::Creator(deal) = &job.deal {
        jobs::vacated(ctx, call, &node, id, deal).await;
        if matches!(end, AttemptEnd::Failed | AttemptEnd::Rejected)
            && let Err(refusal) = jobs::failed(ctx, call, node.id, id).await
        {
            tracing::warn!(node = %node.id, %refusal, "What a node holds was not taken off it");
        }
    }
    Ok(Reported::Recorded)
}

/// What the end of an attempt makes of the job.
fn apply(
    job: &mut JobRow,
    node: ProviderId,
    end: AttemptEnd,
    error: &str,
    now: Timestamp,
) -> Result<&'static [job::Effect], Refusal> {
    if end == AttemptEnd::Rejected && job.state != job::State::Verifying {
        step(job, Event::Reported, now).map_err(|_| Refusal::StaleLease)?;
    }
    let retry = job.task.failures < job::RETRIES_MAX;
    let event = match end {
        AttemptEnd::Failed => Event::AttemptFailed { retry },
        AttemptEnd::Rejected => Event::Rejected { retry },
        AttemptEnd::Blamed | AttemptEnd::Released | AttemptEnd::Busy => Event::Released,
        AttemptEnd::SceneFault => Event::SceneFault,
    };
    let effects = step(job, event, now).map_err(|_| Refusal::StaleLease)?;
    let is_declined = matches!(end, AttemptEnd::Released | AttemptEnd::Busy);
    if let Deal::Creator(deal) = &mut job.deal
        && !is_declined
    {
        deal.errors.push(error.to_owned());
    }
    match end {
        AttemptEnd::Failed | AttemptEnd::Rejected => {
            job.task.failures += 1;
            job.task.not_before = Some(backoff(now, job.task.failures));
            job.error = Some(error.to_owned());
            remember(job, node);
        }
        AttemptEnd::Blamed => {
            job.task.blamed_by = Some(node);
            remember(job, node);
        }
        // A node that always declines must neither spin us nor keep the job for ever.
        AttemptEnd::Released | AttemptEnd::Busy => {
            job.task.declines += 1;
            let wait_s = 2_i64 << job.task.declines.min(6);
            let wait_s = if end == AttemptEnd::Busy { wait_s.max(BUSY_WAIT_S) } else { wait_s };
            job.task.not_before = Some(now.plus_ms(wait_s * SECOND_MS));
            if job.task.declines > 1 {
                remember(job, node);
            }
        }
        AttemptEnd::SceneFault => {}
    }
    if effects.contains(&job::Effect::Refund) {
        job.error = Some(error.to_owned());
    }
    match &mut job.deal {
        Deal::Market(deal) if effects.contains(&job::Effect::Refund) => {
            settlement::plan_refund(deal)?;
        }
        Deal::Market(_) => {}
        Deal::Creator(deal) => {
            deal.updated = now;
            if job.state.is_final() {
                job.due = None;
            } else {
                deal.queued = now;
            }
        }
    }
    Ok(effects)
}

/// What the end of a creator's job means for its credits, and for whoever looks after such ends.
fn credits_freed(job: &JobRow, effects: &[job::Effect], now: Timestamp) -> Vec<Write> {
    match &job.deal {
        Deal::Creator(deal) if effects.contains(&job::Effect::Refund) => {
            let letter = jobs::given_up(job.id, &job.task, deal, now);
            vec![jobs::void(deal), letter]
        }
        _ => Vec::new(),
    }
}

fn remember(job: &mut JobRow, node: ProviderId) {
    if !job.has_tried(node) {
        job.task.failed_by.push(node);
    }
}

fn backoff(now: Timestamp, failures: u32) -> Timestamp {
    now.plus_ms(i64::from(job::backoff_s(failures)) * 1_000)
}

/// A node's text, made harmless to show: no control characters, and not too long.
pub(super) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(ERROR_CHARS_MAX).collect()
}
