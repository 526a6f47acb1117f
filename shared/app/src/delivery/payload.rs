//! What a node is told of a creator's job: the payload, and where the result goes.

use framefair_domain::time::SECOND_MS;
use framefair_store::keys;
use framefair_store::rows::{CreatorJob, Lease};

use super::lease::LINK_SECONDS;
use crate::{Ctx, Refusal, jobs};

#[derive(Debug)]
pub struct Payload {
    pub job: CreatorJob,
    /// Without what the clients append for us.
    pub text: String,
    /// For an hour, where the payload lies here.
    pub input_url: Option<String>,
    /// Where the node puts what it made, while the lease lasts; nothing is served from there.
    pub upload_url: String,
    /// What it names that place by.
    pub result_ref: String,
}

/// The dialect has no words to ask for another link, so the one for the result outlasts the work, up to this
/// and to the credentials that it was signed with.
const DROP_SECONDS_MAX: u64 = 24 * 3_600;

pub(super) async fn payload(ctx: &Ctx, job: CreatorJob, lease: &Lease) -> Result<Payload, Refusal> {
    let objects = ctx.store.objects();
    let staged = keys::object::staged_result(job.id, job.task.epoch);
    let lasts_s = u64::try_from(lease.until.since_ms(lease.since) / SECOND_MS).unwrap_or(0);
    let lasts_s = lasts_s.clamp(LINK_SECONDS, DROP_SECONDS_MAX);
    let upload_url = objects.presign_drop(&staged, lasts_s).await?;
    let input_url = match &job.deal.input {
        Some(input) => Some(objects.presign_get(&input.object, LINK_SECONDS, None, None).await?),
        None => None,
    };
    let text = jobs::Payload::read(&job.deal.payload).told(ctx.platform.ipfs_gateway.as_deref());
    Ok(Payload { text, input_url, upload_url, result_ref: objects.reference(&staged), job })
}
