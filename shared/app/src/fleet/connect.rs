//! A registered node at a relay. While its socket stands it lives, so that is written when it comes and
//! when it goes, and never in between.

use framefair_domain::id::ProviderId;
use framefair_store::rows::FleetRow;
use framefair_store::{Check, Index, Update, When, WriteFailed, keys};

use super::{Member, list};
use crate::account::NotAuthenticated;
use crate::delivery::{self, Connection, Session};
use crate::{Call, Ctx, Refusal};

/// Makes this socket the node's only one, if its token is the one that is good.
pub async fn connect(
    ctx: &Ctx,
    call: &Call,
    node: Member,
    place: Connection,
) -> Result<Session, Refusal> {
    let comes = comes(node.id, call, &place).require(Check::equals("token", node.token));
    let row = match ctx.store.update_returning::<FleetRow>(comes).await {
        Err(WriteFailed::Condition) => return Err(NotAuthenticated::Node.into()),
        written => written?,
    };
    let session = delivery::stand(ctx, call, node.id, place, Some(row.slots)).await?;
    list(ctx, call, &row).await?;
    Ok(session)
}

/// The node has a socket of another dialect; one that never registered here is none of ours.
pub(crate) async fn came(
    ctx: &Ctx,
    call: &Call,
    node: ProviderId,
    place: &Connection,
) -> Result<(), Refusal> {
    if ctx.store.get::<FleetRow>(&keys::fleet(node)).await?.is_none() {
        return Ok(());
    }
    let row = ctx.store.update_returning::<FleetRow>(comes(node, call, place)).await?;
    list(ctx, call, &row).await
}

/// The node's only socket is gone: from now on silence counts.
pub(crate) async fn left(ctx: &Ctx, call: &Call, node: ProviderId) -> Result<(), Refusal> {
    let goes = lives(node, call)
        .remove("socket")
        .index(Index::Due, Some(keys::fleet_heard(call.now, node)));
    match ctx.store.update_returning::<FleetRow>(goes).await {
        // It never registered here.
        Err(WriteFailed::Condition) => Ok(()),
        written => list(ctx, call, &written?).await,
    }
}

fn comes(node: ProviderId, call: &Call, place: &Connection) -> Update {
    let place_in_index = keys::fleet_stands(place, node);
    lives(node, call).set("socket", place).index(Index::Due, Some(place_in_index))
}

fn lives(node: ProviderId, call: &Call) -> Update {
    Update::at(keys::fleet(node), When::Present).set("beat", call.now)
}
