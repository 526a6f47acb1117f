//! Who holds a task, and what that entitles to.

use framefair_domain::id::{JobId, ProviderId};
use framefair_domain::job::{Effect, Event};
use framefair_domain::time::Timestamp;
use framefair_store::rows::{AnyJob, JobRow, Lease, MarketJob, NodeRow, OutputFormat};
use framefair_store::{Check, Queue, Update, When, WriteFailed, keys};

use super::Session;
use super::payload::{Payload, payload};
use crate::write::step;
use crate::{Call, Ctx, Hint, Refusal};

/// What is to be worked on may take this long to fetch before its link must be asked for again.
pub(super) const LINK_SECONDS: u64 = 3_600;

/// What a node needs to do a task.
#[derive(Debug)]
pub struct Order {
    pub lease: Lease,
    pub epoch: u32,
    pub work: Work,
}

#[derive(Debug)]
pub enum Work {
    /// Frames of a scene that lies here.
    Frames {
        job: Box<MarketJob>,
        scene_url: String,
    },
    Payload(Box<Payload>),
}

/// The order for the current lease; none when there is no lease to fulfil.
pub async fn assignment(ctx: &Ctx, id: JobId) -> Result<Option<Order>, Refusal> {
    let job = ctx.job(id).await?.ok_or(Refusal::NotFound)?;
    let Some(lease) = job.task.lease.filter(|_| job.state.is_leased()) else { return Ok(None) };
    let epoch = job.task.epoch;
    let work = match job.which() {
        AnyJob::Market(job) => {
            let (objects, object) = (ctx.store.objects(), job.scene_object());
            let scene_url = objects.presign_get(&object, LINK_SECONDS, None, None).await?;
            Work::Frames { job: Box::new(job), scene_url }
        }
        AnyJob::Creator(job) => Work::Payload(Box::new(payload(ctx, job, &lease).await?)),
    };
    Ok(Some(Order { lease, epoch, work }))
}

/// The next lease of a queued job is this node's.
pub(crate) fn grant<D>(
    ctx: &Ctx,
    call: &Call,
    job: &mut JobRow<D>,
    node: ProviderId,
    pushed: bool,
) -> Result<(), Refusal> {
    step(job, Event::Leased, call.now).map_err(|_| Refusal::Busy)?;
    let until = call.now.plus_ms(ctx.platform.lease_max_ms);
    job.task.epoch += 1;
    job.task.not_before = None;
    job.task.lease = Some(Lease { node, since: call.now, until, pushed, handed_in_ms: None });
    Ok(())
}

/// Ends a queued job that nobody takes, if it still is one.
pub(crate) fn give_up<D>(call: &Call, job: &mut JobRow<D>, nobody: &str) -> bool {
    if step(job, Event::NobodyLeft, call.now).is_err() {
        return false;
    }
    job.error = Some(match job.error.take() {
        Some(before) => format!("{nobody}. The last attempt failed: {before}"),
        None => nobody.into(),
    });
    true
}

/// Who holds the job's task, if anybody.
pub async fn holder(ctx: &Ctx, id: JobId) -> Result<Option<ProviderId>, Refusal> {
    let job = ctx.job(id).await?;
    Ok(job.filter(|job| job.state.is_leased()).and_then(|job| job.task.lease).map(|l| l.node))
}

/// The job, if `node` holds its task under exactly this epoch; anything else is stale.
pub(crate) async fn held_lease(
    ctx: &Ctx,
    node: ProviderId,
    id: JobId,
    epoch: u32,
) -> Result<JobRow, Refusal> {
    let job = ctx.job(id).await?.ok_or(Refusal::StaleLease)?;
    if holds(&job, node, epoch) { Ok(job) } else { Err(Refusal::StaleLease) }
}

/// Whether `node` holds the task under exactly this epoch.
pub(super) fn holds<D>(job: &JobRow<D>, node: ProviderId, epoch: u32) -> bool {
    let its = job.task.lease.is_some_and(|lease| lease.node == node);
    its && job.task.epoch == epoch && job.state.is_leased()
}

/// The same for what a socket says: one that a newer socket of its node replaced holds nothing.
pub(crate) async fn held_by(
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
    let holds = Check::exists(["leases", &job.to_string()]);
    let booking = booking(node, job, effects, Some(call.now)).require(holds);
    match ctx.store.update_returning::<NodeRow>(booking).await {
        Ok(node) => tell(ctx, &node, job).await,
        Err(WriteFailed::Condition) => {}
        Err(WriteFailed::Broken(broken)) => {
            let cause = broken.detail();
            tracing::warn!(%node, %job, cause, "A node's lease was not taken off its row");
        }
    }
}

/// The write that takes the job off the node's hands, for where the end of the attempt goes with it. A failure
/// closes the node in the end, unless it `counts` not: one job must not do that alone.
pub(crate) fn booking(
    node: ProviderId,
    job: JobId,
    effects: &[Effect],
    counts: Option<Timestamp>,
) -> Update {
    let completed = effects.contains(&Effect::CountSuccess);
    let finished = completed || effects.contains(&Effect::CountFailure);
    let booking = Update::at(keys::node(node), When::Present)
        .remove(["leases", &job.to_string()])
        .add("finished", i64::from(finished))
        .add("completed", i64::from(completed))
        .add("rev", 1);
    match (completed, finished) {
        (true, _) => booking.set("failures", 0),
        (false, true) => match counts {
            Some(now) => booking.add("failures", 1).set("failed", now),
            None => booking,
        },
        (false, false) => booking,
    }
}

/// The node waits to hear what became of its work.
pub(crate) async fn tell(ctx: &Ctx, node: &NodeRow, job: JobId) {
    if let Some(connection) = &node.connection {
        ctx.hint(Queue::Relay(connection.relay), &Hint::to(node.id, job), 0).await;
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
