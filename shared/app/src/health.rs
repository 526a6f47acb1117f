//! Whether this deployment can work, found out by asking.

use framefair_domain::time::{MINUTE_MS, Timestamp};
use framefair_store::keys;
use framefair_store::rows::StatisticsRow;

use crate::{Call, Ctx, rates};

/// What answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    pub table: bool,
    /// What counts calls and keeps revocations: the same table, by a write.
    pub counters: bool,
}

pub async fn ready(ctx: &Ctx, call: &Call) -> Ready {
    let number = call.now.0.div_euclid(MINUTE_MS);
    let window = rates::Window {
        route: "ready".into(),
        caller: "anybody".into(),
        number,
        end: Timestamp((number + 1) * MINUTE_MS),
    };
    let item = keys::statistics(0);
    let (read, counted) =
        tokio::join!(ctx.store.get::<StatisticsRow>(&item), rates::count(ctx, &window, 1));
    Ready { table: read.is_ok(), counters: counted.is_ok() }
}
