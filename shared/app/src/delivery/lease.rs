//! Who holds a task, and what that entitles to.

use framefair_domain::id::{JobId, ProviderId};
use framefair_domain::job::Effect;
use framefair_store::rows::{JobRow, Lease, NodeRow, OutputFormat};
use framefair_store::{Queue, keys};

use super::connection::{Session, change_node};
use crate::{Call, Ctx, Hint, Refusal};

/// A scene may take this long to fetch before its link must be asked for again.
const SCENE_LINK_SECONDS: u64 = 3_600;

/// What a node needs to render a task.
#[derive(Debug)]
pub struct Order {
    pub job: JobRow,
    pub lease: Lease,
    pub scene_url: String,
}

/// The order for the current lease; none when there is no lease to fulfil.
pub async fn assignment(ctx: &Ctx, id: JobId) -> Result<Option<Order>, Refusal> {
    let job = ctx.store.get::<JobRow>(&keys::job(id)).await?.ok_or(Refusal::NotFound)?;
    let Some(lease) = job.task.lease.filter(|_| job.state.is_leased()) else { return Ok(None) };
    let object = job.scene_object();
    let scene_url =
        ctx.store.objects().presign_get(&object, SCENE_LINK_SECONDS, None, None).await?;
    Ok(Some(Order { job, lease, scene_url }))
}

/// Who holds the job's task, if anybody.
pub async fn holder(ctx: &Ctx, id: JobId) -> Result<Option<ProviderId>, Refusal> {
    let job = ctx.store.get::<JobRow>(&keys::job(id)).await?;
    Ok(job.filter(|job| job.state.is_leased()).and_then(|job| job.task.lease).map(|l| l.node))
}

/// The job, if `node` holds its task under exactly this epoch; anything else is stale.
pub(crate) async fn held_lease(
    ctx: &Ctx,
    node: ProviderId,
    id: JobId,
    epoch: u32,
) -> Result<JobRow, Refusal> {
    let job = ctx.store.get::<JobRow>(&keys::job(id)).await?.ok_or(Refusal::StaleLease)?;
    if holds(&job, node, epoch) { Ok(job) } else { Err(Refusal::StaleLease) }
}

/// Whether `node` holds the task under exactly this epoch.
pub(super) fn holds(job: &JobRow, node: ProviderId, epoch: u32) -> bool {
    let its = job.task.lease.is_some_and(|lease| lease.node == node);
    its && job.task.epoch == epoch && job.state.is_leased()
}

/// The same for what a socket says: one that a newer socket of its node replaced holds nothing.
pub(super) async fn held_by(
    ctx: &Ctx,
    session: Session,
    id: JobId,
    epoch: u32,
) -> Result<JobRow, Refusal> {
    let key = keys::node(session.node);
    let node = async { Ok(ctx.store.get::<NodeRow>(&key).await?) };
    let (job, node) = tokio::try_join!(held_lease(ctx, session.node, id, epoch), node)?;
    let stands = node.is_some_and(|node| node.fence == session.fence);
    if stands { Ok(job) } else { Err(Refusal::StaleLease) }
}

/// Takes the job off the node's hands. Doing it twice changes nothing; a loss of it is mended by
/// the next dispatch that finds the node full.
pub async fn release(ctx: &Ctx, call: &Call, node: ProviderId, job: JobId) {
    book_attempt(ctx, call, node, job, &[Effect::ReleaseNode]).await;
}

/// Carries out what the end of an attempt means for its node, in one write: the lease ends, and
/// the attempt is counted if it is one that counts. Doing it twice counts once. What is lost here
/// is mended by the next dispatch that finds the node full.
pub(crate) async fn book_attempt(
    ctx: &Ctx,
    call: &Call,
    node: ProviderId,
    job: JobId,
    effects: &[Effect],
) {
    let completed = effects.contains(&Effect::CountSuccess);
    let finished = completed || effects.contains(&Effect::CountFailure);
    let booked = change_node(ctx, call, node, |node| {
        if node.leases.remove(&job.to_string()).is_none() {
            return false;
        }
        node.finished += u64::from(finished);
        node.completed += u64::from(completed);
        true
    });
    match booked.await {
        // The node waits to hear what became of its work.
        Ok(Some(NodeRow { connection: Some(connection), .. })) => {
            ctx.hint(Queue::Relay(connection.relay), &Hint::to(node, job), 0).await;
        }
        Ok(_) => {}
        Err(refusal) => {
            tracing::warn!(%node, %job, %refusal, "A node's lease was not taken off its row");
        }
    }
}

/// The words of the contract.
pub fn output_word(output: OutputFormat) -> &'static str {
    match output {
        OutputFormat::Png => "PNG",
        OutputFormat::Jpeg => "JPEG",
        OutputFormat::Exr => "EXR",
    }
}
