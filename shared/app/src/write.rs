//! One conditional write of a job, and the step of its machine that goes with it.

use framefair_domain::job::{self, Effect, Event};
use framefair_domain::time::Timestamp;
use framefair_store::rows::JobRow;
use framefair_store::{When, Write, WriteFailed};

use crate::{Ctx, Refusal};

/// Somebody else wrote the job first: read it again and decide anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overtaken;

/// Moves `job` by `event` and says what must happen with it.
pub(crate) fn step(
    job: &mut JobRow,
    event: Event,
    now: Timestamp,
) -> Result<&'static [Effect], job::Refused> {
    let (state, effects) = job::next(job.state, event)?;
    job.state = state;
    if state.is_final() {
        job.ended = Some(now);
    }
    if !state.is_leased() {
        job.task.lease = None;
    }
    Ok(effects)
}

/// The write that replaces the job as it was read by the job as it is now.
pub(crate) fn replace(job: &mut JobRow) -> Write {
    let read = job.rev;
    job.rev += 1;
    Write::put(job, When::Rev(read))
}

impl Ctx {
    /// Writes `job` unless somebody else was faster.
    pub(crate) async fn save(&self, job: &mut JobRow) -> Result<Result<(), Overtaken>, Refusal> {
        match self.store.write(replace(job)).await {
            Ok(()) => Ok(Ok(())),
            Err(WriteFailed::Condition) => Ok(Err(Overtaken)),
            Err(WriteFailed::Broken(broken)) => Err(broken.into()),
        }
    }
}
