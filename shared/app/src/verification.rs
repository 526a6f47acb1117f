//! The gate between a node's delivery and its pay. A worker looks at the pictures; what its verdict
//! means for the job and the money is decided here.

use framefair_domain::id::JobId;
use framefair_domain::job::{Event, State};
use framefair_store::keys;
use framefair_store::rows::{AnyJob, CreatorJob, Delivered, MarketJob, OutputFormat, ProviderRow};
use serde::Serialize;
use tokio_util::io::SyncIoBridge;

use crate::delivery::{self, AttemptEnd, book_attempt, end_attempt};
use crate::statistics::Count;
use crate::write::step;
use crate::{Broken, Call, Ctx, Refusal, Report, settlement};

const TRIES: usize = 8;

/// What one delivered frame is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FrameHash {
    pub frame: i32,
    /// SHA-256 of the decoded pixels, lower-case hex.
    pub pixels: String,
    pub bytes: u64,
}

/// What is to be looked at.
#[derive(Clone, Debug)]
pub struct Inspection {
    pub job: JobId,
    pub epoch: u32,
    pub node: framefair_domain::id::ProviderId,
    pub frames: Vec<i32>,
    pub width: u32,
    pub height: u32,
    pub output: OutputFormat,
    /// Whether frames that are all alike are no delivery, if something in the scene is animated.
    pub own_range: bool,
    pub scene: String,
    /// The name of the file that is served.
    pub result_name: String,
    /// The scene's file name without its extension, which frames in a zip are named by.
    pub stem: String,
    pub render_ms: u64,
}

impl Inspection {
    /// Where the node put frame `frame`.
    pub fn staged(&self, frame: i32) -> String {
        keys::object::staged_frame(self.job, self.epoch, frame)
    }

    /// Where a provider that hands in over HTTP put all of them.
    pub fn staged_zip(&self) -> String {
        keys::object::staged_zip(self.job, self.epoch)
    }
}

/// What was handed in under a lease.
#[derive(Debug)]
pub enum HandedIn {
    Frames(Inspection),
    /// What a creator's job came to.
    Result(Box<CreatorJob>),
}

/// What a hint asks to look at; none when the lease it speaks of is over.
pub async fn handed_in(ctx: &Ctx, id: JobId, report: Report) -> Result<Option<HandedIn>, Refusal> {
    let Some(job) = ctx.job(id).await? else { return Ok(None) };
    let Some(lease) = job.task.lease else { return Ok(None) };
    if job.task.epoch != report.epoch || !job.state.is_leased() {
        return Ok(None);
    }
    let job = match job.which() {
        AnyJob::Market(job) => job,
        AnyJob::Creator(job) => return Ok(Some(HandedIn::Result(Box::new(job)))),
    };
    Ok(Some(HandedIn::Frames(Inspection {
        job: id,
        epoch: report.epoch,
        node: lease.node,
        frames: job.frames(),
        width: job.deal.settings.width,
        height: job.deal.settings.height,
        output: job.deal.settings.output,
        own_range: job.deal.settings.own_range,
        scene: job.scene_object(),
        result_name: job.result_name(),
        stem: job.deal.scene.stem().to_owned(),
        render_ms: report.render_ms,
    })))
}

/// Whether the scene has keyframes. Reads the whole file, so only those ask who have a reason to.
pub async fn is_animated(ctx: &Ctx, seen: &Inspection) -> Result<bool, Refusal> {
    let Some(scene) = ctx.store.objects().open(&seen.scene).await? else { return Ok(false) };
    let file = SyncIoBridge::new(Box::pin(scene.body.into_async_read()));
    let walked = tokio::task::spawn_blocking(move || framefair_blend::has_keyframes(file)).await;
    Ok(walked.map_err(|panic| Broken(panic.to_string()))? == Some(true))
}

/// A delivery that passed: the frames' pixel hashes, and the file to serve.
#[derive(Debug)]
pub struct Passed {
    pub frames: Vec<FrameHash>,
    pub file: PassedFile,
}

#[derive(Debug)]
pub enum PassedFile {
    /// The one frame, exactly the bytes that were looked at.
    Picture(Vec<u8>),
    /// Several frames in one zip.
    Zip(std::path::PathBuf),
}

