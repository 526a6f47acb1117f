//! A request about a job bears a name: the same name may not come with anything else.

use framefair_store::Write;
use framefair_store::rows::MarketJob;
use framefair_store::seam::over_again;

use crate::idempotency::{Claiming, IdempotencyKey, Input};
use crate::{Call, Ctx, Refusal};

/// The name of a request about a job, in the name of the job's client. Paying and cancelling answer a
/// repetition by themselves, from the job; what is refused here is a key that comes again with
/// another input.
#[derive(Clone, Debug, Default)]
pub(super) struct Name {
    key: Option<IdempotencyKey>,
    route: &'static str,
    input: String,
}

impl Name {
    pub(super) fn new(key: Option<IdempotencyKey>, route: &'static str, input: String) -> Name {
        Name { key, route, input }
    }

    fn claiming(&self, job: &MarketJob) -> Option<Claiming> {
        let key = self.key.as_ref()?;
        let input = Input::default().with(job.id.to_string()).with(&self.input);
        Some(Claiming::new(key, self.route, &job.deal.client.to_string(), input))
    }

    /// The write that takes the name, to go with what was asked for.
    pub(super) fn taking(&self, call: &Call, job: &MarketJob) -> Option<Write> {
        Some(self.claiming(job)?.put(call, &job.id.to_string()))
    }

    /// Takes the name for what was done before.
    pub(super) async fn take(
        &self,
        ctx: &Ctx,
        call: &Call,
        job: &MarketJob,
    ) -> Result<(), Refusal> {
        let Some(claiming) = self.claiming(job) else { return Ok(()) };
        claiming.claim(ctx, call, &job.id.to_string()).await.map(drop)
    }

    /// Whether it was this very request that had the name before.
    pub(super) async fn check(
        &self,
        ctx: &Ctx,
        call: &Call,
        job: &MarketJob,
    ) -> Result<(), Refusal> {
        let Some(claiming) = self.claiming(job) else { return Ok(()) };
        over_again(claiming.look(ctx, call)).await.map(drop)
    }
}
