//! A client takes a job back before anybody renders it.

use framefair_domain::id::JobId;
use framefair_domain::job::{Effect, Event, State};
use framefair_domain::signing::{self, Once, SignatureRefused};
use framefair_domain::time::SECOND_MS;
use framefair_store::TransactFailed;
use framefair_store::rows::JobRow;

use crate::write::{replace, step};
use crate::{Call, Ctx, Refusal, delivery, provider, settlement};

const BEGUN_AFTER_MS: i64 = 2 * SECOND_MS;

#[derive(Debug)]
pub struct Cancel {
    pub job: JobId,
    pub signature: String,
    pub once: Once,
}

/// Cancels, and plans the refund in the same write. Repeating it is harmless.
pub async fn cancel(ctx: &Ctx, call: &mut Call, cancel: Cancel) -> Result<JobRow, Refusal> {
    let view = super::view::view(ctx, cancel.job).await?;
    let rendering = view.is_rendering();
    let mut job = view.job;
    let text = signing::text(signing::cancel(job.id), Some(&cancel.once));
    signing::verify(&job.client, text.as_bytes(), &cancel.signature)?;
    if job.state == State::Cancelled {
        return Ok(job);
    }
    if !cancel.once.is_fresh(call.now) {
        return Err(SignatureRefused::Stale.into());
    }
    // A node that has had the lease for a moment is at work, whether it has said so or not.
    let begun = job.task.lease.is_some_and(|lease| call.now.since_ms(lease.since) > BEGUN_AFTER_MS);
    let too_late = match job.state {
        State::Completed => Some("it is completed"),
        State::Failed => Some("it has failed, and what was paid for it goes back"),
        _ if rendering || begun => Some("it is being rendered"),
        _ => None,
    };
    if let Some(why) = too_late {
        return Err(Refusal::NotReady(format!("Job can no longer be cancelled: {why}")));
    }
    let holder = job.task.lease;
    let effects = step(&mut job, Event::CancelledByOwner, call.now)
        .map_err(|_| Refusal::NotReady("Job can no longer be cancelled".into()))?;
    if effects.contains(&Effect::Refund) {
        settlement::plan_refund(&mut job)?;
    } else {
        // Its scene is still to be removed.
        job.due = Some(call.now);
    }
    let nonce = provider::nonce_write(&job.client, &cancel.once.nonce, call.now);
    match ctx.store.transact(vec![nonce, replace(&mut job)]).await {
        Ok(()) => {}
        Err(TransactFailed::Conditions(failed)) if failed.contains(&0) => {
            return Err(Refusal::Replayed);
        }
        Err(other) => return Err(other.into()),
    }
    if let Some(lease) = holder {
        delivery::release(ctx, call, lease.node, job.id).await;
    }
    ctx.settle(job.id).await;
    Ok(job)
}
