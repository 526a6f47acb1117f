//! Anchors, newest first. They are numbered without gaps, so a page is a list of keys.

use framefair_domain::time::Timestamp;
use framefair_store::keys;
use framefair_store::rows::BatchRow;

use super::{batch, head};
use crate::{Ctx, Refusal};

#[derive(Debug)]
pub struct Anchors {
    pub batches: Vec<BatchRow>,
    /// All that match.
    pub total: u64,
}

/// At most `limit` anchors after the newest `offset`, none of them older than `since`.
pub async fn anchors(
    ctx: &Ctx,
    since: Option<Timestamp>,
    offset: u64,
    limit: u64,
) -> Result<Anchors, Refusal> {
    let newest = head(ctx).await?.map_or(0, |head| head.anchored);
    let oldest = match since {
        Some(since) => first_since(ctx, newest, since).await?,
        None => 1,
    };
    let total = (newest + 1).saturating_sub(oldest);
    let first = offset.min(total);
    let chosen: Vec<_> =
        (first..total).take(usize::try_from(limit).unwrap_or(0)).map(|ago| newest - ago).collect();
    let keys: Vec<_> = chosen.into_iter().map(keys::batch).collect();
    Ok(Anchors { batches: ctx.store.get_many(&keys).await?, total })
}

/// The oldest anchor that is not older than `since`, found by halving: they were anchored in order.
async fn first_since(ctx: &Ctx, newest: u64, since: Timestamp) -> Result<u64, Refusal> {
    let (mut low, mut high) = (1, newest + 1);
    while low < high {
        let middle = low.midpoint(high);
        let at = batch(ctx, middle).await?.anchored.map_or(since, |anchored| anchored.at);
        if at < since { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}
