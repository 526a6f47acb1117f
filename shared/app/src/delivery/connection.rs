//! A node's socket: proof of the wallet, and the fence that makes an older socket harmless.

use framefair_domain::id::{JobId, ProviderId};
use framefair_domain::signing::{self, SignatureRefused};
use framefair_domain::time::{SECOND_MS, Timestamp};
use framefair_store::rows::{Connection, NodeRow, ProviderRow, RelayRow};
use framefair_store::{Queue, Update, When, Write, WriteFailed, keys};

use crate::{Call, Ctx, Refusal, Replaced, fleet, provider};

/// A relay's claim to its slot lives this long without renewal.
const RELAY_LEASE_MS: i64 = 30 * SECOND_MS;
/// A node that says otherwise still gets no more at once.
pub(crate) const SLOTS_MAX: u32 = 64;
const TRIES: usize = 8;

/// Which socket speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    pub node: ProviderId,
    pub fence: u64,
}

#[derive(Debug)]
pub struct Connected {
    pub session: Session,
    /// Whether it takes work over this socket.
    pub relay: bool,
}

/// Checks `ws:{providerId}:{timestamp}`, uses it up, and makes this socket the node's only one.
pub async fn connect(
    ctx: &Ctx,
    call: &Call,
    id: ProviderId,
    timestamp: Timestamp,
    signature: &str,
    connection: Connection,
) -> Result<Connected, Refusal> {
    let row = ctx.store.get::<ProviderRow>(&keys::provider(id)).await?;
    // An unknown provider and a wrong signature look the same.
    let row = row.ok_or(SignatureRefused::Mismatch)?;
    signing::verify(&row.wallet, signing::socket(id, timestamp).as_bytes(), signature)?;
    if !signing::is_fresh(timestamp, call.now) {
        return Err(SignatureRefused::Stale.into());
    }
    let nonce = format!("ws-{}", timestamp.0);
    match ctx.store.write(provider::nonce_write(&row.wallet, &nonce, call.now)).await {
        Ok(()) => {}
        Err(WriteFailed::Condition) => return Err(Refusal::Replayed),
        Err(other) => return Err(other.into()),
    }
    let session = stand(ctx, call, id, connection.clone(), None).await?;
    let shown = async {
        let row = show_connected(ctx, call, id).await?;
        fleet::came(ctx, call, id, &connection).await?;
        Ok::<_, Refusal>(row)
    };
    match shown.await {
        Ok(row) => Ok(Connected { session, relay: row.abilities.relay }),
        Err(refusal) => {
            // Who is turned away stands nowhere.
            disconnect(ctx, call, session, call.now).await?;
            Err(refusal)
        }
    }
}

/// Makes this socket the node's only one, in whatever dialect. Who speaks there has proven that it is
/// the node. `slots` where that follows from the dialect.
pub(crate) async fn stand(
    ctx: &Ctx,
    call: &Call,
    id: ProviderId,
    connection: Connection,
    slots: Option<u32>,
) -> Result<Session, Refusal> {
    let mut before = None;
    let node = change_node(ctx, call, id, |node| {
        node.fence += 1;
        node.slots = slots.unwrap_or(node.slots);
        before = node.connection.replace(connection.clone());
        true
    });
    let fence = node.await?.map_or(0, |node| node.fence);
    // Who carries both of them sees that by itself.
    if let Some(before) = before.filter(|before| before.relay != connection.relay) {
        ctx.hint(Queue::Relay(before.relay), &Replaced { node: id, fence }, 0).await;
    }
    Ok(Session { node: id, fence })
}

/// Ends the node's socket, whoever speaks there.
pub(crate) async fn expel(ctx: &Ctx, call: &Call, id: ProviderId) -> Result<(), Refusal> {
    let mut before = None;
    let node = change_node(ctx, call, id, |node| {
        node.fence += 1;
        before = node.connection.take();
        before.is_some()
    });
    let fence = node.await?.map_or(0, |node| node.fence);
    if let Some(before) = before {
        ctx.hint(Queue::Relay(before.relay), &Replaced { node: id, fence }, 0).await;
    }
    Ok(())
}

/// How many tasks the node takes at once. Answers what it holds already.
pub async fn ready(
    ctx: &Ctx,
    call: &Call,
    session: Session,
    slots: u32,
) -> Result<Vec<JobId>, Refusal> {
    let slots = slots.clamp(1, SLOTS_MAX);
    change_node(ctx, call, session.node, |node| {
        let changes = node.fence == session.fence && node.slots != slots;
        node.slots = slots;
        changes
    })
    .await?;
    held(ctx, session).await
}

