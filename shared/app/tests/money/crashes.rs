//! The payouts worker dies, doubles and stumbles at every step, and everybody is still paid once.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use framefair_app::settlement::advance;
use framefair_chain::Fault as ChainFault;
use framefair_domain::id::JobId;
use framefair_domain::settlement::Outflow;
use framefair_store::seam::{ANY, Fault, Faults};
use futures::future::join_all;

use crate::world::{BASE, PRICE, Party, World};

/// Jobs that are completed and owe `BASE` each, their payments final.
async fn owed(world: &World, client: &Party, count: usize) -> Vec<JobId> {
    let mut jobs = Vec::new();
    for _ in 0..count {
        let (job, _) = world.paid(client, PRICE).await;
        world.complete(job).await;
        jobs.push(job);
    }
    world.finalize().await;
    jobs
}

/// Everybody was paid, exactly once, by one transaction each.
async fn all_paid_once(world: &World, had: u64, jobs: &[JobId]) {
    for job in jobs {
        world.settle(*job).await;
        assert_eq!(world.signed(*job).await.len(), 1, "nothing was signed anew");
    }
    let paid = BASE * jobs.len() as u64;
    assert_eq!(world.lamports(&world.home_party.wallet()).await, had + paid);
    world.balanced().await;
}

/// Runs `work` until it has waited `times` times, then drops it where it stands.
pub(crate) async fn cut<F: Future>(work: F, times: usize) -> Option<F::Output> {
    let mut work = pin!(work);
    let mut waited = 0;
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if waited >= times => Poll::Ready(None),
        Poll::Pending => {
            waited += 1;
            Poll::Pending
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_workers_at_once_pay_once() {
    let world = World::new().await;
    let client = world.client(1).await;
    let had = world.lamports(&world.home_party.wallet()).await;
    let jobs = owed(&world, &client, 2).await;
    for _ in 0..40 {
        let workers = (0..8).flat_map(|_| &jobs).map(|job| world.advance(*job));
        for done in join_all(workers).await {
            done.unwrap();
        }
        let rows = join_all(jobs.iter().map(|job| world.job(*job))).await;
        if rows.iter().all(|row| row.deal.outflow == Outflow::Settled) {
            break;
        }
        world.warp(12).await;
    }
    all_paid_once(&world, had, &jobs).await;
}

#[tokio::test]
async fn a_worker_that_dies_at_any_step_leaves_what_the_next_one_finishes() {
    let world = World::new().await;
    let client = world.client(1).await;
    let had = world.lamports(&world.home_party.wallet()).await;
    let jobs = owed(&world, &client, 3).await;
    for (nth, job) in jobs.iter().enumerate() {
        for times in (0..60).map(|step| step * 3 + nth) {
            let died = cut(world.advance(*job), times).await.is_none();
            if world.job(*job).await.deal.outflow == Outflow::Settled {
                break;
            }
            // Half of the deaths are followed by some blocks, the others by a new start at once.
            if !died || times % 2 == 0 {
                world.warp(5).await;
            }
        }
    }
    all_paid_once(&world, had, &jobs).await;
}

#[tokio::test]
async fn every_call_to_the_node_may_fail_or_lose_its_answer() {
    let world = World::new().await;
    let client = world.client(1).await;
    let had = world.lamports(&world.home_party.wallet()).await;
    let methods = [
        "getSlot",
        "getTransaction",
        "getBalance",
        "getBlockHeight",
        "getLatestBlockhash",
        "sendTransaction",
        "getSignatureStatuses",
    ];
    let mut jobs = Vec::new();
    for fault in [ChainFault::Unreachable, ChainFault::TimeoutAfter] {
        jobs.extend(owed(&world, &client, 1).await);
        let job = jobs[jobs.len() - 1];
        for method in methods {
            world.chain_seam.inject(method, fault.clone(), 1);
            let _ = world.advance(job).await;
            world.warp(3).await;
            let _ = world.advance(job).await;
        }
        world.chain_seam.heal();
    }
    all_paid_once(&world, had, &jobs).await;
}

#[tokio::test]
async fn every_write_may_be_refused_doubled_or_lose_its_answer() {
    let world = World::new().await;
    let client = world.client(1).await;
    let had = world.lamports(&world.home_party.wallet()).await;
    let faults = [
        Fault::ErrorBefore,
        Fault::TimeoutAfterCommit,
        Fault::Throttle,
        Fault::Conflict,
        Fault::Duplicate,
    ];
    let jobs = owed(&world, &client, faults.len()).await;
    for (job, fault) in jobs.iter().zip(faults) {
        for _ in 0..3 {
            let plan = ["PutItem", "TransactWriteItems", "Query", "GetItem"]
                .into_iter()
                .fold(Faults::seeded(1), |plan, op| plan.nth(op, 1, fault));
            world.ctx.store.seam().inject(plan);
            let _ = world.advance(*job).await;
            world.ctx.store.seam().calm();
            world.finalize().await;
        }
    }
    all_paid_once(&world, had, &jobs).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_a_storm_of_faults_everybody_is_paid_once() {
    let seed = 20_260_731;
    println!("seed {seed}");
    let world = World::new().await;
    let client = world.client(1).await;
    let had = world.lamports(&world.home_party.wallet()).await;
    let jobs = owed(&world, &client, 4).await;
    let storm = Faults::seeded(seed)
        .often(ANY, Fault::Throttle, 60)
        .often(ANY, Fault::ErrorBefore, 60)
        .often("PutItem", Fault::TimeoutAfterCommit, 100)
        .often("TransactWriteItems", Fault::TimeoutAfterCommit, 100)
        .often("TransactWriteItems", Fault::Conflict, 60);
    world.ctx.store.seam().inject(storm);
    for round in 0..10_u32 {
        let odd = if round % 2 == 0 { ChainFault::Unreachable } else { ChainFault::TimeoutAfter };
        world.chain_seam.inject("sendTransaction", odd.clone(), 2);
        world.chain_seam.inject("getSignatureStatuses", odd, 1);
        let call = || world.call();
        let workers = jobs.iter().flat_map(|job| [*job; 2]).map(|job| {
            let call = call();
            let (ctx, signers) = (&world.ctx, &world.signers);
            async move { advance(ctx, &call, signers, job).await }
        });
        let _ = join_all(workers).await;
        world.warp(15).await;
    }
    assert!(world.ctx.store.seam().calm() > 0, "there was a storm");
    world.chain_seam.heal();
    all_paid_once(&world, had, &jobs).await;
}
