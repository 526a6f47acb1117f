//! Steps of one job that meet: whoever is first wins, and the money has one way to go.

use framefair_app::delivery::{self, Dispatched};
use framefair_app::market::MarketJob;
use framefair_app::provider::{self, Signed, Status};
use framefair_app::statistics::totals;
use framefair_app::sweep::{Reach, sweep};
use framefair_app::watch::watch;
use framefair_app::{Hint, JobState};
use framefair_domain::money::Lamports;
use framefair_domain::settlement::{LegKind, Outflow};
use framefair_domain::signing;
use futures::future::join_all;

use crate::world::{BASE, PRICE, Party, World};

fn kinds(job: &MarketJob) -> Vec<LegKind> {
    job.deal.plan.as_ref().map_or(Vec::new(), |plan| plan.legs.iter().map(|leg| leg.kind).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_payment_and_a_cancellation_at_once_lose_no_lamport() {
    let world = World::new().await;
    let client = world.client(1).await;
    for round in 0..6 {
        let quote = world.quote(&client).await;
        let signature = world.transfer(&client, &quote, PRICE).await;
        world.finalize().await;
        let had = world.lamports(&client.wallet()).await;
        let pays = (0..2).map(|_| world.pay(quote.job, &signature));
        let cancels = (0..2).map(|_| world.cancel(&client, quote.job));
        let watching = async { watch(&world.ctx, &world.call()).await };
        let (paid, cancelled, _) = tokio::join!(join_all(pays), join_all(cancels), watching);
        let _ = (paid, cancelled);
        // Whoever was told to come again does so.
        while world.job(quote.job).await.state != JobState::Cancelled {
            let _ = world.cancel(&client, quote.job).await;
        }
        let job = world.job(quote.job).await;
        if job.deal.payment.is_some() {
            world.settle(quote.job).await;
            assert_eq!(world.lamports(&client.wallet()).await, had + PRICE, "round {round}");
        }
        let audit = world.balanced().await;
        let booked = audit.payments_in + audit.strays_in;
        assert_eq!(booked, i128::from(PRICE) * (round + 1), "{audit}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_delivery_and_a_cancellation_at_once_make_one_plan() {
    let world = World::new().await;
    let client = world.client(1).await;
    for _ in 0..5 {
        let (job, _) = world.paid(&client, PRICE).await;
        world.lease(job).await;
        let (_, cancelled) = tokio::join!(world.deliver(job), world.cancel(&client, job));
        let settled = world.settle(job).await;
        match settled.state {
            JobState::Completed => assert_eq!(kinds(&settled), [LegKind::Payout]),
            JobState::Cancelled => assert_eq!(kinds(&settled), [LegKind::Refund]),
            other => panic!("{other:?} after {cancelled:?}"),
        }
    }
    let audit = world.balanced().await;
    assert_eq!(audit.open_obligations, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_payment_of_the_last_second_and_the_end_of_its_quote_at_once_end_in_one_state() {
    let world = World::new().await;
    let client = world.client(1).await;
    let quotes =
        [world.quote(&client).await, world.quote(&client).await, world.quote(&client).await];
    world.later(15 * 60 + 100).await;
    let mut paid = Vec::new();
    for quote in &quotes {
        paid.push(world.transfer(&client, quote, PRICE).await);
    }
    world.later(25).await;
    world.finalize().await;
    let pays = quotes.iter().zip(&paid).map(|(quote, signature)| world.pay(quote.job, signature));
    let sweeps = (0..2).map(|_| async {
        sweep(&world.ctx, &mut world.call(), Reach::Everything).await.unwrap();
    });
    tokio::join!(join_all(pays), join_all(sweeps));
    for quote in quotes {
        assert_eq!(world.job(quote.job).await.state, JobState::Queued, "it was paid in time");
    }
    let audit = world.balanced().await;
    assert_eq!((audit.payments_in, audit.strays_in), (i128::from(3 * PRICE), 0));
}

#[tokio::test]
async fn a_provider_that_buys_from_itself_gets_its_price_and_its_excess_and_pays_the_fee() {
    let world = World::new().await;
    let myself = &world.home_party;
    let (job, _) = world.paid(myself, PRICE + 20_000).await;
    let had = world.lamports(&myself.wallet()).await;
    world.complete(job).await;
    let settled = world.settle(job).await;
    assert_eq!(kinds(&settled), [LegKind::Payout, LegKind::Excess]);
    assert_eq!(world.lamports(&myself.wallet()).await, had + BASE + 20_000);
    let volume = totals(&world.ctx).await.unwrap().volume;
    assert_eq!(volume, Lamports(PRICE), "the pay is no refund");
    world.balanced().await;
}

#[tokio::test]
async fn a_paid_job_that_nobody_can_take_waits_a_day_and_is_then_refunded() {
    let world = World::new().await;
    let client = world.client(1).await;
    let (job, _) = world.paid(&client, PRICE).await;
    let had = world.lamports(&client.wallet()).await;
    let text = signing::status(world.home, "offline");
    let word = Signed { signature: world.home_party.says(&text), once: None };
    let offline = Status::Offline;
    provider::set_status(&world.ctx, &world.call(), world.home, offline, &word).await.unwrap();
    let dispatch = || async {
        let hint = Hint::about(job);
        delivery::dispatch(&world.ctx, &mut world.call(), &hint).await.unwrap()
    };
    assert_eq!(dispatch().await, Dispatched::Nothing);
    assert_eq!(world.job(job).await.state, JobState::Queued);
    world.later(24 * 3_600 + 1).await;
    dispatch().await;
    let failed = world.job(job).await;
    assert_eq!((failed.state, failed.deal.outflow), (JobState::Failed, Outflow::Owed));
    world.settle(job).await;
    assert_eq!(world.lamports(&client.wallet()).await, had + PRICE);
    assert_eq!(totals(&world.ctx).await.unwrap().volume, Lamports(0));
    world.balanced().await;
}

#[tokio::test]
async fn a_payout_goes_to_whoever_rendered_at_the_price_that_was_quoted() {
    let world = World::new().await;
    let client = world.client(1).await;
    let other = Party::new(40);
    world.give(&other.wallet(), 1_000_000).await;
    let cheaper = world.provider(&other, BASE - 1_000_000).await;
    let (job, _) = world.paid(&client, PRICE).await;
    let had = world.lamports(&world.home_party.wallet()).await;
    let session = world.lease(job).await;
    assert_eq!(session.node, world.home);
    delivery::failed(&world.ctx, &world.call(), session, job, 1, false, "it broke").await.unwrap();
    world.later(5).await;
    world.complete(job).await;
    assert_eq!(world.job(job).await.deal.provider, cheaper);
    world.settle(job).await;
    assert_eq!(world.lamports(&other.wallet()).await, 1_000_000 + BASE);
    assert_eq!(world.lamports(&world.home_party.wallet()).await, had);
    world.balanced().await;
}
