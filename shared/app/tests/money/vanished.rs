//! A payment that was confirmed and is not there any more, or is there otherwise. Nobody is paid
//! with money that never came, and no money that came is taken for gone.

use framefair_app::market;
use framefair_app::settlement::{Advanced, advance};
use framefair_app::{JobState, Refusal};
use framefair_domain::id::JobId;
use framefair_domain::settlement::{Inflow, Outflow};
use framefair_domain::wallet::TxSignature;
use serde_json::json;

use crate::world::{BASE, GONE_FOR_GOOD, PRICE, Party, World, memo, transfer};

/// A paid job, and the bytes that paid it.
async fn paid(world: &World, client: &Party) -> (JobId, TxSignature, Vec<u8>) {
    let quote = world.quote(client).await;
    let legs = [transfer(&client.wallet(), &quote.pay_to, PRICE), memo(&quote.memo)];
    let bytes = world.sign(&legs, &[client]).await;
    let signature = world.send(&bytes).await;
    world.pay(quote.job, &signature).await.unwrap();
    (quote.job, signature, bytes)
}

async fn drop_from_chain(world: &World, signature: &TxSignature) {
    world.rpc("localnetDropTransaction", json!([signature])).await;
}

#[tokio::test]
async fn a_payment_that_vanishes_stops_its_job_and_nobody_is_paid() {
    let world = World::new().await;
    let client = world.client(1).await;
    let (job, signature, _) = paid(&world, &client).await;
    drop_from_chain(&world, &signature).await;
    let had = world.lamports(&client.wallet()).await;
    world.finalize().await;
    assert!(matches!(world.advance(job).await.unwrap(), Advanced::Later(_)));
    assert_eq!(world.job(job).await.state, JobState::Queued, "it may come back");
    world.warp(GONE_FOR_GOOD).await;
    world.advance(job).await.unwrap();
    let gone = world.job(job).await;
    assert_eq!((gone.state, gone.deal.inflow), (JobState::Failed, Inflow::Reverted));
    assert_eq!((gone.deal.outflow, gone.deal.plan), (Outflow::Nothing, None));
    for _ in 0..3 {
        assert_eq!(world.advance(job).await.unwrap(), Advanced::Nothing);
        world.finalize().await;
    }
    assert_eq!(world.lamports(&client.wallet()).await, had);
    assert!(world.signed(job).await.is_empty());
    world.balanced().await;
}

#[tokio::test]
async fn a_payment_that_vanishes_under_a_running_job_frees_its_node() {
    let world = World::new().await;
    let client = world.client(1).await;
    let (job, signature, _) = paid(&world, &client).await;
    let session = world.lease(job).await;
    drop_from_chain(&world, &signature).await;
    world.warp(GONE_FOR_GOOD).await;
    world.advance(job).await.unwrap();
    assert_eq!(world.job(job).await.state, JobState::Failed);
    let held = framefair_app::delivery::ready(&world.ctx, &world.call(), session, 8).await;
    assert!(held.unwrap().is_empty());
    world.balanced().await;
}

#[tokio::test]
async fn a_payment_that_vanishes_after_completion_withholds_the_result_and_the_pay() {
    let world = World::new().await;
    let client = world.client(1).await;
    let provider = world.home_party.wallet();
    let had = world.lamports(&provider).await;
    let (job, signature, _) = paid(&world, &client).await;
    world.complete(job).await;
    assert!(market::result(&world.ctx, job, None, false).await.is_ok());
    drop_from_chain(&world, &signature).await;
    world.warp(GONE_FOR_GOOD).await;
    for _ in 0..4 {
        world.advance(job).await.unwrap();
        world.finalize().await;
    }
    let gone = world.job(job).await;
    assert_eq!((gone.state, gone.deal.inflow), (JobState::Completed, Inflow::Reverted));
    let withheld = market::result(&world.ctx, job, None, false).await;
    assert!(matches!(withheld, Err(Refusal::NotReady(_))), "{withheld:?}");
    assert!(world.signed(job).await.is_empty());
    assert_eq!(world.lamports(&provider).await, had);
    world.balanced().await;
}

#[tokio::test]
async fn a_vanished_payment_is_not_refunded_either() {
    let world = World::new().await;
    let client = world.client(1).await;
    let (job, signature, _) = paid(&world, &client).await;
    world.cancel(&client, job).await.unwrap();
    drop_from_chain(&world, &signature).await;
    let had = world.lamports(&client.wallet()).await;
    world.warp(GONE_FOR_GOOD).await;
    for _ in 0..4 {
        world.advance(job).await.unwrap();
        world.finalize().await;
    }
    assert_eq!(world.job(job).await.deal.inflow, Inflow::Reverted);
    assert!(world.signed(job).await.is_empty());
    assert_eq!(world.lamports(&client.wallet()).await, had);
    world.balanced().await;
}

#[tokio::test]
async fn a_node_without_history_does_not_make_a_payment_vanish() {
    let world = World::new().await;
    let client = world.client(1).await;
    let (job, ..) = paid(&world, &client).await;
    world.warp(GONE_FOR_GOOD).await;
    for view in [json!({ "history": false }), json!({ "history": "refused" })] {
        let ctx = world.through(view.clone()).await;
        let _ = advance(&ctx, &world.call(), &world.signers, job).await;
        let job = world.job(job).await;
        assert_eq!((job.state, job.deal.inflow), (JobState::Queued, Inflow::Confirmed), "{view}");
    }
    world.complete(job).await;
    world.settle(job).await;
    world.balanced().await;
}

#[tokio::test]
async fn a_payment_that_a_fork_moved_counts_where_it_is_final() {
    let world = World::new().await;
    let client = world.client(1).await;
    let provider = world.home_party.wallet();
    let had = world.lamports(&provider).await;
    let (job, signature, bytes) = paid(&world, &client).await;
    let slot = world.claim(&signature).await.unwrap().slot;
    drop_from_chain(&world, &signature).await;
    world.warp(5).await;
    world.send(&bytes).await;
    world.complete(job).await;
    world.settle(job).await;
    assert!(world.claim(&signature).await.unwrap().slot > slot, "the books follow");
    assert_eq!(world.lamports(&provider).await, had + BASE);
    world.balanced().await;
}

#[tokio::test]
async fn a_payment_that_a_fork_moved_past_its_window_is_still_the_clients_money() {
    let world = World::new().await;
    let client = world.client(1).await;
    let (job, signature, bytes) = paid(&world, &client).await;
    drop_from_chain(&world, &signature).await;
    world.later(20 * 60).await;
    world.send(&bytes).await;
    world.complete(job).await;
    let settled = world.settle(job).await;
    assert_eq!(settled.deal.inflow, Inflow::Final);
    world.balanced().await;
}

#[tokio::test]
async fn a_payment_that_came_back_as_a_failure_is_gone() {
    let world = World::new().await;
    let client = world.client(1).await;
    let (job, signature, bytes) = paid(&world, &client).await;
    drop_from_chain(&world, &signature).await;
    // On that fork the client had spent it before; the fee is all that is left.
    world.give(&client.wallet(), 1_000_000).await;
    world.send(&bytes).await;
    world.finalize().await;
    world.advance(job).await.unwrap();
    let gone = world.job(job).await;
    assert_eq!((gone.state, gone.deal.inflow), (JobState::Failed, Inflow::Reverted));
    world.balanced().await;
}
