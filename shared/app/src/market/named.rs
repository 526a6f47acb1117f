//! A request about a job bears a name: the same name may not come with anything else.

use framefair_domain::id::JobId;
use framefair_store::keys;
use framefair_store::rows::JobRow;

use crate::idempotency::{Claiming, IdempotencyKey, Input};
use crate::{Call, Ctx, Refusal};

/// Claims the key for this input, in the name of the job's client. Paying and cancelling answer a
/// repetition by themselves, from the job; what is refused here is a key that comes again with
/// another input. Without a key nothing is read.
pub async fn name_request(
    ctx: &Ctx,
    call: &Call,
    key: Option<IdempotencyKey>,
    route: &str,
    job: JobId,
    input: &[u8],
) -> Result<(), Refusal> {
    let Some(key) = key else { return Ok(()) };
    let row = ctx.store.get::<JobRow>(&keys::job(job)).await?.ok_or(Refusal::NotFound)?;
    let job = job.to_string();
    let input = Input::default().with(&job).with(input);
    let claiming = Claiming::new(&key, route, &row.client.to_string(), input);
    claiming.claim(ctx, call, &job).await.map(drop)
}
