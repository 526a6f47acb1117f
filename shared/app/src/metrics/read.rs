//! The totals of a deployment, as its table has them.

use std::collections::BTreeMap;

use framefair_domain::credits::Credits;
use framefair_store::keys;
use framefair_store::rows::{MetricsRow, RelayRow};
use futures::future::{try_join, try_join_all};

use super::{
    ANSWERS, BOUNDS_MS, COMPLETED, CREDITS, DISPATCHED, FAILED, OTHER_TYPE, STATUS, TOOK_US, WITHIN,
};
use crate::account::NotAuthenticated;
use crate::fleet::{Census, census};
use crate::{Call, Ctx, Refusal, jobs};

/// How often a route answered, and how fast.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answered {
    pub by_status: BTreeMap<u16, u64>,
    /// One more than there are bounds; each answer stands in one of them.
    pub within: [u64; BOUNDS_MS.len() + 1],
    /// All of them together, in microseconds.
    pub took_us: u64,
}

/// How many jobs of a type were dispatched, and how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Jobs {
    pub dispatched: u64,
    pub completed: u64,
    pub failed: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readings {
    /// By method and template.
    pub answered: BTreeMap<(String, String), Answered>,
    /// Every known type.
    pub jobs: BTreeMap<&'static str, Jobs>,
    pub consumed: Credits,
    /// At relays that live.
    pub sockets: u64,
    pub nodes: Census,
}

/// The totals as of this read; what this process has counted is given to the table first. Where there is a
/// token, it must be `shown`.
pub async fn read(ctx: &Ctx, call: &mut Call, shown: Option<&str>) -> Result<Readings, Refusal> {
    if let Some(token) = &ctx.platform.metrics_token {
        let shown = shown.ok_or(NotAuthenticated::Missing)?;
        if !token.is(shown) {
            return Err(NotAuthenticated::Invalid.into());
        }
    }
    ctx.flush_all_metrics(call).await;
    let shards = try_join_all(
        (0..keys::METRICS_SHARDS)
            .map(async |shard| ctx.store.partition(&keys::metrics_partition(shard)).await),
    );
    let slots: Vec<_> = (0..ctx.platform.relay_slots).map(keys::relay).collect();
    let (shards, relays) = try_join(shards, ctx.store.get_many::<RelayRow>(&slots)).await?;
    let nodes = census(ctx, call, &relays).await?;
    let alive = relays.iter().filter(|relay| relay.until > call.now);
    let types = jobs::TYPES.into_iter().chain([OTHER_TYPE]);
    let mut readings = Readings {
        sockets: alive.map(|relay| u64::from(relay.sockets)).sum(),
        nodes,
        jobs: types.map(|known| (known, Jobs::default())).collect(),
        ..Readings::default()
    };
    for item in shards.into_iter().flatten() {
        let of = item.sk().to_owned();
        readings.add(&of, item.decode::<MetricsRow>()?.counts);
    }
    Ok(readings)
}

impl Readings {
    fn add(&mut self, of: &str, counts: BTreeMap<String, i64>) {
        let route = of.strip_prefix(ANSWERS).and_then(|route| route.split_once(' '));
        for (name, n) in counts {
            let n = u64::try_from(n).unwrap_or(0);
            match route {
                Some((method, endpoint)) => {
                    let route = (method.to_owned(), endpoint.to_owned());
                    self.answered.entry(route).or_default().add(&name, n);
                }
                None => self.add_work(&name, n),
            }
        }
    }

    fn add_work(&mut self, name: &str, n: u64) {
        if name == CREDITS {
            self.consumed.0 = self.consumed.0.saturating_add_unsigned(n);
        }
        for (prefix, count) in [
            (DISPATCHED, (|jobs| &mut jobs.dispatched) as fn(&mut Jobs) -> &mut u64),
            (COMPLETED, |jobs| &mut jobs.completed),
            (FAILED, |jobs| &mut jobs.failed),
        ] {
            let known = name.strip_prefix(prefix).and_then(|it| self.jobs.get_mut(it));
            if let Some(jobs) = known {
                add(count(jobs), n);
            }
        }
    }
}

impl Answered {
    fn add(&mut self, name: &str, n: u64) {
        let status = name.strip_prefix(STATUS).and_then(|status| status.parse().ok());
        let bucket = name.strip_prefix(WITHIN).and_then(|place| place.parse::<usize>().ok());
        if let Some(status) = status {
            add(self.by_status.entry(status).or_default(), n);
        } else if let Some(count) = bucket.and_then(|place| self.within.get_mut(place)) {
            add(count, n);
        } else if name == TOOK_US {
            add(&mut self.took_us, n);
        }
    }
}

fn add(count: &mut u64, n: u64) {
    *count = count.saturating_add(n);
}