/// What the node of this socket holds. A socket that was replaced holds nothing.
pub async fn held(ctx: &Ctx, session: Session) -> Result<Vec<JobId>, Refusal> {
    let node = ctx.store.get::<NodeRow>(&keys::node(session.node)).await?;
    let node = node.filter(|node| node.fence == session.fence);
    let held =
        node.map(|node| node.leases.into_keys().filter_map(|job| job.parse().ok()).collect());
    Ok(held.unwrap_or_default())
}

/// How a node came to be without a socket that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Absence {
    pub since: Timestamp,
    /// Its relay died or went away, and took the socket with it.
    pub relay_gone: bool,
}

/// The socket is gone, after the node was `heard` on it last; a newer one of the same node stays untouched. Says
/// what the node holds.
pub async fn disconnect(
    ctx: &Ctx,
    call: &Call,
    session: Session,
    heard: Timestamp,
) -> Result<Option<NodeRow>, Refusal> {
    let node = change_node(ctx, call, session.node, |node| {
        let ours = node.fence == session.fence && node.connection.is_some();
        node.connection = None;
        ours
    })
    .await?;
    if node.is_some() {
        show_gone(ctx, call, session.node).await?;
        fleet::left(ctx, call, session.node, heard).await?;
    }
    Ok(node)
}

/// Whether a socket of this node stands at a relay that lives.
pub async fn is_connected(ctx: &Ctx, call: &Call, node: &NodeRow) -> Result<bool, Refusal> {
    Ok(absence(ctx, call, node).await?.is_none())
}

/// Since when the node has no socket; none while one stands at a relay that lives. A relay that is
/// gone leaves the rows of its nodes as they were: then the time counts from the end of its lease, or
/// from when another process took its slot, because until then there was nowhere to come back to.
pub(crate) async fn absence(
    ctx: &Ctx,
    call: &Call,
    node: &NodeRow,
) -> Result<Option<Absence>, Refusal> {
    let Some(connection) = &node.connection else {
        return Ok(Some(Absence { since: node.changed, relay_gone: false }));
    };
    let relay = ctx.store.get::<RelayRow>(&keys::relay(connection.relay)).await?;
    let since = match relay {
        None => node.changed,
        Some(relay) if relay.carries(connection, call.now) => return Ok(None),
        Some(relay) if relay.boot != connection.boot => relay.since,
        Some(relay) => relay.until,
    };
    Ok(Some(Absence { since, relay_gone: true }))
}

/// Shows those as offline whose relay died without a word.
pub(crate) async fn look_after_providers(ctx: &Ctx, call: &Call) -> Result<(), Refusal> {
    for listed in provider::present(ctx).await? {
        if listed.provider.abilities.relay {
            show_gone(ctx, call, listed.provider.id).await?;
        }
    }
    Ok(())
}

/// Claims or renews a relay's slot. Another living relay there refuses it, as does one that was
/// quicker.
pub async fn renew_relay(ctx: &Ctx, call: &Call, slot: u8, boot: &str) -> Result<(), Refusal> {
    let known = ctx.store.get::<RelayRow>(&keys::relay(slot)).await?;
    let since = match &known {
        Some(relay) if relay.boot == boot => relay.since,
        Some(relay) if relay.until > call.now => return Err(Refusal::Busy),
        _ => call.now,
    };
    let when = known.as_ref().map_or(When::Absent, |relay| When::Rev(relay.rev));
    let row = relay_row(ctx, call, slot, boot, since, known);
    match ctx.store.write(Write::put(&row, when)).await {
        Ok(()) => Ok(()),
        Err(WriteFailed::Condition) => Err(Refusal::Busy),
        Err(other) => Err(other.into()),
    }
}

/// Claims a relay's slot whoever had it before.
pub async fn take_relay(ctx: &Ctx, call: &Call, slot: u8, boot: &str) -> Result<(), Refusal> {
    let known = ctx.store.get::<RelayRow>(&keys::relay(slot)).await?;
    let row = relay_row(ctx, call, slot, boot, call.now, known);
    Ok(ctx.store.write(Write::put(&row, When::Always)).await?)
}

fn relay_row(
    ctx: &Ctx,
    call: &Call,
    slot: u8,
    boot: &str,
    since: Timestamp,
    known: Option<RelayRow>,
) -> RelayRow {
    let rev = known.map_or(0, |relay| relay.rev) + 1;
    let (sockets, until) = (ctx.metrics.sockets(), call.now.plus_ms(RELAY_LEASE_MS));
    RelayRow { slot, rev, boot: boot.to_owned(), sockets, since, until }
}

