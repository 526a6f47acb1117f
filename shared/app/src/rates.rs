//! How often a caller asks, counted by all processes of a deployment together.

use framefair_domain::time::Timestamp;
use framefair_store::rows::RateRow;
use framefair_store::seam::labelled;
use framefair_store::{Update, When, keys};

use crate::{Ctx, Refusal};

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
