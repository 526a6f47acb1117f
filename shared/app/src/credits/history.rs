//! The movements of an account, newest first. Entries are numbered without gaps, so an offset is a key
//! and a total is a number: a page costs the same wherever it lies.

use framefair_domain::id::UserId;
use framefair_store::rows::EntryRow;
use framefair_store::{Order, Range, keys};

use super::balance;
use crate::{Ctx, Refusal};

#[derive(Debug)]
pub struct History {
    pub entries: Vec<EntryRow>,
    /// All entries of the account.
    pub total: u64,
}

/// At most `limit` entries after the newest `offset`.
pub async fn history(ctx: &Ctx, user: UserId, offset: u64, limit: u64) -> Result<History, Refusal> {
    let total = balance(ctx, user).await?.entries;
    let newest = total.saturating_sub(offset);
    let oldest = newest.saturating_sub(limit) + 1;
    if newest == 0 || limit == 0 {
        return Ok(History { entries: Vec::new(), total });
    }
    let (from, to) = (keys::entry(user, oldest), keys::entry(user, newest));
    let range = Range::Between(from.sk, to.sk);
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let entries = ctx.store.query_range(&to.pk, range, Order::Descending, most).await?;
    Ok(History { entries, total })
}
