//! A user takes a job back.

use framefair_domain::id::{JobId, UserId};
use framefair_domain::job::Event;
use framefair_store::rows::CreatorJob;

use super::vacancy::over;
use super::view::own;
use super::{TRIES, Word, charge, word};
use crate::delivery::booking;
use crate::write::{Done, replace, step};
use crate::{Call, Ctx, Refusal};

/// While nobody works on it yet. Nothing is charged.
pub async fn cancel(
    ctx: &Ctx,
    call: &Call,
    user: UserId,
    id: JobId,
) -> Result<CreatorJob, Refusal> {
    for _ in 0..TRIES {
        let mut job = own(ctx, user, id).await?;
        let shown = word(job.state);
        if !matches!(shown, Word::Queued | Word::Dispatched) {
            return Err(Refusal::TooLateToCancel(shown.text()));
        }
        let lease = job.task.lease;
        let effects = step(&mut job, Event::CancelledByOwner, call.now)
            .map_err(|_| Refusal::TooLateToCancel(shown.text()))?;
        job.error = Some("Cancelled by user".into());
        job.deal.updated = call.now;
        job.due = None;
        let mut writes = vec![replace(&mut job)];
        writes.push(charge::void(&job.deal));
        writes.extend(lease.map(|lease| booking(lease.node, id, effects, None).into()));
        if ctx.all(writes).await.done()? {
            tracing::info!(job = %id, "Cancelled a job");
            if let Some(lease) = lease {
                over(ctx, call, lease.node, &job).await;
            }
            return Ok(job);
        }
    }
    Err(Refusal::Busy)
}