/// Whether no relay lives in a lower slot: this one does what is to be done once.
pub async fn is_first_relay(ctx: &Ctx, call: &Call, slot: u8) -> Result<bool, Refusal> {
    let lower: Vec<_> = (0..slot).map(keys::relay).collect();
    let relays = ctx.store.get_many::<RelayRow>(&lower).await?;
    Ok(relays.iter().all(|relay| relay.until <= call.now))
}

/// Gives a relay's slot up, so that its nodes count as away from now on.
pub async fn leave_relay(ctx: &Ctx, call: &Call, slot: u8, boot: &str) -> Result<(), Refusal> {
    let known = ctx.store.get::<RelayRow>(&keys::relay(slot)).await?;
    let Some(mut row) = known.filter(|relay| relay.boot == boot) else { return Ok(()) };
    let read = row.rev;
    row.rev += 1;
    row.until = call.now;
    match ctx.store.write(Write::put(&row, When::Rev(read))).await {
        // Somebody has it already.
        Ok(()) | Err(WriteFailed::Condition) => Ok(()),
        Err(other) => Err(other.into()),
    }
}

/// The write by which there is a row of the node, whether there was one or not.
pub(crate) fn first_row(call: &Call, id: ProviderId) -> Update {
    let node = NodeRow::new(id, call.now);
    Update::at(keys::node(id), When::Always)
        .set_once("id", id)
        .set_once("rev", 1)
        .set_once("fence", node.fence)
        .set_once("changed", node.changed)
        .set_once("slots", node.slots)
        .set_once("leases", node.leases)
}

/// Reads, changes and writes a node until nobody was in between. None when `change` declines.
pub(super) async fn change_node(
    ctx: &Ctx,
    call: &Call,
    id: ProviderId,
    mut change: impl FnMut(&mut NodeRow) -> bool,
) -> Result<Option<NodeRow>, Refusal> {
    for _ in 0..TRIES {
        let known = ctx.store.get::<NodeRow>(&keys::node(id)).await?;
        let when = known.as_ref().map_or(When::Absent, |node| When::Rev(node.rev));
        let mut node = known.unwrap_or_else(|| NodeRow::new(id, call.now));
        let connection = node.connection.clone();
        if !change(&mut node) {
            return Ok(None);
        }
        if node.connection != connection {
            node.changed = call.now;
        }
        node.rev += 1;
        match ctx.store.write(Write::put(&node, when)).await {
            Ok(()) => return Ok(Some(node)),
            Err(WriteFailed::Condition) => {}
            Err(other) => return Err(other.into()),
        }
    }
    Err(Refusal::Busy)
}

/// Shows the provider as away, unless a socket of it stands. The provider is read before the node: a
/// socket that comes in between changes the provider, and this write fails.
async fn show_gone(ctx: &Ctx, call: &Call, id: ProviderId) -> Result<(), Refusal> {
    for _ in 0..TRIES {
        let row = ctx.store.get::<ProviderRow>(&keys::provider(id)).await?;
        let Some(mut row) = row.filter(|row| row.connected) else { return Ok(()) };
        if let Some(node) = ctx.store.get::<NodeRow>(&keys::node(id)).await?
            && is_connected(ctx, call, &node).await?
        {
            return Ok(());
        }
        let read = row.rev;
        row.rev += 1;
        row.connected = false;
        match ctx.store.write(Write::put(&row, When::Rev(read))).await {
            Ok(()) => return Ok(()),
            Err(WriteFailed::Condition) => {}
            Err(other) => return Err(other.into()),
        }
    }
    Err(Refusal::Busy)
}

/// Shows the provider as connected; a change that waited for its wallet takes effect.
async fn show_connected(ctx: &Ctx, call: &Call, id: ProviderId) -> Result<ProviderRow, Refusal> {
    for _ in 0..TRIES {
        let row = ctx.store.get::<ProviderRow>(&keys::provider(id)).await?;
        let mut row = row.ok_or(Refusal::NotFound)?;
        let read = row.rev;
        row.rev += 1;
        row.connected = true;
        row.silent = false;
        row.seen = call.now;
        if let Some(pending) = row.pending.take()
            && pending.until >= call.now
        {
            row.endpoint = pending.endpoint;
            row.spec = pending.spec;
            row.abilities = pending.abilities;
            row.tariff = pending.tariff;
        }
        match ctx.store.write(Write::put(&row, When::Rev(read))).await {
            Ok(()) => return Ok(row),
            Err(WriteFailed::Condition) => {}
            Err(other) => return Err(other.into()),
        }
    }
    Err(Refusal::Busy)
}
