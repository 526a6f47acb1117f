//! A node whose socket was replaced by a newer one: whatever the older one still says changes nothing.

use framefair_app::delivery::{self, Connection, ProgressRow, Put, Reported, Session};
use framefair_app::market::MarketJob;
use framefair_app::{JobState, Queue, Refusal, Report};
use framefair_domain::id::JobId;
use framefair_domain::signing;
use framefair_store::keys;

use crate::world::{BOOT, PRICE, World};

/// A newer socket of the node, at whatever relay. `n` tells its signature from others of this moment.
async fn reconnected(world: &World, n: i64) -> Session {
    let at = world.now().plus_ms(n);
    let proof = world.home_party.says(&signing::socket(world.home, at));
    let place = Connection { relay: 0, boot: BOOT.to_owned() };
    let call = world.call();
    delivery::connect(&world.ctx, &call, world.home, at, &proof, place).await.unwrap().session
}

fn progress(world: &World, job: JobId) -> ProgressRow {
    let (started, at) = (world.now(), world.now());
    let (frames_done, frames_total, frame, sample, samples) = (0, 1, 1, 1, 64);
    ProgressRow { job, epoch: 1, frames_done, frames_total, frame, sample, samples, started, at }
}

async fn failed(world: &World, session: Session, job: JobId) -> Result<Reported, Refusal> {
    delivery::failed(&world.ctx, &world.call(), session, job, 1, false, "it broke").await
}

fn is_stale<T: std::fmt::Debug>(answer: Result<T, Refusal>) {
    assert!(matches!(answer, Err(Refusal::StaleLease)), "{answer:?}");
}

#[tokio::test]
async fn a_replaced_socket_writes_nothing_and_is_handed_nothing() {
    let world = World::new().await;
    let client = world.client(1).await;
    let (job, _) = world.paid(&client, PRICE).await;
    let older = world.lease(job).await;
    let newer = reconnected(&world, 1).await;
    assert_eq!((older.fence, newer.fence), (1, 2));
    let (ctx, report) = (&world.ctx, Report { epoch: 1, render_ms: 1 });
    let before = world.job(job).await;

    let put = Put { frame: 1, size: 3, sha256: [7; 32] };
    is_stale(delivery::progress(ctx, older, progress(&world, job)).await);
    is_stale(delivery::want_put(ctx, older, job, 1, put).await);
    is_stale(delivery::done(ctx, older, job, report).await);
    is_stale(delivery::decline(ctx, &world.call(), older, job, 1).await);
    is_stale(failed(&world, older, job).await);
    assert!(delivery::ready(ctx, &world.call(), older, 1).await.unwrap().is_empty());
    let call = world.call();
    assert_eq!(delivery::disconnect(ctx, &call, older, call.now).await.unwrap(), None);
    assert_eq!(world.job(job).await, before);
    let told = ctx.store.get::<ProgressRow>(&keys::progress(job)).await.unwrap();
    assert_eq!(told, None);
    let hints = ctx.store.queues().receive(Queue::Verify, 10, 0, 30).await.unwrap();
    assert!(hints.is_empty(), "{} hints", hints.len());

    // The newer one has what the older one had.
    assert_eq!(delivery::ready(ctx, &world.call(), newer, 8).await.unwrap(), [job]);
    delivery::progress(ctx, newer, progress(&world, job)).await.unwrap();
    delivery::want_put(ctx, newer, job, 1, put).await.unwrap();
    assert_eq!(delivery::done(ctx, newer, job, report).await.unwrap(), Reported::Verifying);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_report_and_the_replacement_of_its_socket_at_once_end_in_one_of_two_ways() {
    let world = World::new().await;
    let client = world.client(1).await;
    let mut newest = 1;
    for round in 0..8 {
        let (job, _) = world.paid(&client, PRICE).await;
        world.lease(job).await;
        let older = Session { node: world.home, fence: newest };
        let (newer, told) =
            tokio::join!(reconnected(&world, i64::from(round)), failed(&world, older, job));
        newest = newer.fence;
        let MarketJob { state, task, .. } = world.job(job).await;
        match told {
            // It came before.
            Ok(_) => assert_eq!((state, task.failures), (JobState::Queued, 1)),
            Err(Refusal::StaleLease) => {
                assert_eq!((state, task.failures), (JobState::Dispatched, 0));
                failed(&world, newer, job).await.unwrap();
            }
            Err(other) => panic!("{other:?}"),
        }
        // From here on it never does.
        is_stale(failed(&world, older, job).await);
        assert_eq!(world.job(job).await.task.failures, 1);
    }
}
