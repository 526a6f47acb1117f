//! What a job leaves in the bucket besides its result: the scene, and whatever nodes staged. All of
//! it has names that follow from the job, so nothing is listed and nothing is searched for.

use framefair_store::keys;
use framefair_store::rows::MarketJob;

use crate::{Ctx, Refusal};

/// Removes both; done twice it changes nothing. Comes before the write that takes the job out of
/// the index of what is due, so that a crash in between repeats it.
pub(crate) async fn leavings(ctx: &Ctx, job: &MarketJob) -> Result<(), Refusal> {
    let staged = (1..=job.task.epoch).flat_map(|epoch| {
        let frames = job.frames().into_iter();
        let frames = frames.map(move |frame| keys::object::staged_frame(job.id, epoch, frame));
        let whole = match job.deal.settings.frames.count() {
            1 => keys::object::staged_frame(job.id, epoch, job.deal.settings.frames.start),
            _ => keys::object::staged_zip(job.id, epoch),
        };
        let mark = keys::object::staged_mark(&whole);
        frames.chain([keys::object::staged_zip(job.id, epoch), mark])
    });
    let all: Vec<String> = staged.chain([job.scene_object()]).collect();
    Ok(ctx.store.objects().delete_many(&all).await?)
}

/// The same at the end of a settlement, which waits for nothing that is not money. What is lost
/// here goes by the bucket's own rules.
pub(crate) async fn leavings_of_the_end(ctx: &Ctx, job: &MarketJob) {
    if let Err(refusal) = leavings(ctx, job).await {
        tracing::warn!(job = %job.id, %refusal, "A job's scene stays behind");
    }
}
