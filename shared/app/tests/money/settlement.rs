//! What is owed leaves once and to the lamport, whatever becomes of the transaction that carries it.

use framefair_app::settlement::{Advanced, advance, unpark};
use framefair_app::{Ctx, JobState, Refusal};
use framefair_domain::id::JobId;
use framefair_domain::money::LAMPORTS_PER_SOL;
use framefair_domain::settlement::Outflow;
use futures::future::join_all;
use serde_json::json;

use crate::world::{BASE, PAST_VALIDITY, PRICE, Party, World};

/// A completed job whose payment is final.
async fn owed(world: &World, client: &Party) -> JobId {
    let (job, _) = world.paid(client, PRICE).await;
    world.complete(job).await;
    world.finalize().await;
    job
}

#[tokio::test]
async fn a_provider_is_paid_once_and_to_the_lamport_and_the_excess_goes_back() {
    let world = World::new().await;
    let client = world.client(1).await;
    let provider = world.home_party.wallet();
    let had = world.lamports(&provider).await;
    let (job, _) = world.paid(&client, PRICE + 10_000).await;
    let left = world.lamports(&client.wallet()).await;
    world.complete(job).await;
    let early = world.advance(job).await.unwrap();
    assert!(matches!(early, Advanced::Later(_)), "the payment is not final: {early:?}");
    assert!(world.signed(job).await.is_empty(), "so nothing is signed");

    let settled = world.settle(job).await;
    assert_eq!(settled.due, None, "nobody looks at it any more");
    world.later(60).await;
    for again in join_all((0..8).map(|_| world.advance(job))).await {
        assert_eq!(again.unwrap(), Advanced::Nothing);
    }
    world.finalize().await;
    assert_eq!(world.lamports(&provider).await, had + BASE);
    assert_eq!(world.lamports(&client.wallet()).await, left + 10_000);
    assert_eq!(
        world.lamports(&world.signers.escrow.wallet()).await,
        LAMPORTS_PER_SOL + PRICE - BASE
    );
    let audit = world.balanced().await;
    assert_eq!(audit.fees, i128::from(PRICE - BASE));
    assert_eq!((audit.open_obligations, audit.paid_out), (0, i128::from(BASE + 10_000)));
}

#[tokio::test]
async fn a_failed_job_gives_everything_back_and_its_provider_nothing() {
    let world = World::new().await;
    let client = world.client(1).await;
    let provider = world.home_party.wallet();
    let had = world.lamports(&provider).await;
    let (job, _) = world.paid(&client, PRICE + 1).await;
    let left = world.lamports(&client.wallet()).await;
    world.fail(job).await;
    let settled = world.settle(job).await;
    assert_eq!(settled.state, JobState::Failed);
    assert_eq!(world.lamports(&client.wallet()).await, left + PRICE + 1);
    assert_eq!(world.lamports(&provider).await, had);
    let audit = world.balanced().await;
    assert_eq!((audit.fees, audit.open_obligations), (0, 0));
}

#[tokio::test]
async fn a_refund_that_is_not_worth_a_transfer_is_kept_and_accounted_for() {
    let mut world = World::new().await;
    let client = world.client(1).await;
    world.home = world.provider(&Party::new(30), 0).await;
    let (job, _) = world.paid(&client, 1_000).await;
    world.fail(job).await;
    world.settle(job).await;
    assert!(world.signed(job).await.is_empty());
    let audit = world.balanced().await;
    assert_eq!((audit.fees, audit.paid_out), (1_000, 0));
}

#[tokio::test]
async fn a_payout_that_landed_with_an_error_is_signed_anew_and_paid_once() {
    let world = World::new().await;
    let client = world.client(1).await;
    let provider = world.home_party.wallet();
    let had = world.lamports(&provider).await;
    let escrow = world.signers.escrow.wallet();
    let job = owed(&world, &client).await;
    let holds = world.lamports(&escrow).await;
    world.give(&escrow, 900_000).await;
    world.advance(job).await.unwrap();
    world.warp(2).await;
    world.advance(job).await.unwrap();
    assert_eq!(world.signed(job).await.len(), 1, "its failure is not final yet");
    world.finalize().await;
    world.give(&escrow, holds).await;
    let settled = world.settle(job).await;
    let signed = world.signed(job).await;
    assert_eq!(signed.len(), 2);
    assert_eq!(settled.deal.out_tx, Some(signed[1].signature));
    assert_eq!(world.lamports(&provider).await, had + BASE);
    world.balanced().await;
}

#[tokio::test]
async fn a_payout_that_always_fails_is_parked_for_an_operator_and_still_accounted_for() {
    let world = World::new().await;
    let client = world.client(1).await;
    let escrow = world.signers.escrow.wallet();
    let job = owed(&world, &client).await;
    let holds = world.lamports(&escrow).await;
    for _ in 0..13 {
        // Full when it is looked at, and empty when the payout lands.
        world.give(&escrow, holds).await;
        world.warp(2).await;
        world.give(&escrow, 900_000).await;
        world.advance(job).await.unwrap();
        world.finalize().await;
    }
    let parked = world.job(job).await;
    assert_eq!((parked.deal.outflow, world.signed(job).await.len()), (Outflow::Parked, 12));
    world.give(&escrow, holds).await;
    assert_eq!(world.advance(job).await.unwrap(), Advanced::Nothing);
    let audit = world.balanced().await;
    assert_eq!((audit.parked, audit.open_obligations), (i128::from(PRICE), 0));

    // An operator has filled escrow up and has it tried again.
    unpark(&world.ctx, &world.call(), job.into()).await.unwrap();
    let again = unpark(&world.ctx, &world.call(), job.into()).await;
    assert!(matches!(again, Err(Refusal::Invalid(_))), "{again:?}");
    let provider = world.home_party.wallet();
    let had = world.lamports(&provider).await;
    assert_eq!(world.settle(job).await.deal.outflow, Outflow::Settled);
    assert_eq!((world.lamports(&provider).await, world.signed(job).await.len()), (had + BASE, 13));
    world.balanced().await;
}

