//! A job as its client may see it.

use framefair_domain::id::JobId;
use framefair_domain::job::State;
use framefair_domain::settlement::Inflow;
use framefair_store::keys;
use framefair_store::rows::{Delivered, JobRow, MarketJob, ProgressRow};
use sha2::{Digest, Sha256};

use crate::{Broken, Call, Ctx, Refusal};

/// How long a download link is good.
const LINK_SECONDS: u64 = 300;
/// What fits through the API.
const INLINE_BYTES_MAX: u64 = 4_500_000;

#[derive(Debug)]
pub struct JobView {
    pub job: MarketJob,
    /// Of the current attempt, once there is any.
    pub progress: Option<ProgressRow>,
    /// Somebody waits for its payment to show on the chain.
    pub confirming: bool,
}

impl JobView {
    /// Work shows before the job's own row says so: progress is written, its start is not.
    pub fn is_rendering(&self) -> bool {
        matches!(self.job.state, State::Running | State::Verifying)
            || (self.job.state == State::Dispatched && self.progress.is_some())
    }
}

/// The job for somebody who shows `token`. A private job is missing for whoever has not got its own.
pub async fn job(
    ctx: &Ctx,
    call: &Call,
    id: JobId,
    token: Option<&str>,
) -> Result<JobView, Refusal> {
    let mut view = view(ctx, id).await?;
    may_read(&view.job, token)?;
    view.confirming = view.job.deal.waiting.is_some_and(|until| until > call.now);
    Ok(view)
}

/// The hash of a token is all that is kept of it, so comparing it tells nobody the token.
fn may_read(job: &MarketJob, token: Option<&str>) -> Result<(), Refusal> {
    let Some(reader) = &job.deal.reader else { return Ok(()) };
    let shown = token.map(token_hash);
    if shown.as_ref() == Some(reader) { Ok(()) } else { Err(Refusal::NotFound) }
}

pub(super) fn token_hash(token: &str) -> String {
    hex::encode(Sha256::digest(token))
}

pub(super) async fn view(ctx: &Ctx, id: JobId) -> Result<JobView, Refusal> {
    let items = ctx.store.partition(&keys::job_partition(id)).await?;
    let (mut job, mut progress) = (None, None);
    for item in items {
        match item.sk() {
            "JOB" => job = item.decode::<JobRow>()?.market(),
            keys::PROGRESS => progress = Some(item.decode::<ProgressRow>()?),
            _ => {}
        }
    }
    let job = job.ok_or(Refusal::NotFound)?;
    let progress = progress.filter(|p| p.epoch == job.task.epoch && job.deal.payment.is_some());
    Ok(JobView { job, progress, confirming: false })
}

/// The finished file, or where it is.
#[derive(Debug)]
pub enum RenderResult {
    At(String),
    File { content_type: &'static str, bytes: Vec<u8> },
}

/// A link to the finished file; or the file itself, if that is wished and it is small enough to go through the API.
pub async fn result(
    ctx: &Ctx,
    id: JobId,
    token: Option<&str>,
    inline: bool,
) -> Result<RenderResult, Refusal> {
    let (job, result) = finished(ctx, id, token).await?;
    let (object, objects) = (job.result_object(), ctx.store.objects());
    if inline && result.bytes <= INLINE_BYTES_MAX {
        let bytes = objects.get(&object, INLINE_BYTES_MAX).await?;
        let bytes = bytes.ok_or_else(|| Broken(format!("the result of job {id} is gone")))?;
        return Ok(RenderResult::File { content_type: job.result_type(), bytes: bytes.to_vec() });
    }
    let name = job.result_name();
    let link = objects.presign_get(&object, LINK_SECONDS, Some(&name), Some(job.result_type()));
    Ok(RenderResult::At(link.await?))
}

async fn finished(
    ctx: &Ctx,
    id: JobId,
    token: Option<&str>,
) -> Result<(MarketJob, Delivered), Refusal> {
    let job = ctx.market_job(id).await?.ok_or(Refusal::NotFound)?;
    may_read(&job, token)?;
    if job.deal.payment.is_none() {
        return Err(Refusal::NeverPaid);
    }
    if job.deal.inflow == Inflow::Reverted {
        return Err(Refusal::NotReady(
            "The payment of this job vanished from the chain; its result is withheld".into(),
        ));
    }
    match (job.state, job.result.clone()) {
        (State::Completed, Some(result)) => Ok((job, result)),
        _ => Err(Refusal::NotReady("Job is not completed".into())),
    }
}
