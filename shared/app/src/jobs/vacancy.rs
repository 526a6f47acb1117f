//! Places that have become free, because a job left its node or a node came, go to those who wait, of whatever kind.

use framefair_domain::id::{JobId, ProviderId};
use framefair_store::rows::{CreatorDeal, CreatorJob, FleetRow, NodeRow};
use framefair_store::{Index, Order, Queue, Range, keys};
use futures::future::try_join_all;

use crate::delivery::tell;
use crate::{Call, Ctx, Hint, Refusal, fleet};

/// So many of those who wait for one kind of place are looked at.
const LOOKED_AT: usize = 8;
/// Kinds of work of a node that are looked for.
const KINDS_MAX: usize = 12;

/// Tells the node that held the job, and gives its place on. What is lost here is mended by the next job that
/// ends there, and by the sweeper.
pub(super) async fn over(ctx: &Ctx, call: &Call, node: ProviderId, job: &CreatorJob) {
    match ctx.store.get::<NodeRow>(&keys::node(node)).await {
        Ok(Some(node)) => {
            tell(ctx, &node, job.id).await;
            vacated(ctx, call, &node, job.id, &job.deal).await;
        }
        Ok(None) => {}
        Err(broken) => tracing::warn!(%node, cause = broken.detail(), "A node was not told"),
    }
}

/// Lists the node as less loaded, and has the first job that waits for such a place look for one. `node` as it
/// was read, with the job or without it.
pub(crate) async fn vacated(
    ctx: &Ctx,
    call: &Call,
    node: &NodeRow,
    job: JobId,
    deal: &CreatorDeal,
) {
    let (kind, gpu) = (deal.kind.as_str(), deal.gpu);
    let rank = fleet::rank(ctx, node, job, kind, gpu);
    let (ranked, offered) = tokio::join!(rank, offer(ctx, call, node.id, 1, Some(job)));
    if let Err(refusal) = ranked.and(offered) {
        tracing::warn!(node = %node.id, %job, %refusal, "A free place was not announced");
    }
}

/// A node has come, and its free places with it.
pub(crate) async fn arrived(ctx: &Ctx, call: &Call, node: &FleetRow) {
    if !node.admitted {
        return;
    }
    let offered = async {
        let held = ctx.store.get::<NodeRow>(&keys::node(node.id)).await?;
        let held = held.map_or(0, |node| node.leases.len());
        let free = (node.slots as usize).saturating_sub(held);
        offer(ctx, call, node.id, free, None).await
    };
    if let Err(refusal) = offered.await {
        tracing::warn!(node = %node.id, %refusal, "A new node's places were not announced");
    }
}

/// Has the first of those who wait for such places look for one, and no more of them than there are places.
async fn offer(
    ctx: &Ctx,
    call: &Call,
    node: ProviderId,
    places: usize,
    ended: Option<JobId>,
) -> Result<(), Refusal> {
    let kinds = fleet::kinds(ctx, node).await?;
    let pages = try_join_all(kinds.into_iter().take(KINDS_MAX).map(async |(kind, gpu)| {
        let (range, order) = (Range::All, Order::Ascending);
        let partition = keys::waiting(&kind, gpu);
        ctx.store.index(Index::State, &partition, range, order, LOOKED_AT, None).await
    }));
    let pages = pages.await?;
    let sorts = pages.iter().flat_map(|page| &page.entries).map(|entry| &entry.sort);
    let waiting = sorts.filter_map(|sort| Some((sort, keys::waiting_of(sort)?)));
    let due = waiting.filter(|(_, (since, job))| *since <= call.now && Some(*job) != ended);
    let mut first: Vec<_> = due.map(|(sort, (_, job))| (sort, job)).collect();
    first.sort_unstable();
    for (_, job) in first.into_iter().take(places) {
        ctx.hint(Queue::Dispatch, &Hint::about(job), 0).await;
    }
    Ok(())
}
