//! How often a caller asks, counted by all processes of a deployment together.

use framefair_domain::time::Timestamp;
use framefair_store::rows::RateRow;
use framefair_store::seam::labelled;
use framefair_store::{Update, When, keys};

use crate::{Call, Ctx, Refusal};

/// A count of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    pub route: String,
    /// Whoever counts as one.
    pub caller: String,
    pub number: i64,
    pub end: Timestamp,
}

/// Adds so many calls, and says how many there are by now. A call whose outcome stays unknown is an
/// error, so that nobody is counted twice.
pub async fn count(ctx: &Ctx, window: &Window, calls: u32) -> Result<u32, Refusal> {
    let update =
        Update::at(keys::rate_window(&window.route, &window.caller, window.number), When::Always)
            .add("calls", calls.into())
            .set("expires", window.end.seconds() + 60);
    Ok(labelled("rate", ctx.store.update_returning::<RateRow>(update)).await?.calls)
}

const MINUTE_S: i64 = 60;

/// Counts one call of an account within this minute, and refuses what is too much. Where it cannot be
/// counted it is refused, too.
pub(crate) async fn spend(
    ctx: &Ctx,
    call: &Call,
    route: &str,
    account: &str,
    per_minute: u32,
) -> Result<(), Refusal> {
    if !ctx.platform.rate_limits {
        return Ok(());
    }
    let number = call.now.seconds().div_euclid(MINUTE_S);
    let end = Timestamp((number + 1) * MINUTE_S * 1_000);
    let window = Window { route: route.to_owned(), caller: account.to_owned(), number, end };
    match count(ctx, &window, 1).await {
        Ok(calls) if calls <= per_minute => Ok(()),
        Ok(_) => Err(Refusal::TooOften),
        Err(refusal) => {
            tracing::warn!(%refusal, route, "A call could not be counted");
            Err(Refusal::Busy)
        }
    }
}
