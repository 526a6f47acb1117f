//! The one plan of a job's money.

use framefair_domain::settlement::{Event, Outflow, Plan, next};
use framefair_domain::wallet::Wallet;
use framefair_store::rows::MarketDeal;

use crate::{Broken, Refusal};

/// The provider is owed its price.
pub(crate) fn plan_payout(deal: &mut MarketDeal, provider: Wallet) -> Result<(), Refusal> {
    if deal.direct {
        return set(deal, Plan::direct());
    }
    let paid = paid(deal)?;
    let plan = Plan::payout(paid, &deal.price, provider, deal.client);
    set(deal, plan.map_err(|e| Broken(e.to_string()))?)
}

/// The client is owed everything, unless it paid its provider itself.
pub(crate) fn plan_refund(deal: &mut MarketDeal) -> Result<(), Refusal> {
    if deal.direct {
        return set(deal, Plan::direct());
    }
    let paid = paid(deal)?;
    let plan = Plan::refund(paid, deal.client);
    set(deal, plan.map_err(|e| Broken(e.to_string()))?)
}

fn set(deal: &mut MarketDeal, plan: Plan) -> Result<(), Refusal> {
    if deal.plan.is_some() {
        return Err(Broken("a job has a plan already".into()).into());
    }
    let outflow = next(deal.inflow, deal.outflow, 0, Event::Planned);
    deal.outflow = outflow.map_err(|e| Broken(e.to_string()))?;
    debug_assert!(deal.outflow == Outflow::Owed, "a plan is owed");
    deal.plan = Some(plan);
    Ok(())
}

fn paid(deal: &MarketDeal) -> Result<framefair_domain::money::Lamports, Refusal> {
    let payment = deal.payment.as_ref();
    payment
        .map(|payment| payment.lamports)
        .ok_or_else(|| Broken("a job to settle was never paid".into()).into())
}
