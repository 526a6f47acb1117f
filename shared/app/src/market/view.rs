//! A job as its client may see it.

use framefair_domain::id::JobId;
use framefair_domain::job::State;
use framefair_domain::settlement::Inflow;
use framefair_store::keys;
use framefair_store::rows::{Delivered, JobRow, MarketJob, ProgressRow};
use sha2::{Digest, Sha256};

use crate::{Broken, Ctx, Refusal};

/// How long a download link is good.
const LINK_SECONDS: u64 = 300;
/// What fits through the API.
const INLINE_BYTES_MAX: u64 = 4_500_000;

#[derive(Debug)]
pub struct JobView {
    pub job: MarketJob,
    /// Of the current attempt, once there is any.
    pub progress: Option<ProgressRow>,
}

impl JobView {
    /// Work shows before the job's own row says so: progress is written, its start is not.
    pub fn is_rendering(&self) -> bool {
        matches!(self.job.state, State::Running | State::Verifying)
            || (self.job.state == State::Dispatched && self.progress.is_some())
    }
}

/// The job for somebody who shows `token`. A private job is missing for whoever has not got its own.
pub async fn job(ctx: &Ctx, id: JobId, token: Option<&str>) -> Result<JobView, Refusal> {
    let view = view(ctx, id).await?;
    may_read(&view.job, token)?;
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
    Ok(JobView { job, progress })
}

/// A link to the finished file.
pub async fn result_url(ctx: &Ctx, id: JobId, token: Option<&str>) -> Result<String, Refusal> {
    let job = finished(ctx, id, token).await?.0;
    let (object, name) = (job.result_object(), job.result_name());
    let objects = ctx.store.objects();
    let link = objects.presign_get(&object, LINK_SECONDS, Some(&name), Some(job.result_type()));
    Ok(link.await?)
}

#[derive(Debug)]
pub struct ResultFile {
    pub content_type: &'static str,
    pub bytes: Vec<u8>,
}

/// The finished file itself, when it is small enough to go through the API.
pub async fn result_file(ctx: &Ctx, id: JobId, token: Option<&str>) -> Result<ResultFile, Refusal> {
    let (job, result) = finished(ctx, id, token).await?;
    if result.bytes > INLINE_BYTES_MAX {
        return Err(Refusal::invalid(
            "the result is larger than 4.5 MB; ask without redirect=false and follow the redirect",
        ));
    }
    let bytes = ctx.store.objects().get(&job.result_object(), INLINE_BYTES_MAX).await?;
    let bytes = bytes.ok_or_else(|| Broken(format!("the result of job {id} is gone")))?;
    Ok(ResultFile { content_type: job.result_type(), bytes: bytes.to_vec() })
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
