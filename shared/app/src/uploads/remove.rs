//! What nobody took over goes: the object, its parts, its row, and its place in the quota. In an
//! order that a crash may cut anywhere, with the row last.

use framefair_domain::id::{JobId, UploadId};
use framefair_store::objects::InParts;
use framefair_store::rows::{JobRow, UploadKind, UploadRow};
use framefair_store::{When, Write, keys};

use super::release;
use crate::{Call, Ctx, Refusal};

/// Removes an upload and its file.
async fn remove(ctx: &Ctx, upload: &UploadRow) -> Result<(), Refusal> {
    let (objects, object) = (ctx.store.objects(), upload.object());
    objects.drop_parts(InParts { key: &object, id: &upload.parts }).await?;
    objects.delete(&object).await?;
    release(ctx, &upload.from, &upload.id.to_string()).await?;
    Ok(ctx.store.write(Write::delete(keys::upload(upload.id), When::Always)).await?)
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
    let (upload, job) = (keys::upload(id), keys::job(JobId(id.0)));
    let (upload, job) =
        tokio::try_join!(ctx.store.get::<UploadRow>(&upload), ctx.store.get::<JobRow>(&job))?;
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
pub(crate) async fn release_paid(ctx: &Ctx, job: &JobRow) {
    if job.scene.bytes <= super::INLINE_BYTES_MAX {
        return;
    }
    let name = job.id.to_string();
    let released = async {
        let upload = ctx.store.get::<UploadRow>(&keys::upload(UploadId(job.id.0))).await?;
        if let Some(upload) = upload {
            release(ctx, &upload.from, &name).await?;
        }
        release(ctx, &job.client.to_string(), &name).await
    };
    if let Err(refusal) = framefair_store::seam::labelled("quota", released).await {
        tracing::warn!(job = %job.id, %refusal, "A quota is released by time alone");
    }
}
