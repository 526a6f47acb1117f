//! The one plan of a job's money.

use framefair_domain::settlement::{Event, Outflow, Plan, next};
use framefair_domain::wallet::Wallet;
use framefair_store::rows::JobRow;

use crate::{Broken, Refusal};

/// The provider is owed its price.
pub(crate) fn plan_payout(job: &mut JobRow, provider: Wallet) -> Result<(), Refusal> {
    if job.direct {
        return set(job, Plan::direct());
    }
    let paid = paid(job)?;
    let plan = Plan::payout(paid, &job.price, provider, job.client);
    set(job, plan.map_err(|e| Broken(e.to_string()))?)
}

/// The client is owed everything, unless it paid its provider itself.
pub(crate) fn plan_refund(job: &mut JobRow) -> Result<(), Refusal> {
    if job.direct {
        return set(job, Plan::direct());
    }
    let paid = paid(job)?;
    let plan = Plan::refund(paid, job.client);
    set(job, plan.map_err(|e| Broken(e.to_string()))?)
}

fn set(job: &mut JobRow, plan: Plan) -> Result<(), Refusal> {
    if job.plan.is_some() {
        return Err(Broken(format!("job {} has a plan already", job.id)).into());
    }
    let outflow = next(job.inflow, job.outflow, 0, Event::Planned);
    job.outflow = outflow.map_err(|e| Broken(e.to_string()))?;
    debug_assert!(job.outflow == Outflow::Owed, "a plan is owed");
    job.plan = Some(plan);
    Ok(())
}

fn paid(job: &JobRow) -> Result<framefair_domain::money::Lamports, Refusal> {
    let payment = job.payment.as_ref();
    payment
        .map(|payment| payment.lamports)
        .ok_or_else(|| Broken(format!("job {} was never paid", job.id)).into())
}
