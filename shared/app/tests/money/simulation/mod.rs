//! Many jobs in a storm: every fifth call to the store, the queues and the chain goes wrong,
//! processes die in mid-work, nodes come, go and fall silent. When it is over every job is at its
//! end, and nobody holds a lamport more or less than is theirs.
//!
//! Chance is seeded and the seed is told; what runs beside what is the machine's to decide, so a
//! seed brings back the same clients, nodes and odds, not the same moments.

mod clients;
mod nodes;
mod verdict;
mod weather;
mod workers;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use framefair_app::Refusal;
use framefair_app::sweep::{Reach, sweep};
use framefair_domain::id::JobId;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::clients::Story;
use self::nodes::Node;
use self::weather::Weather;
use crate::crashes::cut;
use crate::world::World;

/// A process that dies has waited so often at most.
const DEATH_AFTER_MAX: u32 = 60;
/// With the faults over, everything is at its end after so many leaps: several hours.
const LEAPS_MAX: u32 = 20;

/// One world, everybody in it, and what goes wrong there.
struct Sim {
    world: World,
    weather: Weather,
    seed: u64,
    chance: Mutex<StdRng>,
    storm: AtomicBool,
    closing: CancellationToken,
    nodes: Vec<Node>,
}

/// How many jobs came to which end.
type Ends = BTreeMap<String, u32>;

impl Sim {
    async fn begin(seed: u64, weather: Weather) -> Arc<Sim> {
        let world = World::new().await;
        let nodes = nodes::register(&world).await;
        Arc::new(Sim {
            world,
            weather,
            seed,
            chance: Mutex::new(StdRng::seed_from_u64(seed)),
            storm: AtomicBool::new(false),
            closing: CancellationToken::new(),
            nodes,
        })
    }

    /// All clients come and go in this weather; then it is calm until everything is at rest, and
    /// everything must be where it belongs.
    async fn run(self: &Arc<Sim>) -> Ends {
        let mut crew = JoinSet::new();
        workers::start(self, &mut crew);
        nodes::start(self, &mut crew);
        self.break_loose();
        let stories = clients::all(self).await;
        self.calm();
        come_to_rest(self, &stories).await;
        self.closing.cancel();
        while let Some(ended) = crew.join_next().await {
            ended.unwrap();
        }
        verdict::judge(self, &stories).await
    }

    fn below(&self, end: u32) -> u32 {
        self.chance.lock().unwrap().random_range(0..end)
    }

    fn odds(&self, per_mille: u32) -> bool {
        self.below(1_000) < per_mille
    }

    /// Chance that is the same whenever it is asked about this lease.
    fn fate(&self, job: JobId, epoch: u32, salt: u64) -> u32 {
        let of_job = u64::from_be_bytes(job.0.as_bytes()[8..].try_into().unwrap());
        let seed = self.seed ^ of_job.rotate_left(17) ^ (u64::from(epoch) << 40) ^ salt;
        StdRng::seed_from_u64(seed).random_range(0..1_000)
    }

    fn is_stormy(&self) -> bool {
        self.storm.load(Relaxed)
    }

    fn is_over(&self) -> bool {
        self.closing.is_cancelled()
    }

    /// One process's work. In the storm some of them die on the way, wherever they stand.
    async fn mortal<F: Future>(&self, work: F) -> Option<F::Output> {
        let work = Box::pin(work);
        if self.is_stormy() && self.odds(self.weather.deaths) {
            cut(work, self.below(DEATH_AFTER_MAX) as usize).await
        } else {
            Some(work.await)
        }
    }

    /// What a caller does who gets no answer, or is told to come again.
    async fn insist<T, F>(
        &self,
        tries: u32,
        mut ask: impl FnMut() -> F,
    ) -> Option<Result<T, Refusal>>
    where
        F: Future<Output = Result<T, Refusal>>,
    {
        for _ in 0..tries {
            match self.mortal(ask()).await {
                Some(Err(Refusal::Busy | Refusal::Broken(_) | Refusal::ChainUnreachable))
                | None => {}
                Some(told) => return Some(told),
            }
            self.nap(20, 120).await;
        }
        None
    }

    async fn nap(&self, from_ms: u32, to_ms: u32) {
        let ms = from_ms + self.below(to_ms - from_ms);
        tokio::time::sleep(Duration::from_millis(ms.into())).await;
    }
}

/// Lets time pass without faults until nothing is left to do: each time first what goes on by
/// itself, then, ever later, what only the sweeper can bring up.
async fn come_to_rest(sim: &Arc<Sim>, stories: &[Story]) {
    let mut open = Vec::new();
    for leap in 0..LEAPS_MAX {
        let mut before = usize::MAX;
        loop {
            tokio::time::sleep(Duration::from_secs(2)).await;
            open = verdict::open(sim, stories).await;
            if open.is_empty() {
                return;
            }
            if open.len() >= before {
                break;
            }
            before = open.len();
        }
        for _ in 0..3 << leap.min(4) {
            sim.world.later(20).await;
            sim.world.renew_relay().await;
        }
        sweep(&sim.world.ctx, &mut sim.world.call(), Reach::Due).await.unwrap();
    }
    panic!("after {LEAPS_MAX} leaps in time these are still open: {open:#?}");
}
