//! What may leave escrow within a day: no more than the cap, and nothing is lost by waiting.

use framefair_domain::money::{LAMPORTS_PER_SOL, Lamports};
use framefair_domain::settlement::Outflow;
use serde_json::json;

use crate::world::{BASE, PAST_VALIDITY, PRICE, World};

const DAY_S: i64 = 86_400;

/// To the next midnight, and a minute past it: a test that began just before one would see two days.
async fn next_day(world: &World) {
    let now = world.now().seconds();
    world.later(DAY_S - now.rem_euclid(DAY_S) + 60).await;
}

#[tokio::test]
async fn what_is_above_the_cap_of_the_day_waits_for_the_next_one() {
    let mut world = World::new().await;
    world.ctx.platform.payout_cap = Some(Lamports(2 * BASE));
    next_day(&world).await;
    let client = world.client(1).await;
    let provider = world.home_party.wallet();
    let mut jobs = Vec::new();
    for _ in 0..3 {
        jobs.push(world.paid(&client, PRICE).await.0);
    }
    for job in &jobs {
        world.complete(*job).await;
    }
    let had = world.lamports(&provider).await;
    for job in &jobs[..2] {
        assert_eq!(world.settle(*job).await.deal.outflow, Outflow::Settled);
    }
    world.advance(jobs[2]).await.unwrap();
    let waits = world.job(jobs[2]).await;
    assert!(world.signed(jobs[2]).await.is_empty(), "nothing is signed");
    assert_eq!(waits.deal.outflow, Outflow::Owed);
    let again = waits.due.expect("somebody looks at it again").since_ms(world.now());
    assert!((1..=3_600_000).contains(&again), "an operator may raise the cap: {again}");
    world.finalize().await;
    assert_eq!(world.lamports(&provider).await, had + 2 * BASE);
    let audit = world.balanced().await;
    assert_eq!(audit.open_obligations, i128::from(PRICE), "it is owed");

    next_day(&world).await;
    world.settle(jobs[2]).await;
    world.finalize().await;
    assert_eq!(world.lamports(&provider).await, had + 3 * BASE);
    assert_eq!(world.balanced().await.open_obligations, 0);
}

#[tokio::test]
async fn a_payout_that_is_signed_anew_counts_once_and_one_above_the_whole_cap_never_leaves() {
    let mut world = World::new().await;
    world.ctx.platform.payout_cap = Some(Lamports(BASE));
    next_day(&world).await;
    let client = world.client(1).await;
    let (job, _) = world.paid(&client, PRICE).await;
    world.complete(job).await;
    world.finalize().await;
    let escrow = world.signers.escrow.wallet();
    world.rpc("localnetHoldTransaction", json!([escrow])).await;
    world.advance(job).await.unwrap();
    world.warp(PAST_VALIDITY).await;
    world.advance(job).await.unwrap();
    assert_eq!(world.signed(job).await.len(), 2, "the first is proven to be void");
    world.rpc("localnetReleaseTransaction", json!([escrow])).await;
    world.settle(job).await;

    // A refund of everything is more than this cap lets out on any day; a higher one does.
    let (job, _) = world.paid(&client, PRICE + LAMPORTS_PER_SOL).await;
    world.fail(job).await;
    for _ in 0..2 {
        next_day(&world).await;
        world.finalize().await;
        world.advance(job).await.unwrap();
        assert!(world.signed(job).await.is_empty());
    }
    world.balanced().await;
    world.ctx.platform.payout_cap = Some(Lamports(2 * LAMPORTS_PER_SOL));
    world.settle(job).await;
    assert_eq!(world.balanced().await.open_obligations, 0);
}
