//! Which providers there are.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use framefair_domain::id::ProviderId;
use framefair_domain::rating;
use framefair_store::rows::{NodeRow, ProviderRow, PulseSeen, Status};
use framefair_store::seam::labelled;
use framefair_store::{Cursor, Index, Order, Range, keys};
use futures::future::try_join_all;

use crate::{Ctx, Refusal};

/// A list never shows more.
const LISTED_MAX: usize = 500;

/// A provider, and what it has done and holds.
#[derive(Clone, Debug)]
pub struct Listed {
    pub provider: ProviderRow,
    pub completed: u64,
    pub rating_tenths: u64,
    /// Tasks that it holds.
    pub open: u32,
    /// How its endpoint answered last, where it is dialled.
    pub pulse: Option<PulseSeen>,
}

pub async fn get(ctx: &Ctx, id: ProviderId) -> Result<Listed, Refusal> {
    let (provider, node) = (keys::provider(id), keys::node(id));
    let (provider, node) =
        tokio::try_join!(ctx.store.get::<ProviderRow>(&provider), ctx.store.get::<NodeRow>(&node))?;
    Ok(listed(provider.ok_or(Refusal::NotFound)?, node.as_ref()))
}

/// Online first, then the best rated, then those who have done most; stable by id.
pub async fn list(ctx: &Ctx, only: Option<Status>) -> Result<Vec<Listed>, Refusal> {
    let wanted = only.map_or_else(|| Status::ALL.to_vec(), |status| vec![status]);
    let hinted = wanted.iter().map(|status| hinted(ctx, *status, None));
    let mut room = LISTED_MAX;
    let mut reads = Vec::new();
    for ((ids, _), status) in try_join_all(hinted).await?.into_iter().zip(wanted) {
        let ids: Vec<_> = ids.into_iter().take(room).collect();
        room -= ids.len();
        reads.push(async move { read(ctx, &ids, status).await });
    }
    let mut found = try_join_all(reads).await?.concat();
    found.sort_by_key(|listed| {
        let away = listed.provider.status() != Status::Online;
        (away, Reverse(listed.rating_tenths), Reverse(listed.completed), listed.provider.id)
    });
    Ok(found)
}

/// Those whose row, read consistently, really has this status; so many as a list shows.
pub async fn with_status(ctx: &Ctx, status: Status) -> Result<Vec<Listed>, Refusal> {
    let (ids, _) = hinted(ctx, status, None).await?;
    read(ctx, &ids, status).await
}

/// Everybody who is not away, however many they are. For rounds, not for requests.
pub(crate) async fn present(ctx: &Ctx) -> Result<Vec<Listed>, Refusal> {
    let mut found = Vec::new();
    for status in [Status::Online, Status::Busy] {
        let mut start = None;
        loop {
            let (ids, next) = hinted(ctx, status, start).await?;
            found.extend(read(ctx, &ids, status).await?);
            start = next;
            if start.is_none() {
                break;
            }
        }
    }
    Ok(found)
}

/// Those who are online. Their rows are read beside the index, by the ids that this process knows
/// already, so that it takes one round trip. Whoever is new costs one more, once.
pub(crate) async fn online(ctx: &Ctx) -> Result<Vec<Listed>, Refusal> {
    let known = ctx.known.get();
    let ((hinted, _), mut found) =
        tokio::try_join!(hinted(ctx, Status::Online, None), read(ctx, &known, Status::Online))?;
    let fresh: Vec<_> = hinted.iter().filter(|id| !known.contains(id)).copied().collect();
    if !fresh.is_empty() {
        found.extend(labelled("learn", read(ctx, &fresh, Status::Online)).await?);
    }
    ctx.known.set(hinted);
    Ok(found)
}

/// Learns who is online, so that the first request finds it known.
pub async fn learn_online(ctx: &Ctx) -> Result<(), Refusal> {
    ctx.known.set(hinted(ctx, Status::Online, None).await?.0);
    Ok(())
}

/// The ids of providers that were online when this process last looked. Hints: whoever uses them
/// reads the rows.
#[derive(Clone, Debug, Default)]
pub struct Known(Arc<Mutex<Arc<Vec<ProviderId>>>>);

impl Known {
    fn get(&self) -> Arc<Vec<ProviderId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, ids: Vec<ProviderId>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(ids);
    }
}

async fn hinted(
    ctx: &Ctx,
    status: Status,
    start: Option<Cursor>,
) -> Result<(Vec<ProviderId>, Option<Cursor>), Refusal> {
    let partition = keys::providers_by_status(status.word());
    let page = ctx
        .store
        .index(Index::State, &partition, Range::All, Order::Ascending, LISTED_MAX, start)
        .await?;
    Ok((page.keys().iter().filter_map(keys::provider_of).collect(), page.next))
}

async fn read(ctx: &Ctx, ids: &[ProviderId], status: Status) -> Result<Vec<Listed>, Refusal> {
    let providers: Vec<_> = ids.iter().copied().map(keys::provider).collect();
    let nodes: Vec<_> = ids.iter().copied().map(keys::node).collect();
    let (providers, nodes) = tokio::try_join!(
        ctx.store.get_many::<ProviderRow>(&providers),
        ctx.store.get_many::<NodeRow>(&nodes),
    )?;
    let nodes: HashMap<ProviderId, NodeRow> = nodes.into_iter().map(|n| (n.id, n)).collect();
    let really = providers.into_iter().filter(|provider| provider.status() == status);
    Ok(really.map(|provider| listed(provider.clone(), nodes.get(&provider.id))).collect())
}

fn listed(provider: ProviderRow, node: Option<&NodeRow>) -> Listed {
    let (finished, completed, open) =
        node.map_or((0, 0, 0), |node| (node.finished, node.completed, node.leases.len()));
    Listed {
        provider,
        completed,
        rating_tenths: rating::tenths(completed, finished),
        open: u32::try_from(open).unwrap_or(u32::MAX),
        pulse: node.and_then(|node| node.pulse),
    }
}
