//! What the fleet can take at this moment: who is listed for each type of job, and which of them have a place.

use std::collections::{BTreeMap, BTreeSet};

use framefair_domain::credits::Credits;
use framefair_domain::fleet::Health;
use framefair_domain::id::ProviderId;
use framefair_store::rows::{FleetRow, NodeRow, Presence, RelayRow};
use framefair_store::{Index, Order, Range, keys};
use futures::future::try_join_all;

use crate::{Call, Ctx, Refusal, jobs};

/// So many of each list are counted, whatever the fleet; where there are more, there are at least as many.
pub const COUNTED_MAX: usize = 32;

/// What can be done of one type of jobs, and what it costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capacity {
    pub job_type: &'static str,
    pub price: Credits,
    pub any: Nodes,
    /// Those of them that name a GPU.
    pub gpu: Nodes,
    /// Jobs that no node has yet.
    pub waiting: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nodes {
    /// Those that are there.
    pub there: usize,
    /// Those of them that have a place for one more job.
    pub free: usize,
}

/// Of every documented type.
pub async fn capacity(ctx: &Ctx, call: &Call) -> Result<Vec<Capacity>, Refusal> {
    // Five times the room of one is more than a thread's stack likes.
    let lists = jobs::TYPES.map(|job_type| Box::pin(List::read(ctx, job_type)));
    let (lists, prices) = tokio::try_join!(try_join_all(lists), jobs::prices(ctx))?;
    let listed = lists.iter().flat_map(|list| list.any.iter().chain(&list.gpu));
    let listed: BTreeSet<ProviderId> = listed.copied().collect();
    let there = Box::pin(there(ctx, call, listed)).await?;
    let count = |listed: &[ProviderId]| {
        let there: Vec<_> = listed.iter().filter_map(|id| there.get(id)).collect();
        let free = there.iter().filter(|node| jobs::has_place(call, node));
        Nodes { there: there.len(), free: free.count() }
    };
    let each = lists.into_iter().map(|List { job_type, any, gpu, waiting }| Capacity {
        job_type,
        price: prices.of(job_type),
        any: count(&any),
        gpu: count(&gpu),
        waiting,
    });
    Ok(each.collect())
}

/// Those of them that live: their sockets stand, or they were heard of a moment ago.
async fn there(
    ctx: &Ctx,
    call: &Call,
    listed: BTreeSet<ProviderId>,
) -> Result<BTreeMap<ProviderId, NodeRow>, Refusal> {
    let nodes: Vec<_> = listed.iter().map(|id| keys::node(*id)).collect();
    let rows: Vec<_> = listed.iter().map(|id| keys::fleet(*id)).collect();
    let slots: Vec<_> = (0..ctx.platform.relay_slots).map(keys::relay).collect();
    let (nodes, rows, relays) = tokio::try_join!(
        ctx.store.get_many::<NodeRow>(&nodes),
        ctx.store.get_many::<FleetRow>(&rows),
        ctx.store.get_many::<RelayRow>(&slots),
    )?;
    let beats: BTreeMap<_, _> = rows.iter().map(|row| (row.id, row.beat)).collect();
    let lives = |node: &NodeRow| match &node.connection {
        Some(at) => relays.iter().any(|relay| relay.carries(at, call.now)),
        None => {
            let beat = beats.get(&node.id).copied().flatten();
            Health::of(beat, call.now) == Health::Healthy
        }
    };
    Ok(nodes.into_iter().filter(lives).map(|node| (node.id, node)).collect())
}

/// What the table says of one type.
struct List {
    job_type: &'static str,
    any: Vec<ProviderId>,
    gpu: Vec<ProviderId>,
    waiting: usize,
}

impl List {
    async fn read(ctx: &Ctx, job_type: &'static str) -> Result<List, Refusal> {
        let (any, gpu, waiting, for_gpu) = tokio::try_join!(
            listed(ctx, job_type, false),
            listed(ctx, job_type, true),
            first(ctx, keys::waiting(job_type, false)),
            first(ctx, keys::waiting(job_type, true)),
        )?;
        Ok(List { job_type, any, gpu, waiting: waiting.len() + for_gpu.len() })
    }
}

async fn listed(ctx: &Ctx, job_type: &str, gpu: bool) -> Result<Vec<ProviderId>, Refusal> {
    let places = first(ctx, keys::capable(job_type, gpu)).await?;
    let places = places.iter().filter_map(|sort| keys::capable_of(sort));
    let there = places.filter(|(place, _)| place.presence != Presence::Away);
    Ok(there.map(|(_, node)| node).collect())
}

async fn first(ctx: &Ctx, partition: String) -> Result<Vec<String>, Refusal> {
    let (range, order) = (Range::All, Order::Ascending);
    let page = ctx.store.index(Index::State, &partition, range, order, COUNTED_MAX, None).await?;
    Ok(page.entries.into_iter().map(|entry| entry.sort).collect())
}
