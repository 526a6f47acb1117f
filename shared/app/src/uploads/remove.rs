//! What nobody took over goes: the object, its parts, its row, and its place in the quota. In an
//! order that a crash may cut anywhere, with the row last.

use framefair_domain::id::{JobId, UploadId};
use framefair_store::objects::InParts;
use framefair_store::rows::{MarketJob, UploadKind, UploadRow};
use framefair_store::{When, Write, keys};

use super::quota::{release, releasing};
use crate::{Call, Ctx, Refusal};

/// Removes an upload and its file.
async fn remove(ctx: &Ctx, upload: &UploadRow) -> Result<(), Refusal> {
    remove_file(ctx, upload).await?;
    release(ctx, &upload.from, &upload.id.to_string()).await?;
    Ok(ctx.store.write(Write::delete(keys::upload(upload.id), When::Always)).await?)
}

async fn remove_file(ctx: &Ctx, upload: &UploadRow) -> Result<(), Refusal> {
    let (objects, object) = (ctx.store.objects(), upload.object());
    objects.drop_parts(InParts { key: &object, id: &upload.parts }).await?;
    Ok(objects.delete(&object).await?)
}

/// The writes by which an upload is nobody's any more; its file is to be dropped after them. What
/// counts towards a quota was counted there before, so its row is there.
pub(crate) fn leaving(upload: &UploadRow) -> Vec<Write> {
    let gone = Write::delete(keys::upload(upload.id), When::Always);
    vec![gone, releasing(&upload.from, &upload.id.to_string()).into()]
}

/// Removes the file of an upload that is nobody's any more. What is lost here goes by the bucket's
/// own rules.
pub(crate) async fn drop_file(ctx: &Ctx, upload: &UploadRow) {
    if let Err(refusal) = remove_file(ctx, upload).await {
        tracing::warn!(upload = %upload.id, %refusal, "A file that was taken over stays behind");
    }
}

/// Removes what the ingest took in for nothing. What is lost here the sweeper finds.
pub async fn forget(ctx: &Ctx, upload: &UploadRow) {
    if let Err(refusal) = remove(ctx, upload).await {
        tracing::warn!(upload = %upload.id, %refusal, "An upload is left to the sweeper");
    }
}

/// Looks at an upload whose time is over. A scene that a job has taken over is the job's, and goes
/// with it; anything else goes now.
pub(crate) async fn sweep(ctx: &Ctx, call: &Call, id: UploadId) -> Result<(), Refusal> {
    let upload = keys::upload(id);
    let upload = async { Ok(ctx.store.get::<UploadRow>(&upload).await?) };
    let (upload, job) = tokio::try_join!(upload, ctx.market_job(JobId(id.0)))?;
    let Some(upload) = upload.filter(|upload| upload.swept() <= call.now) else { return Ok(()) };
    if upload.kind == UploadKind::Scene && job.is_some() {
        release(ctx, &upload.from, &id.to_string()).await?;
        return Ok(ctx.store.write(Write::delete(keys::upload(id), When::Always)).await?);
    }
    remove(ctx, &upload).await?;
    tracing::info!(upload = %id, "An upload that nobody used was removed");
    Ok(())
}

/// A scene that is paid for, or gone, fills no quota any more. Small ones never did.
pub(crate) async fn release_paid(ctx: &Ctx, job: &MarketJob) {
    if job.deal.scene.bytes <= super::INLINE_BYTES_MAX {
        return;
    }
    let name = job.id.to_string();
    let released = async {
        let upload = ctx.store.get::<UploadRow>(&keys::upload(UploadId(job.id.0))).await?;
        if let Some(upload) = upload {
            release(ctx, &upload.from, &name).await?;
        }
        release(ctx, &job.deal.client.to_string(), &name).await
    };
    if let Err(refusal) = released.await {
        tracing::warn!(job = %job.id, %refusal, "A quota is released by time alone");
    }
}
