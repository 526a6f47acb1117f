//! Jobs that were given up, for an admin to look into and to try once more.

use framefair_domain::id::JobId;
use framefair_store::rows::JobRow;
use framefair_store::{Index, Order, Range, When, Write, keys};

use super::dispatch::{Given, Placed, Wish, dispatch_from};
use crate::{Call, Ctx, IdempotencyKey, Refusal};

pub use framefair_store::rows::DeadLetterRow as DeadLetter;

/// So many are listed; those behind them come up as these are redriven.
const LISTED_MAX: usize = 100;

/// The oldest first.
pub async fn dead_letters(ctx: &Ctx) -> Result<Vec<DeadLetter>, Refusal> {
    let (range, order) = (Range::All, Order::Ascending);
    let page = ctx.store.index(Index::State, keys::DEAD, range, order, LISTED_MAX, None).await?;
    Ok(ctx.store.get_many::<DeadLetter>(&page.keys()).await?)
}

/// Dispatches the job's payload as a new job of the same account, once however often it is asked for: the
/// old one stays as it ended.
pub async fn redrive(ctx: &Ctx, call: &mut Call, id: JobId) -> Result<Placed, Refusal> {
    let job = ctx.job(id).await?.and_then(JobRow::creator).ok_or(Refusal::NotFound)?;
    let letter = ctx.store.get::<DeadLetter>(&keys::dead_letter(id)).await?;
    if letter.is_none() {
        return Err(Refusal::Missing("this job was not given up, or was redriven already"));
    }
    let key = IdempotencyKey::new(&format!("redrive-{id}"))?;
    let wish = Wish { job_type: job.deal.kind, payload_ref: job.deal.payload };
    let (user, input) = (job.deal.user, job.deal.input);
    let placed = dispatch_from(ctx, call, user, Some(key), wish, Given::Before(input)).await?;
    ctx.store.write(Write::delete(keys::dead_letter(id), When::Always)).await?;
    Ok(placed)
}
