//! What an account used, by day.

use framefair_domain::credits::Credits;
use framefair_domain::id::UserId;
use framefair_store::rows::UsageRow;
use framefair_store::{Order, Range, keys};

pub use super::day::Day;
use crate::{Call, Ctx, Refusal};

/// As far back as anybody may look, in months of the calendar: 90 days touch at most five.
const MONTHS_MAX: usize = 5;

/// The last `days` days, oldest first and today last, those without use among them.
pub async fn usage(
    ctx: &Ctx,
    call: &Call,
    user: UserId,
    days: u32,
) -> Result<Vec<(Day, Credits)>, Refusal> {
    let today = Day::of(call.now);
    let first = today.before(days.saturating_sub(1));
    let months = keys::usage(user, &first.month()).sk..=keys::usage(user, &today.month()).sk;
    let (from, to) = months.into_inner();
    let partition = keys::usage(user, "").pk;
    let range = Range::Between(from, to);
    let rows: Vec<UsageRow> =
        ctx.store.query_range(&partition, range, Order::Ascending, MONTHS_MAX).await?;
    let used = |day: Day| {
        let month = rows.iter().find(|row| row.month == day.month());
        month.and_then(|row| row.days.get(&day.attribute()).copied()).unwrap_or_default()
    };
    Ok((0..days).rev().map(|ago| today.before(ago)).map(|day| (day, used(day))).collect())
}
