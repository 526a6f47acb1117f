//! What may leave escrow within a day: a fault that pays too much, or too often, ends here.

use framefair_domain::money::Lamports;
use framefair_domain::time::{DAY_MS, Timestamp};
use framefair_store::seam::labelled;
use framefair_store::{Check, Update, When, Write, WriteFailed, keys};

use crate::{Call, Ctx, Refusal};

const ROUTE: &str = "payouts";

/// Counts what is about to be stored and sent, before it is: whoever fails in between, or does the same twice, has
/// counted too much, never too little. Where the day has no room for it, says when the next one begins, in
/// milliseconds from now. Without a cap nothing is counted.
pub(super) async fn take(ctx: &Ctx, call: &Call, sum: Lamports) -> Result<Option<i64>, Refusal> {
    let Some(cap) = ctx.platform.payout_cap else { return Ok(None) };
    let day = call.now.0.div_euclid(DAY_MS);
    let next = Timestamp((day + 1) * DAY_MS);
    let full = Some(next.since_ms(call.now));
    let Some(room) = cap.checked_sub(sum) else { return Ok(full) };
    let (lamports, room) = (i64::try_from(sum.0), room.0);
    let Ok(lamports) = lamports else { return Ok(full) };
    let of = keys::rate_window(ROUTE, &ctx.platform.escrow.to_string(), day);
    let update = Update::at(of, When::Always)
        .add("lamports", lamports)
        .set("expires", next.seconds() + 60)
        .require_any([Check::missing("lamports"), Check::at_most("lamports", room)]);
    match labelled("rate", ctx.store.write(Write::update(update))).await {
        Ok(()) => Ok(None),
        Err(WriteFailed::Condition) => Ok(full),
        Err(other) => Err(other.into()),
    }
}
