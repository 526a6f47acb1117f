//! Numbers for entries, one sequence for the whole platform. A process takes some at once, so that its
//! head is no hot item; those that it does not use are gaps.

use std::ops::Range;
use std::sync::Arc;

use framefair_store::rows::SequenceRow;
use framefair_store::{Update, When, keys};
use tokio::sync::Mutex;

use crate::{Ctx, Refusal};

const TOGETHER: i64 = 64;

/// What a process has taken and not used yet. Cheap to clone; all clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbers(Arc<Mutex<Range<i64>>>);

impl Numbers {
    /// A number that nobody else ever gets, from 1.
    pub(crate) async fn take(&self, ctx: &Ctx) -> Result<i64, Refusal> {
        let mut left = self.0.lock().await;
        if left.is_empty() {
            let update = Update::at(keys::entry_numbers(), When::Always).add("next", TOGETHER);
            let next = ctx.store.update_returning::<SequenceRow>(update).await?.next;
            *left = next - TOGETHER + 1..next + 1;
        }
        left.next().ok_or(Refusal::Busy)
    }
}
