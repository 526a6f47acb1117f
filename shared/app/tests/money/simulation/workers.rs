//! The workers as the cloud runs them, several of each: messages are lost, doubled and come in any
//! order, and the sweeper and the watcher mend what that breaks.

use std::fmt::Debug;
use std::sync::Arc;

use framefair_app::delivery::{self, Dispatched};
use framefair_app::settlement::{Advanced, advance};
use framefair_app::sweep::{self, Reach, sweep};
use framefair_app::verification::{self, FrameHash, HandedIn, Passed, PassedFile};
use framefair_app::{Hint, Refusal, Settle, watch};
use framefair_store::{Message, Queue};
use futures::future::join_all;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

use super::Sim;

const BATCH: u32 = 10;
/// A message that nobody deleted comes back after this.
const VISIBILITY_S: u32 = 15;
/// So many of a thousand deliveries are not what was ordered.
const BAD_PICTURES: u32 = 40;

pub(super) fn start(sim: &Arc<Sim>, crew: &mut JoinSet<()>) {
    let clock = sim.clone();
    crew.spawn(async move { tick(&clock).await });
    for _ in 0..3 {
        crew.spawn(poll(sim.clone(), Queue::Dispatch, dispatch));
        crew.spawn(poll(sim.clone(), Queue::Verify, verify));
        crew.spawn(poll(sim.clone(), Queue::Payouts, pay_out));
    }
    for _ in 0..2 {
        let (sweeper, watcher) = (sim.clone(), sim.clone());
        crew.spawn(async move {
            while !sweeper.is_over() {
                let mut call = sweeper.world.call();
                let _ = sweeper.mortal(sweep(&sweeper.world.ctx, &mut call, Reach::Due)).await;
                sweeper.nap(700, 1_500).await;
            }
        });
        crew.spawn(async move {
            while !watcher.is_over() {
                let call = watcher.world.call();
                let _ = watcher.mortal(watch::watch(&watcher.world.ctx, &call)).await;
                watcher.nap(700, 1_500).await;
            }
        });
    }
}

/// Twenty slots a second, and a world that is twice as fast as the machine.
async fn tick(sim: &Sim) {
    while !sim.is_over() {
        sim.world.later(1).await;
        for _ in 0..3 {
            sim.world.warp(6).await;
            sim.nap(250, 400).await;
        }
    }
}

/// What a worker makes of one message.
enum Outcome {
    Done,
    AgainIn(i64),
}

async fn dispatch(sim: Arc<Sim>, hint: Hint) -> Result<Outcome, Refusal> {
    let (ctx, mut call) = (&sim.world.ctx, sim.world.call());
    Ok(match delivery::dispatch(ctx, &mut call, &hint).await? {
        Dispatched::Leased(_) => Outcome::Done,
        Dispatched::Later(ms) => Outcome::AgainIn(ms),
        Dispatched::Nothing => {
            sweep::look_after_lease(ctx, &call, hint.job).await?;
            Outcome::Done
        }
    })
}

async fn verify(sim: Arc<Sim>, hint: Hint) -> Result<Outcome, Refusal> {
    let (ctx, call) = (&sim.world.ctx, sim.world.call());
    let Some(report) = hint.report else { return Ok(Outcome::Done) };
    let Some(HandedIn::Frames(seen)) = verification::handed_in(ctx, hint.job, report).await? else {
        return Ok(Outcome::Done);
    };
    if sim.fate(hint.job, report.epoch, 2) < BAD_PICTURES {
        verification::reject(ctx, &call, &seen, "not a picture").await?;
        return Ok(Outcome::Done);
    }
    let passed = Passed {
        frames: vec![FrameHash { frame: 1, pixels: "ab".repeat(32), bytes: 3 }],
        file: PassedFile::Picture(b"png".to_vec()),
    };
    verification::accept(ctx, &call, &seen, passed).await?;
    Ok(Outcome::Done)
}

async fn pay_out(sim: Arc<Sim>, hint: Settle) -> Result<Outcome, Refusal> {
    let world = &sim.world;
    match advance(&world.ctx, &world.call(), &world.signers, hint.settlement).await {
        Ok(Advanced::Nothing) | Err(Refusal::NotFound) => Ok(Outcome::Done),
        Ok(Advanced::Later(ms)) => Ok(Outcome::AgainIn(ms)),
        Err(refusal) => Err(refusal),
    }
}

async fn poll<M, F>(sim: Arc<Sim>, queue: Queue, work: fn(Arc<Sim>, M) -> F)
where
    M: Serialize + DeserializeOwned + Clone + Debug,
    F: Future<Output = Result<Outcome, Refusal>>,
{
    let queues = sim.world.ctx.store.queues().clone();
    while !sim.is_over() {
        let Ok(mut messages) = queues.receive(queue, BATCH, 1, VISIBILITY_S).await else {
            sim.nap(10, 50).await;
            continue;
        };
        for n in (1..messages.len()).rev() {
            messages.swap(n, sim.below(n as u32 + 1) as usize);
        }
        let following = messages.into_iter().map(|m| Box::pin(follow(&sim, queue, m, work)));
        join_all(following).await;
    }
}

async fn follow<M, F>(sim: &Arc<Sim>, queue: Queue, message: Message, work: fn(Arc<Sim>, M) -> F)
where
    M: Serialize + DeserializeOwned + Clone + Debug,
    F: Future<Output = Result<Outcome, Refusal>>,
{
    let queues = sim.world.ctx.store.queues();
    let hint: M = serde_json::from_str(&message.body).unwrap();
    let lost = sim.is_stormy() && sim.odds(sim.weather.lost);
    if !lost {
        match sim.mortal(work(sim.clone(), hint.clone())).await {
            Some(Ok(Outcome::Done)) => {}
            Some(Ok(Outcome::AgainIn(ms))) => {
                let seconds = u32::try_from(ms.div_euclid(1_000)).unwrap();
                sim.world.ctx.hint(queue, &hint, seconds).await;
            }
            Some(Err(_)) => {
                let _ = queues.defer(queue, &message.receipt, 1).await;
                return;
            }
            None => return,
        }
    }
    let _ = queues.delete(queue, &message.receipt).await;
}
