//! A registered node at a relay. While its socket stands it lives, so that is written when it comes and
//! when it goes, and never in between.

use framefair_domain::id::ProviderId;
use framefair_domain::time::Timestamp;
use framefair_store::rows::FleetRow;
use framefair_store::{Check, Index, Update, When, WriteFailed, keys};

use super::{Member, list};
use crate::account::NotAuthenticated;
use crate::delivery::{self, Connection, Session};
use crate::{Call, Ctx, Refusal, jobs};

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
    if let Err(refusal) = list(ctx, call, &row).await {
        // Who is turned away stands nowhere.
        delivery::disconnect(ctx, call, session, call.now).await?;
        return Err(refusal);
    }
    jobs::arrived(ctx, call, &row).await;
    Ok(session)
}

/// The node has a socket of another dialect; one that never registered here is none of ours, and what a stranger
/// has registered for its key says nothing of what it can do.
pub(crate) async fn came(
    ctx: &Ctx,
    call: &Call,
    node: ProviderId,
    place: &Connection,
) -> Result<(), Refusal> {
    let row = ctx.store.get::<FleetRow>(&keys::fleet(node)).await?;
    if row.is_none_or(|row| !row.proven) {
        return Ok(());
    }
    let row = ctx.store.update_returning::<FleetRow>(comes(node, call, place)).await?;
    list(ctx, call, &row).await?;
    jobs::arrived(ctx, call, &row).await;
    Ok(())
}

/// The node's only socket is gone: its silence counts from when it was heard of last.
pub(crate) async fn left(
    ctx: &Ctx,
    call: &Call,
    node: ProviderId,
    heard: Timestamp,
) -> Result<(), Refusal> {
    // Most of those with a wallet never registered here, and others stood here as providers alone.
    let row = ctx.store.get::<FleetRow>(&keys::fleet(node)).await?;
    let Some(row) = row.filter(|row| row.socket.is_some()) else { return Ok(()) };
    // It may have shown itself by a call meanwhile.
    let heard = row.beat.map_or(heard, |beat| beat.max(heard));
    let goes =
        lives(node, heard).remove("socket").index(Index::Due, Some(keys::fleet_heard(heard, node)));
    let row = ctx.store.update_returning::<FleetRow>(goes).await?;
    list(ctx, call, &row).await
}

fn comes(node: ProviderId, call: &Call, place: &Connection) -> Update {
    let place_in_index = keys::fleet_stands(place, node);
    lives(node, call.now).set("socket", place).index(Index::Due, Some(place_in_index))
}

fn lives(node: ProviderId, heard: Timestamp) -> Update {
    Update::at(keys::fleet(node), When::Present).set("beat", heard)
}
