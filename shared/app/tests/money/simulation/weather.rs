//! What goes wrong, and how often. Each test is one kind of weather.

use std::io::Write as _;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use framefair_chain::Fault as ChainFault;
use framefair_store::seam::{ANY, Fault, Faults, Lag, WRITES};

use super::Sim;

/// Of a thousand each.
pub(super) struct Weather {
    pub(super) jobs: u32,
    pub(super) store: Vec<(&'static str, Fault, u32)>,
    pub(super) chain: Vec<(ChainFault, u32)>,
    /// Processes that die before they are through.
    pub(super) deaths: u32,
    /// Messages that nobody ever sees.
    pub(super) lost: u32,
    /// So many of a hundred calls must have met a fault, or it was not this weather.
    pub(super) share: u64,
}

impl Weather {
    fn fair(jobs: u32) -> Weather {
        Weather { jobs, store: Vec::new(), chain: Vec::new(), deaths: 0, lost: 0, share: 0 }
    }
}

/// How many calls met a fault, and of how many.
#[derive(Debug)]
struct Met {
    store: (u64, u64),
    chain: (u64, u64),
}

impl Sim {
    pub(super) fn break_loose(&self) {
        let lag = Lag::Time(Duration::from_millis(300));
        let store =
            self.weather.store.iter().fold(Faults::seeded(self.seed), |all, (op, fault, often)| {
                all.often(op, *fault, *often)
            });
        self.world.ctx.store.seam().reset();
        self.world.ctx.store.seam().inject(store.lag(lag));
        self.world.chain_seam.inject_often(self.seed, self.weather.chain.clone());
        self.storm.store(true, Relaxed);
    }

    pub(super) fn calm(&self) {
        self.storm.store(false, Relaxed);
        let seam = self.world.ctx.store.seam();
        let calls = seam.snapshot().iter().map(|cost| cost.calls).sum();
        let asked = self.world.chain_seam.snapshot().iter().map(|(_, count)| count).sum();
        let met = Met { store: (seam.calm(), calls), chain: (self.world.chain_seam.heal(), asked) };
        say(&format!("{met:?}"));
        for (faults, (met, of)) in
            [(self.weather.store.len(), met.store), (self.weather.chain.len(), met.chain)]
        {
            let share = self.weather.share;
            assert!(faults == 0 || (met > 0 && met * 100 >= of * share), "{met} of {of}");
        }
    }
}

/// Past the harness, which shows what a test prints only where it fails.
fn say(text: &str) {
    let mut stderr = std::io::stderr().lock();
    stderr.write_all(format!("simulation: {text}\n").as_bytes()).unwrap();
}

/// What a debug build does in about a minute; `FRAMEFAIR_JOBS=1000` asks for more.
const JOBS: u32 = 120;

fn jobs() -> u32 {
    let wanted = std::env::var("FRAMEFAIR_JOBS").ok();
    wanted.map_or(JOBS, |text| text.parse().expect("FRAMEFAIR_JOBS is a whole number"))
}

fn seed() -> u64 {
    let seed = match std::env::var("FRAMEFAIR_SEED") {
        Ok(text) => text.parse().expect("FRAMEFAIR_SEED is a whole number"),
        Err(_) => rand::random(),
    };
    println!("FRAMEFAIR_SEED={seed}");
    say(&format!("FRAMEFAIR_SEED={seed}"));
    seed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn jobs_come_through_a_storm_and_every_lamport_is_where_it_belongs() {
    let behind = ChainFault::Refusal(-32_005, "Node is behind");
    let storm = Weather {
        store: vec![
            (WRITES, Fault::Conflict, 50),
            ("Query", Fault::StaleIndex, 200),
            (ANY, Fault::Throttle, 45),
            (ANY, Fault::ErrorBefore, 45),
            (ANY, Fault::TimeoutAfterCommit, 60),
            (ANY, Fault::Duplicate, 50),
        ],
        chain: vec![(ChainFault::Unreachable, 100), (ChainFault::TimeoutAfter, 90), (behind, 80)],
        deaths: 60,
        lost: 30,
        // A fifth of the table's calls and a quarter of the chain's, which are few enough for chance to matter.
        share: 18,
        ..Weather::fair(jobs())
    };
    let began = Instant::now();
    let seed = seed();
    let ends = Sim::begin(seed, storm).await.run().await;
    say(&format!("{:.0} s", began.elapsed().as_secs_f32()));
    println!(
        "bench: {} jobs in a storm, FRAMEFAIR_SEED={seed}, none lost or doubled: {ends:?}",
        jobs()
    );
    assert!(ends["Completed"] > jobs() / 2, "{ends:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_index_read_may_be_stale() {
    let stale = vec![("Query", Fault::StaleIndex, 1_000)];
    Sim::begin(seed(), Weather { store: stale, ..Weather::fair(25) }).await.run().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_message_may_come_twice_and_in_any_order() {
    let twice = vec![("SendMessage", Fault::Duplicate, 1_000)];
    Sim::begin(seed(), Weather { store: twice, ..Weather::fair(25) }).await.run().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_rpc_may_be_down_for_a_minute() {
    let sim = Sim::begin(seed(), Weather::fair(25)).await;
    let living = sim.clone();
    let running = tokio::spawn(async move { living.run().await });
    let asked = || -> u64 { sim.world.chain_seam.snapshot().iter().map(|(_, count)| count).sum() };
    let (began, few) = (Instant::now(), 100);
    while asked() < few {
        assert!(began.elapsed() < Duration::from_secs(60), "nobody asks the chain");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    sim.world.chain_seam.inject_often(0, [(ChainFault::Unreachable, 1_000)]);
    let (down, before, began) = (sim.world.now(), asked(), Instant::now());
    while sim.world.now().since_ms(down) < 60_000 || asked() < before + 11 {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "nobody asks the chain while it is down"
        );
        if sim.world.now().since_ms(down) < 60_000 {
            sim.world.later(8).await;
        }
        sim.world.renew_relay().await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let refused = sim.world.chain_seam.heal();
    assert!(refused > 10, "only {refused} calls fell into that minute");
    running.await.unwrap();
}
