//! An operator's word on which nodes may take the jobs of others.

use framefair_domain::id::ProviderId;
use framefair_store::rows::{FleetRow, FleetSpecRow};
use framefair_store::{Update, When, WriteFailed, keys};

use super::capable::unlist;
use super::list;
use crate::{Call, Ctx, Refusal};

/// Lists the node for its work, or takes it off the list; what it holds already it keeps.
pub async fn admit(ctx: &Ctx, call: &Call, node: ProviderId, may: bool) -> Result<(), Refusal> {
    let row = Update::at(keys::fleet(node), When::Present).set("admitted", may).add("rev", 1);
    let row = match ctx.store.update_returning::<FleetRow>(row).await {
        Err(WriteFailed::Condition) => return Err(Refusal::NotFound),
        written => written?,
    };
    if may {
        return list(ctx, call, &row).await;
    }
    let spec = ctx.store.get::<FleetSpecRow>(&keys::fleet_spec(node)).await?;
    match spec {
        Some(spec) => {
            let nothing = FleetSpecRow { capabilities: Vec::new(), ..spec.clone() };
            unlist(ctx, &spec, &nothing).await
        }
        None => Ok(()),
    }
}
