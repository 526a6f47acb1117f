//! How many registered nodes there are, by how they do.

use framefair_domain::fleet::Health;
use framefair_store::rows::RelayRow;
use framefair_store::{Index, Order, Range, keys};

use crate::{Call, Ctx, Refusal};

const PAGE: usize = 1_000;
/// What does not fit so many pages is not counted: those that were silent for longest.
const PAGES_MAX: usize = 20;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    pub healthy: u64,
    pub unhealthy: u64,
    pub offline: u64,
}

/// Reads one line of an index for each node that was ever heard of. `relays` are those that there are.
pub(crate) async fn census(ctx: &Ctx, call: &Call, relays: &[RelayRow]) -> Result<Census, Refusal> {
    let (mut census, mut start) = (Census::default(), None);
    for _ in 0..PAGES_MAX {
        let (range, order) = (Range::All, Order::Descending);
        let page = ctx.store.index(Index::Due, keys::FLEET, range, order, PAGE, start).await?;
        for entry in &page.entries {
            match health(call, relays, &entry.sort) {
                Health::Healthy => census.healthy += 1,
                Health::Unhealthy => census.unhealthy += 1,
                Health::Offline | Health::Registered => census.offline += 1,
            }
        }
        start = page.next;
        if start.is_none() {
            break;
        }
    }
    Ok(census)
}

fn health(call: &Call, relays: &[RelayRow], place: &str) -> Health {
    let Some(at) = keys::fleet_stands_at(place) else {
        return Health::of(keys::fleet_heard_of(place), call.now);
    };
    if relays.iter().any(|relay| relay.carries(&at, call.now)) {
        Health::Healthy
    } else {
        Health::Offline
    }
}
