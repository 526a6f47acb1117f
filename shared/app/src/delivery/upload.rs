//! A frame exists on a node and wants a place to go.

use framefair_domain::id::JobId;
use framefair_store::{Presigned, PutTerms, keys};

use super::{Session, held_by};
use crate::{Ctx, Refusal};

/// How long an upload link is good.
const LINK_SECONDS: u64 = 900;

/// What the node wants to put, as it says.
#[derive(Clone, Copy, Debug)]
pub struct Put {
    pub frame: i32,
    pub size: u64,
    pub sha256: [u8; 32],
}

/// A link for exactly this file under the current lease, good once.
pub async fn want_put(
    ctx: &Ctx,
    session: Session,
    id: JobId,
    epoch: u32,
    put: Put,
) -> Result<Presigned, Refusal> {
    let job = held_by(ctx, session, id, epoch).await?.market().ok_or(Refusal::StaleLease)?;
    if !job.deal.settings.frames.contains(put.frame) {
        return Err(Refusal::Invalid(format!("frame {} is not part of this task", put.frame)));
    }
    if put.size == 0 || put.size > ctx.platform.frame_bytes_max {
        let max = ctx.platform.frame_bytes_max >> 20;
        return Err(Refusal::Invalid(format!("a frame has 1 byte to {max} MiB")));
    }
    let terms = PutTerms {
        size: put.size,
        sha256: put.sha256,
        content_type: job.deal.settings.output.content_type(),
        seconds: LINK_SECONDS,
    };
    let key = keys::object::staged_frame(id, epoch, put.frame);
    Ok(ctx.store.objects().presign_put(&key, terms).await?)
}
