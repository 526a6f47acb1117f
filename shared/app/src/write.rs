//! One conditional write of a job, and the step of its machine that goes with it.

use framefair_domain::id::JobId;
use framefair_domain::job::{self, Effect, Event};
use framefair_domain::time::Timestamp;
use framefair_store::rows::{Dealt, JobRow, MarketJob};
use framefair_store::{TransactFailed, When, Write, WriteFailed, keys};

use crate::{Ctx, Refusal};

/// Somebody else wrote the job first: read it again and decide anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overtaken;

/// Moves `job` by `event` and says what must happen with it.
pub(crate) fn step<D>(
    job: &mut JobRow<D>,
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
pub(crate) fn replace<D: Dealt>(job: &mut JobRow<D>) -> Write {
    let read = job.rev;
    job.rev += 1;
    job.deal.written();
    Write::put(job, When::Rev(read))
}

/// Whether a write was made, where a condition that did not hold is no error.
pub(crate) trait Done {
    fn done(self) -> Result<bool, Refusal>;
}

impl Done for Result<(), TransactFailed> {
    fn done(self) -> Result<bool, Refusal> {
        match self {
            Ok(()) => Ok(true),
            Err(TransactFailed::Conditions(_) | TransactFailed::Contended) => Ok(false),
            Err(TransactFailed::Broken(broken)) => Err(broken.into()),
        }
    }
}

impl Ctx {
    /// The job, whichever face it belongs to.
    pub(crate) async fn job(&self, id: JobId) -> Result<Option<JobRow>, Refusal> {
        Ok(self.store.get::<JobRow>(&keys::job(id)).await?)
    }

    /// The job, if it is the market's: those of other faces are missing there.
    pub(crate) async fn market_job(&self, id: JobId) -> Result<Option<MarketJob>, Refusal> {
        Ok(self.job(id).await?.and_then(JobRow::market))
    }

    /// All of these or none; a single one needs no transaction.
    pub(crate) async fn all(&self, mut writes: Vec<Write>) -> Result<(), TransactFailed> {
        if writes.len() > 1 {
            return self.store.transact(writes).await;
        }
        let Some(write) = writes.pop() else { return Ok(()) };
        self.store.write(write).await.map_err(|failed| match failed {
            WriteFailed::Condition => TransactFailed::Conditions(vec![0]),
            WriteFailed::Broken(broken) => TransactFailed::Broken(broken),
        })
    }

    /// Writes `job` unless somebody else was faster.
    pub(crate) async fn save<D: Dealt>(
        &self,
        job: &mut JobRow<D>,
    ) -> Result<Result<(), Overtaken>, Refusal> {
        match self.store.write(replace(job)).await {
            Ok(()) => Ok(Ok(())),
            Err(WriteFailed::Condition) => Ok(Err(Overtaken)),
            Err(WriteFailed::Broken(broken)) => Err(broken.into()),
        }
    }
}
