//! What a node says about its task: how far it is, that it is done, that it failed. A report under
//! a lease that is not the current one changes nothing.

use framefair_domain::id::{JobId, ProviderId};
use framefair_domain::job::{self, Event};
use framefair_domain::time::{SECOND_MS, Timestamp};
use framefair_store::rows::{JobRow, ProgressRow};
use framefair_store::{Check, Queue, Update, When, WriteFailed, keys};

use super::{Session, book_attempt, held_lease, others_able};
use crate::ctx::Report;
use crate::write::step;
use crate::{Call, Ctx, Hint, Refusal, settlement};

/// A node's words are cut to this many characters before a client sees them.
const ERROR_CHARS_MAX: usize = 500;

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    /// The result goes to verification; its outcome is told later.
    Verifying,
    Recorded,
}

/// Stores how far the attempt is. The relay calls this every few seconds at most.
pub async fn progress(ctx: &Ctx, session: Session, row: ProgressRow) -> Result<(), Refusal> {
    held_lease(ctx, session.node, row.job, row.epoch).await?;
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
    held_lease(ctx, session.node, id, report.epoch).await?;
    ctx.hint(Queue::Verify, &Hint { job: id, report: Some(report) }, 0).await;
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
    let job = held_lease(ctx, session.node, id, epoch).await?;
    let error = shown(error);
    if !scene_fault {
        return end_attempt(ctx, call, job, AttemptEnd::Failed, error).await;
    }
    let seconded = job.task.blamed_by.is_some_and(|by| by != session.node);
    let alone = || async {
        Ok::<_, Refusal>(
            others_able(ctx, &job).await?.iter().all(|l| l.provider.id == session.node),
        )
    };
    let end = if seconded || alone().await? { AttemptEnd::SceneFault } else { AttemptEnd::Blamed };
    end_attempt(ctx, call, job, end, error).await
}

/// The node gives the task back through no fault of anybody.
pub async fn decline(
    ctx: &Ctx,
    call: &Call,
    session: Session,
    id: JobId,
    epoch: u32,
) -> Result<Reported, Refusal> {
    let job = held_lease(ctx, session.node, id, epoch).await?;
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
    let end = if failed { AttemptEnd::Failed } else { AttemptEnd::Released };
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
}

/// Ends the current attempt: another one follows, or the refund.
pub(crate) async fn end_attempt(
    ctx: &Ctx,
    call: &Call,
    mut job: JobRow,
    end: AttemptEnd,
    error: String,
) -> Result<Reported, Refusal> {
    let Some(lease) = job.task.lease else { return Err(Refusal::StaleLease) };
    let retry = job.task.failures < job::RETRIES_MAX;
    let event = match end {
        AttemptEnd::Failed => Event::AttemptFailed { retry },
        AttemptEnd::Rejected => Event::Rejected { retry },
        AttemptEnd::Blamed | AttemptEnd::Released => Event::Released,
        AttemptEnd::SceneFault => Event::SceneFault,
    };
    let effects = step(&mut job, event, call.now).map_err(|_| Refusal::StaleLease)?;
    match end {
        AttemptEnd::Failed | AttemptEnd::Rejected => {
            job.task.failures += 1;
            job.task.not_before = Some(backoff(call.now, job.task.failures));
            remember(&mut job, lease.node);
        }
        AttemptEnd::Blamed => {
            job.task.blamed_by = Some(lease.node);
            remember(&mut job, lease.node);
        }
        // A node that always declines must not spin us.
        AttemptEnd::Released => job.task.not_before = Some(call.now.plus_ms(2 * SECOND_MS)),
        AttemptEnd::SceneFault => {}
    }
    if effects.contains(&job::Effect::Refund) {
        job.error = Some(error);
        settlement::plan_refund(&mut job)?;
    }
    if ctx.save(&mut job).await?.is_err() {
        return Err(Refusal::StaleLease);
    }
    tracing::info!(job = %job.id, node = %lease.node, ?end, state = ?job.state, "An attempt ended");
    book_attempt(ctx, call, lease.node, job.id, effects).await?;
    if job.state.is_final() {
        ctx.hint(Queue::Payouts, &Hint::about(job.id), 0).await;
    } else {
        let wait_ms = job.task.not_before.map_or(0, |at| at.since_ms(call.now));
        let wait_s = u32::try_from(wait_ms.div_euclid(1_000)).unwrap_or(0);
        ctx.hint(Queue::Dispatch, &Hint::about(job.id), wait_s).await;
    }
    Ok(Reported::Recorded)
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
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(ERROR_CHARS_MAX).collect()
}
