//! Every fault that a write may meet, for the tests of credits and of money.

use framefair_app::Ctx;
use framefair_store::seam::{Fault, Faults, WRITES};

/// As often as the store tries one write, so that its caller is told that it failed.
const FOR_GOOD: u64 = 8;

/// Each with how many writes in a row meet it.
const FAULTS: [(Fault, u64); 8] = [
    (Fault::DieBefore, 1),
    (Fault::DieAfter, 1),
    (Fault::Throttle, 1),
    (Fault::Conflict, FOR_GOOD),
    (Fault::ErrorBefore, 1),
    (Fault::TimeoutAfterCommit, 1),
    (Fault::TimeoutAfterCommit, FOR_GOOD),
    (Fault::Duplicate, 1),
];

/// From which write of a process on, which fault, and how often in a row.
pub(crate) type Hit = (u64, Fault, u64);

/// All there are for so many writes.
pub(crate) fn hits(writes: u64) -> impl Iterator<Item = Hit> {
    (1..=writes).flat_map(|nth| FAULTS.map(|(fault, times)| (nth, fault, times)))
}

pub(crate) fn inject(ctx: &Ctx, (nth, fault, times): Hit) {
    let plan = (nth..nth + times).fold(Faults::seeded(1), |plan, at| plan.nth(WRITES, at, fault));
    ctx.store.seam().inject(plan);
}

/// How often this process has written to the table.
pub(crate) fn writes(ctx: &Ctx) -> u64 {
    let costs = ctx.store.seam().snapshot();
    let is_write = |op: &str| ["PutItem", "UpdateItem", "TransactWriteItems"].contains(&op);
    costs.iter().filter(|cost| is_write(&cost.op)).map(|cost| cost.calls).sum()
}