#[tokio::test]
async fn a_payout_waits_for_an_escrow_or_a_gas_wallet_that_is_short() {
    let world = World::new().await;
    let client = world.client(1).await;
    let provider = world.home_party.wallet();
    let had = world.lamports(&provider).await;
    let job = owed(&world, &client).await;
    for wallet in [world.signers.escrow.wallet(), world.signers.gas.wallet()] {
        let holds = world.lamports(&wallet).await;
        world.give(&wallet, 900_000).await;
        world.finalize().await;
        for _ in 0..20 {
            assert_eq!(world.advance(job).await.unwrap(), Advanced::Nothing);
        }
        assert!(world.signed(job).await.is_empty(), "no attempt is wasted");
        assert!(world.job(job).await.due.is_some_and(|due| due > world.now()));
        world.give(&wallet, holds).await;
        world.finalize().await;
    }
    world.settle(job).await;
    assert_eq!(world.lamports(&provider).await, had + BASE);
    world.balanced().await;
}

#[tokio::test]
async fn a_payout_that_is_held_up_is_sent_again_and_lands_once() {
    let world = World::new().await;
    let client = world.client(1).await;
    let provider = world.home_party.wallet();
    let had = world.lamports(&provider).await;
    let escrow = world.signers.escrow.wallet();
    let job = owed(&world, &client).await;
    world.rpc("localnetHoldTransaction", json!([escrow])).await;
    for _ in 0..3 {
        world.advance(job).await.unwrap();
        world.finalize().await;
    }
    assert_eq!(world.signed(job).await.len(), 1, "it can still land");
    assert_eq!(world.lamports(&provider).await, had);
    world.rpc("localnetReleaseTransaction", json!([escrow])).await;
    world.settle(job).await;
    assert_eq!(world.signed(job).await.len(), 1);
    assert_eq!(world.lamports(&provider).await, had + BASE);
    world.balanced().await;
}

#[tokio::test]
async fn a_payout_that_expired_is_signed_anew_and_the_old_one_pays_nothing_later() {
    let world = World::new().await;
    let client = world.client(1).await;
    let provider = world.home_party.wallet();
    let had = world.lamports(&provider).await;
    let escrow = world.signers.escrow.wallet();
    let job = owed(&world, &client).await;
    world.rpc("localnetHoldTransaction", json!([escrow])).await;
    world.advance(job).await.unwrap();
    world.warp(PAST_VALIDITY).await;
    world.advance(job).await.unwrap();
    let signed = world.signed(job).await;
    assert_eq!(signed.len(), 2, "the first is proven to be void");
    world.rpc("localnetReleaseTransaction", json!([escrow])).await;
    let _ = world.ctx.chain.send(&signed[0].bytes).await;
    let settled = world.settle(job).await;
    assert_eq!(settled.deal.out_tx, Some(signed[1].signature));
    assert_eq!(world.lamports(&provider).await, had + BASE);
    world.balanced().await;
}

async fn advance_through(world: &World, ctx: &Ctx, job: JobId) {
    for _ in 0..3 {
        // An error is a fine answer, too: the worker comes again.
        let _ = advance(ctx, &world.call(), &world.signers, job).await;
    }
}

#[tokio::test]
async fn a_node_that_lags_or_has_no_history_makes_nobody_sign_anew() {
    let world = World::new().await;
    let client = world.client(1).await;
    let provider = world.home_party.wallet();
    let had = world.lamports(&provider).await;
    let job = owed(&world, &client).await;
    world.advance(job).await.unwrap();
    world.warp(PAST_VALIDITY + 300).await;
    let blind =
        [json!({ "history": false }), json!({ "history": "refused" }), json!({ "lagSlots": 490 })];
    for view in blind {
        let ctx = world.through(view.clone()).await;
        advance_through(&world, &ctx, job).await;
        assert_eq!(world.signed(job).await.len(), 1, "{view}");
        assert_eq!(world.job(job).await.deal.outflow, Outflow::Owed, "{view}");
    }
    world.settle(job).await;
    assert_eq!(world.signed(job).await.len(), 1);
    assert_eq!(world.lamports(&provider).await, had + BASE);

    // One that is void indeed: who lags behind its end does not know.
    let job = owed(&world, &client).await;
    let escrow = world.signers.escrow.wallet();
    world.rpc("localnetHoldTransaction", json!([escrow])).await;
    world.advance(job).await.unwrap();
    world.warp(PAST_VALIDITY).await;
    world.rpc("localnetReleaseTransaction", json!([escrow])).await;
    let ctx = world.through(json!({ "lagSlots": 60 })).await;
    advance_through(&world, &ctx, job).await;
    assert_eq!(world.signed(job).await.len(), 1);
    world.settle(job).await;
    assert_eq!(world.lamports(&provider).await, had + 2 * BASE);
    world.balanced().await;
}
