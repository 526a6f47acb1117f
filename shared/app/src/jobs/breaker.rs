//! The circuit breaker: a node that fails job after job takes nothing for a while, and then one job that tries it.

use framefair_domain::id::{JobId, ProviderId};
use framefair_domain::job::State;
use framefair_domain::time::MINUTE_MS;
use framefair_store::keys;
use framefair_store::rows::{JobRow, NodeRow};

use crate::{Call, Ctx, Refusal, delivery};

/// So many failed attempts in a row close a node; after this one job tries it.
const FAILURES_MAX: u32 = 3;
const CLOSED_MS: i64 = 5 * MINUTE_MS;
const WHY: &str = "the node fails job after job";

/// Whether a node that lives takes one more job.
pub(crate) fn has_place(call: &Call, node: &NodeRow) -> bool {
    node.leases.len() < node.slots as usize && !is_closed(call, node)
}

pub(super) fn is_closed(call: &Call, node: &NodeRow) -> bool {
    let recent = node.failed.is_some_and(|at| call.now.since_ms(at) < CLOSED_MS);
    has_failed(node) && (recent || !node.leases.is_empty())
}

/// How many jobs it may hold: one alone tries it.
pub(super) fn places(node: &NodeRow) -> u32 {
    if has_failed(node) { 1 } else { node.slots }
}

fn has_failed(node: &NodeRow) -> bool {
    node.failures >= FAILURES_MAX
}

/// After a failure at a node, which may have closed it: the creators' jobs that it was given and has not begun go
/// to others, and that counts against nobody.
pub(crate) async fn failed(
    ctx: &Ctx,
    call: &Call,
    node: ProviderId,
    ended: JobId,
) -> Result<(), Refusal> {
    let node = ctx.store.get::<NodeRow>(&keys::node(node)).await?;
    let Some(node) = node.filter(|node| has_failed(node) && !node.leases.is_empty()) else {
        return Ok(());
    };
    let others = node.leases.keys().filter_map(|job| job.parse().ok()).filter(|job| *job != ended);
    for other in others {
        let Some(job) = ctx.job(other).await?.and_then(JobRow::creator) else { continue };
        let is_its = job.task.lease.as_ref().is_some_and(|lease| lease.node == node.id);
        if is_its && job.state == State::Dispatched {
            match Box::pin(delivery::give_back(ctx, call, job.into(), false, WHY)).await {
                // It has begun, or is over.
                Ok(_) | Err(Refusal::StaleLease) => {}
                Err(refusal) => return Err(refusal),
            }
        }
    }
    Ok(())
}