/// Stores the result and owes the provider its price. The file that is served is written from the
/// bytes that were verified, to a place that no node can write to.
pub async fn accept(
    ctx: &Ctx,
    call: &Call,
    seen: &Inspection,
    passed: Passed,
) -> Result<(), Refusal> {
    let provider = ctx.store.get::<ProviderRow>(&keys::provider(seen.node)).await?;
    let provider =
        provider.ok_or_else(|| Broken(format!("provider {} of a job is gone", seen.node)))?;
    if current(ctx, seen).await?.is_none() {
        return Ok(());
    }
    let result = store_result(ctx, seen, passed).await?;
    // Somebody else's write in between is no reason to lose the verdict.
    for _ in 0..TRIES {
        let Some(mut job) = current(ctx, seen).await? else { return Ok(()) };
        if job.state != State::Verifying {
            step(&mut job, Event::Reported, call.now).map_err(|_| Refusal::StaleLease)?;
        }
        let effects = step(&mut job, Event::Accepted, call.now).map_err(|_| Refusal::StaleLease)?;
        let render_ms = i64::try_from(seen.render_ms).unwrap_or(0);
        job.started.get_or_insert(call.now.plus_ms(-render_ms));
        job.result = Some(result.clone());
        job.error = None;
        settlement::plan_payout(&mut job.deal, provider.wallet)?;
        if ctx.save(&mut job).await?.is_ok() {
            tracing::info!(job = %job.id, node = %seen.node, "A result passed verification");
            ctx.settle(job.id).await;
            book_attempt(ctx, call, seen.node, job.id, effects).await;
            ctx.count(Some(job.id), Count { completed: 1, render_ms, ..Count::default() }).await;
            return Ok(());
        }
    }
    Err(Refusal::Busy)
}

/// A delivery that did not pass is a failed attempt.
pub async fn reject(ctx: &Ctx, call: &Call, seen: &Inspection, why: &str) -> Result<(), Refusal> {
    let Some(job) = current(ctx, seen).await? else { return Ok(()) };
    tracing::warn!(job = %job.id, node = %seen.node, why, "A result did not pass verification");
    match end_attempt(ctx, call, job.into(), AttemptEnd::Rejected, why.to_owned()).await {
        Err(Refusal::StaleLease) | Ok(_) => Ok(()),
        Err(refusal) => Err(refusal),
    }
}

/// What the relay tells the node about its report, once it is dealt with.
pub async fn outcome(ctx: &Ctx, id: JobId, epoch: u32) -> Result<Option<State>, Refusal> {
    let job = ctx.job(id).await?.ok_or(Refusal::NotFound)?;
    let pending = job.task.epoch == epoch && job.state.is_leased();
    Ok((!pending).then_some(job.state))
}

async fn current(ctx: &Ctx, seen: &Inspection) -> Result<Option<MarketJob>, Refusal> {
    match delivery::held_lease(ctx, seen.node, seen.job, seen.epoch).await {
        Ok(job) => Ok(job.market()),
        Err(Refusal::StaleLease) => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

async fn store_result(ctx: &Ctx, seen: &Inspection, passed: Passed) -> Result<Delivered, Refusal> {
    let key = keys::object::result(seen.job, seen.epoch, &seen.result_name);
    let objects = ctx.store.objects();
    let bytes = match passed.file {
        PassedFile::Picture(picture) => {
            let bytes = picture.len() as u64;
            objects.put(&key, picture.into(), seen.output.content_type(), false).await?;
            bytes
        }
        PassedFile::Zip(path) => {
            let bytes = tokio::fs::metadata(&path).await.map_or(0, |file| file.len());
            objects.put_file(&key, &path, "application/zip", false).await?;
            bytes
        }
    };
    let pixels = match passed.frames.as_slice() {
        [only] => Some(only.pixels.clone()),
        // Of a long job they fill no row of the table.
        several => {
            let list = serde_json::to_vec(several).map_err(|error| Broken(error.to_string()))?;
            let key = keys::object::frame_hashes(seen.job, seen.epoch);
            objects.put(&key, list.into(), "application/json", false).await?;
            None
        }
    };
    Ok(Delivered { bytes, render_ms: seen.render_ms, pixels })
}
