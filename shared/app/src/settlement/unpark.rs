//! An operator has looked at a parked settlement, and has it tried again.

use framefair_domain::settlement::{Event, Inflow, SettlementId, next};
use framefair_store::rows::{Batch, DebtRow, WayOutRow};
use framefair_store::{Entity, Order, keys};

use super::debt;
use crate::{Call, Ctx, Refusal};

/// Puts it back among what is owed, with fresh attempts. What was signed before is proven void, or
/// it would not have been parked.
pub async fn unpark(ctx: &Ctx, call: &Call, settlement: SettlementId) -> Result<(), Refusal> {
    match settlement {
        SettlementId::Job(id) => {
            let job = ctx.market_job(id).await?;
            let mut job = job.ok_or(Refusal::NotFound)?;
            job.deal.outflow = next(Inflow::Final, job.deal.outflow, 0, Event::Unpark)
                .map_err(|_| not_parked())?;
            job.deal.out_used = used(ctx, &job.key().pk).await?;
            job.due = Some(call.now);
            ctx.save(&mut job).await?.map_err(|_| Refusal::Busy)?;
        }
        SettlementId::Debt(wallet) => {
            let debt = ctx.store.get::<DebtRow>(&keys::debt(&wallet)).await?;
            let mut debt = debt.ok_or(Refusal::NotFound)?;
            let batch = debt.batch.filter(|batch| batch.parked).ok_or_else(not_parked)?;
            debt.batch = Some(Batch { parked: false, ..batch });
            debt.used = used(ctx, &debt.key().pk).await?;
            debt.due = Some(call.now);
            if !debt::save(ctx, &mut debt).await? {
                return Err(Refusal::Busy);
            }
        }
    }
    tracing::info!(%settlement, at = call.now.0, "An operator put a settlement back");
    ctx.settle(settlement).await;
    Ok(())
}

fn not_parked() -> Refusal {
    Refusal::invalid("this settlement is not parked")
}

/// The last place of its way out.
async fn used(ctx: &Ctx, partition: &str) -> Result<u32, Refusal> {
    let rows = ctx.store.query::<WayOutRow>(partition, keys::WAY_OUT, Order::Descending, 1).await?;
    Ok(rows.first().map_or(0, |row| row.n))
}
