//! What the end of a job means for the credits that it holds.

use framefair_domain::id::JobId;
use framefair_domain::job::RETRIES_MAX;
use framefair_domain::time::Timestamp;
use framefair_store::rows::{CreatorDeal, CreatorJob, DeadLetterRow, Direction, Source, Task};
use framefair_store::{Update, When, Write, keys};

use crate::credits::{DrawsOn, Posting};

/// What was held is free again, and one more job has failed; goes with the write that ends the job.
pub(crate) fn void(deal: &CreatorDeal) -> Write {
    let price = deal.price.0;
    let freed = Update::at(keys::balance(deal.user), When::Present).add("failed", 1);
    if price == 0 { freed.into() } else { freed.add("available", price).add("held", -price).into() }
}

/// One more job is complete that costs nothing; an entry counts it itself.
pub(super) fn completed(deal: &CreatorDeal) -> Write {
    Update::at(keys::balance(deal.user), When::Present).add("completed", 1).into()
}

/// What was held is spent: the entry that goes with the write that completes the job. None for what costs
/// nothing.
pub(super) fn charge(job: &CreatorJob) -> Option<Posting> {
    let deal = &job.deal;
    (deal.price.0 != 0).then(|| Posting {
        user: deal.user,
        kind: "job",
        reference: format!("job-{}", job.id),
        amount: deal.price,
        direction: Direction::Debit,
        source: Source::Usage,
        description: Some(format!("Job execution: {}", deal.kind)),
        draws_on: DrawsOn::Hold,
    })
}

/// What an admin finds of a job that all attempts failed at.
pub(crate) fn given_up(job: JobId, task: &Task, deal: &CreatorDeal, now: Timestamp) -> Write {
    let letter = DeadLetterRow {
        job,
        payload: deal.payload.clone(),
        errors: deal.errors.clone(),
        failed: now,
        retries: task.failures.min(RETRIES_MAX),
    };
    Write::put(&letter, When::Always)
}
