//! A client takes a job back before anybody renders it.

use framefair_domain::id::JobId;
use framefair_domain::job::{Effect, Event, State};
use framefair_domain::signing::{self, Once, SignatureRefused};
use framefair_domain::time::SECOND_MS;
use framefair_store::rows::{MarketJob, NodeRow};
use framefair_store::seam::over_again;
use framefair_store::{TransactFailed, keys};

use super::named::Name;
use crate::write::{replace, step};
use crate::{Call, Ctx, IdempotencyKey, Refusal, delivery, provider, settlement};

/// A job that was just paid is looked at by several.
const TRIES: u32 = 4;
const BEGUN_AFTER_MS: i64 = 2 * SECOND_MS;

#[derive(Debug)]
pub struct Cancel {
    pub job: JobId,
    pub signature: String,
    pub once: Once,
    pub key: Option<IdempotencyKey>,
}

/// Cancels, and plans the refund in the same write. Repeating it is harmless.
pub async fn cancel(ctx: &Ctx, call: &Call, cancel: Cancel) -> Result<MarketJob, Refusal> {
    if let Some(job) = attempt(ctx, call, &cancel).await? {
        return Ok(job);
    }
    let again = async {
        for _ in 1..TRIES {
            if let Some(job) = attempt(ctx, call, &cancel).await? {
                return Ok(job);
            }
        }
        Err(Refusal::Busy)
    };
    over_again(Box::pin(again)).await
}

/// None if somebody wrote the job, or its node, in between.
async fn attempt(ctx: &Ctx, call: &Call, cancel: &Cancel) -> Result<Option<MarketJob>, Refusal> {
    let view = super::view::view(ctx, cancel.job).await?;
    let rendering = view.is_rendering();
    let mut job = view.job;
    let Once { nonce, timestamp } = &cancel.once;
    let input = format!("{} {nonce} {}", timestamp.0, cancel.signature);
    let name = Name::new(cancel.key.clone(), "POST /render/{jobId}/cancel", input);
    let text = signing::text(signing::cancel(job.id), Some(&cancel.once));
    signing::verify(&job.deal.client, text.as_bytes(), &cancel.signature)?;
    if job.state == State::Cancelled {
        name.take(ctx, call, &job).await?;
        return Ok(Some(job));
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
        settlement::plan_refund(&mut job.deal)?;
    } else {
        // Its scene is still to be removed.
        job.due = Some(call.now);
    }
    let nonce = provider::nonce_write(&job.deal.client, &cancel.once.nonce, call.now);
    let mut writes = vec![nonce, replace(&mut job)];
    writes.extend(name.taking(call, &job));
    writes.extend(holder.map(|lease| delivery::booking(lease.node, job.id, effects, None).into()));
    // Who is to hear of it is read meanwhile.
    let node = async {
        let Some(lease) = holder else { return Ok(None) };
        ctx.store.get::<NodeRow>(&keys::node(lease.node)).await
    };
    let (written, node) = tokio::join!(ctx.store.transact(writes), node);
    match written {
        Ok(()) => {}
        Err(TransactFailed::Conditions(failed)) if failed.contains(&0) => {
            return Err(Refusal::Replayed);
        }
        Err(TransactFailed::Conditions(_)) => {
            name.check(ctx, call, &job).await?;
            return Ok(None);
        }
        Err(other) => return Err(other.into()),
    }
    if let Ok(Some(node)) = node {
        delivery::tell(ctx, &node, job.id).await;
    }
    ctx.settle(job.id).await;
    Ok(Some(job))
}
