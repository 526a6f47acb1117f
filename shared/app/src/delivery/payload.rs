//! What a node is told of a creator's job: the payload, and where the result goes.

use framefair_store::keys;
use framefair_store::rows::CreatorJob;

use super::lease::LINK_SECONDS;
use crate::{Ctx, Refusal, jobs};

#[derive(Debug)]
pub struct Payload {
    pub job: CreatorJob,
    /// Without what the clients append for us.
    pub text: String,
    /// For an hour, where the payload lies here.
    pub input_url: Option<String>,
    /// Where the node puts what it made, for an hour; nothing is served from there.
    pub upload_url: String,
    /// What it names that place by.
    pub result_ref: String,
}

pub(super) async fn payload(ctx: &Ctx, job: CreatorJob) -> Result<Payload, Refusal> {
    let objects = ctx.store.objects();
    let staged = keys::object::staged_result(job.id, job.task.epoch);
    let upload_url = objects.presign_drop(&staged, LINK_SECONDS).await?;
    let input_url = match &job.deal.input {
        Some(input) => Some(objects.presign_get(&input.object, LINK_SECONDS, None, None).await?),
        None => None,
    };
    let text = jobs::Payload::read(&job.deal.payload).told(ctx.platform.ipfs_gateway.as_deref());
    Ok(Payload { text, input_url, upload_url, result_ref: objects.reference(&staged), job })
}
