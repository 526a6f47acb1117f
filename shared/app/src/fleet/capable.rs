//! Which kinds of work a node is listed for, and in which place. The list is a hint for whoever looks for a node.

use framefair_domain::id::{JobId, ProviderId};
use framefair_store::rows::{CapabilityRow, FleetRow, FleetSpecRow, NodeRow, Place, Presence};
use framefair_store::{Index, Update, When, Write, WriteFailed, keys};
use futures::future::try_join_all;

use crate::{Call, Ctx, Refusal};

const AT_ONCE: usize = 8;
/// All of a node's slots, and all that it says of its load, are so many tenths.
const TENTHS: usize = 10;
const LOAD_MAX: u8 = 99;

/// Lists the node for all that it can do. Who is not admitted is not listed.
pub(super) async fn list(ctx: &Ctx, call: &Call, row: &FleetRow) -> Result<(), Refusal> {
    if !row.admitted {
        return Ok(());
    }
    let id = row.id;
    let (spec, node) = (keys::fleet_spec(id), keys::node(id));
    let (spec, node) =
        tokio::try_join!(ctx.store.get::<FleetSpecRow>(&spec), ctx.store.get::<NodeRow>(&node))?;
    let (Some(spec), Some(node)) = (spec, node) else { return Ok(()) };
    let place = place(row, &node, node.leases.len());
    let mut puts = Vec::new();
    for (name, gpu) in rows(&spec) {
        let name = name.to_owned();
        let row = CapabilityRow { id, name, gpu, place, listed: call.now };
        puts.push(Write::put(&row, When::Always));
    }
    write_all(ctx, puts).await
}

/// Moves the node to where it belongs among those that can do this, now that `ended` left it.
pub(crate) async fn rank(
    ctx: &Ctx,
    node: &NodeRow,
    ended: JobId,
    name: &str,
    gpu: bool,
) -> Result<(), Refusal> {
    let (row, listed) = (keys::fleet(node.id), keys::capability(node.id, name, gpu));
    let (row, listed) = tokio::try_join!(
        ctx.store.get_eventual::<FleetRow>(&row),
        ctx.store.get_eventual::<CapabilityRow>(&listed)
    )?;
    let (Some(row), Some(listed)) = (row, listed) else { return Ok(()) };
    let held = node.leases.keys().filter(|job| **job != ended.to_string()).count();
    // Whether it is there is another question.
    let place = Place { presence: listed.place.presence, ..place(&row, node, held) };
    match ctx.store.write(moved(node.id, name, gpu, place)).await {
        Err(WriteFailed::Condition) => Ok(()),
        written => Ok(written?),
    }
}

/// What the node can be asked for.
pub(crate) async fn kinds(ctx: &Ctx, id: ProviderId) -> Result<Vec<(String, bool)>, Refusal> {
    let spec = ctx.store.get_eventual::<FleetSpecRow>(&keys::fleet_spec(id)).await?;
    let rows = spec.iter().flat_map(rows);
    Ok(rows.map(|(name, gpu)| (name.to_owned(), gpu)).collect())
}

/// The write that moves a listed node to another place.
pub(crate) fn moved(id: ProviderId, name: &str, gpu: bool, place: Place) -> Update {
    Update::at(keys::capability(id, name, gpu), When::Present)
        .set("place", place)
        .index(Index::State, Some(keys::capable_at(name, gpu, place, id)))
}

/// Takes the node off the list for what it said before and does not say any more.
pub(super) async fn unlist(
    ctx: &Ctx,
    before: &FleetSpecRow,
    now: &FleetSpecRow,
) -> Result<(), Refusal> {
    let still = rows(now);
    let mut deletes = Vec::new();
    for (name, gpu) in rows(before).into_iter().filter(|row| !still.contains(row)) {
        deletes.push(Write::delete(keys::capability(before.id, name, gpu), When::Always));
    }
    write_all(ctx, deletes).await
}

async fn write_all(ctx: &Ctx, mut writes: Vec<Write>) -> Result<(), Refusal> {
    while !writes.is_empty() {
        let rest = writes.split_off(AT_ONCE.min(writes.len()));
        try_join_all(writes.into_iter().map(|write| ctx.store.write(write))).await?;
        writes = rest;
    }
    Ok(())
}

/// Each kind of work, and once more for those who want a GPU where the node names one.
fn rows(spec: &FleetSpecRow) -> Vec<(&str, bool)> {
    let metadata: serde_json::Value = serde_json::from_str(&spec.metadata).unwrap_or_default();
    let has_gpu = metadata.get("gpu").is_some_and(|gpu| match gpu {
        serde_json::Value::Null | serde_json::Value::Bool(false) => false,
        serde_json::Value::String(name) => !name.is_empty(),
        _ => true,
    });
    let devices = if has_gpu { &[false, true][..] } else { &[false][..] };
    let names = spec.capabilities.iter().map(String::as_str);
    names.flat_map(|name| devices.iter().map(move |gpu| (name, *gpu))).collect()
}

/// What it says of its load, and what it holds of its slots.
fn place(row: &FleetRow, node: &NodeRow, held: usize) -> Place {
    let held = held * TENTHS / (node.slots.max(1) as usize);
    let load = usize::from(row.load) / TENTHS + held;
    Place { presence: presence(node), load: load_of(load) }
}

/// The place after one more job.
pub(crate) fn busier(place: Place, node: &NodeRow) -> Place {
    let share = (TENTHS / (node.slots.max(1) as usize)).max(1);
    Place { presence: presence(node), load: load_of(usize::from(place.load) + share) }
}

fn presence(node: &NodeRow) -> Presence {
    if node.connection.is_some() { Presence::Connected } else { Presence::Heard }
}

fn load_of(tenths: usize) -> u8 {
    u8::try_from(tenths).unwrap_or(LOAD_MAX).min(LOAD_MAX)
}
