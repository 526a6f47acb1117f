//! What is too small for an empty wallet is gathered until it can be sent, and leaves once.

use std::time::Duration;

use framefair_app::JobState;
use framefair_app::sweep::{Reach, sweep};
use framefair_chain::Fault;
use framefair_domain::money::Lamports;
use framefair_domain::settlement::{LegKind, Outflow};
use framefair_domain::time::MINUTE_MS;
use framefair_domain::wallet::Wallet;
use futures::future::join_all;
use serde_json::json;

use crate::world::{BASE, PAST_VALIDITY, PRICE, Party, World};

const OPENS: u64 = 890_880;

/// A provider with an empty wallet that asks 100,000 lamports, and so many of its jobs, completed.
async fn small_payouts(world: &mut World, client: &Party, jobs: usize) -> Wallet {
    let poor = Party::new(31);
    world.home = world.provider(&poor, 100_000).await;
    for _ in 0..jobs {
        let (job, _) = world.paid(client, 105_000).await;
        world.complete(job).await;
        world.finalize().await;
        let settled = world.settle(job).await;
        assert_eq!(
            (settled.deal.outflow, settled.deal.kept),
            (Outflow::Settled, vec![LegKind::Payout])
        );
        assert!(world.signed(job).await.is_empty(), "it would fail on chain");
    }
    poor.wallet()
}

#[tokio::test]
async fn small_payouts_are_gathered_and_open_the_wallet_together() {
    let mut world = World::new().await;
    let client = world.client(1).await;
    let poor = small_payouts(&mut world, &client, 8).await;
    for _ in 0..3 {
        world.advance(poor).await.unwrap();
        world.finalize().await;
    }
    let waiting = world.debt(&poor).await.unwrap();
    assert_eq!((waiting.waiting, waiting.batch), (Lamports(800_000), None));
    assert!(waiting.due.is_some_and(|due| due > world.now()), "somebody looks again");
    assert_eq!(world.lamports(&poor).await, 0);
    let audit = world.balanced().await;
    assert_eq!((audit.open_obligations, audit.fees), (800_000, 8 * 5_000));

    small_payouts(&mut world, &client, 1).await;
    join_all((0..8).map(|_| world.advance(poor))).await;
    let paid = world.pay_debt(&poor).await;
    assert_eq!((paid.total, paid.used), (Lamports(900_000), 1));
    assert_eq!(world.lamports(&poor).await, 900_000);
    // The wallet is open now: one more job is paid by itself.
    let (job, _) = world.paid(&client, 105_000).await;
    world.complete(job).await;
    world.finalize().await;
    world.settle(job).await;
    assert_eq!(world.lamports(&poor).await, 1_000_000);
    let audit = world.balanced().await;
    assert_eq!((audit.open_obligations, audit.paid_out), (0, 1_000_000));
}

#[tokio::test]
async fn a_wallet_that_was_opened_by_others_gets_what_it_is_owed() {
    let mut world = World::new().await;
    let client = world.client(1).await;
    let poor = small_payouts(&mut world, &client, 1).await;
    world.advance(poor).await.unwrap();
    let due = world.debt(&poor).await.unwrap().due.unwrap();
    world.give(&poor, OPENS).await;
    world.finalize().await;
    let again = due.since_ms(world.now());
    assert!(again > 5 * MINUTE_MS && again <= 10 * MINUTE_MS, "not at every sweep: {again}");
    world.later(again / 1_000 + 1).await;
    sweep(&world.ctx, &mut world.call(), Reach::Due).await.unwrap();
    let queues = world.ctx.store.queues();
    let hints = queues.receive(framefair_app::Queue::Payouts, 10, 0, 30).await.unwrap();
    assert!(hints.iter().any(|hint| hint.body.contains(&poor.to_string())), "{hints:?}");
    world.pay_debt(&poor).await;
    assert_eq!(world.lamports(&poor).await, OPENS + 100_000);
    world.balanced().await;
}

#[tokio::test]
async fn a_small_excess_becomes_a_debt_and_keeps_nobody_waiting() {
    let mut world = World::new().await;
    let client = world.client(1).await;
    let provider = world.home_party.wallet();
    let had = world.lamports(&provider).await;
    let (job, _) = world.paid(&client, PRICE + 50_000).await;
    world.home = world.provider(&Party::new(30), 0).await;
    let (free, _) = world.paid(&client, 1_000 + 60_000).await;
    for job in [job, free] {
        world.complete(job).await;
    }
    world.give(&client.wallet(), 0).await;
    world.finalize().await;
    for (job, signed) in [(job, 1), (free, 0)] {
        join_all((0..6).map(|_| world.advance(job))).await;
        let settled = world.settle(job).await;
        assert_eq!(
            (settled.deal.outflow, settled.deal.kept),
            (Outflow::Settled, vec![LegKind::Excess])
        );
        assert_eq!(world.signed(job).await.len(), signed);
    }
    assert_eq!(world.lamports(&provider).await, had + BASE);
    assert_eq!(world.debt(&client.wallet()).await.unwrap().waiting, Lamports(110_000));
    world.balanced().await;
    world.give(&client.wallet(), OPENS).await;
    world.finalize().await;
    world.pay_debt(&client.wallet()).await;
    assert_eq!(world.lamports(&client.wallet()).await, OPENS + 110_000);
    world.balanced().await;
}

/// The wallet is emptied between two attempts: what was signed once is kept the next time, and
/// only after the signed one is proven void.
#[tokio::test]
async fn a_leg_is_signed_or_kept_and_never_both() {
    let mut world = World::new().await;
    let client = world.client(1).await;
    let poor = Party::new(31);
    world.home = world.provider(&poor, 100_000).await;
    world.give(&poor.wallet(), OPENS).await;
    let (job, _) = world.paid(&client, 105_000).await;
    world.complete(job).await;
    world.finalize().await;
    let escrow = world.signers.escrow.wallet();
    world.rpc("localnetHoldTransaction", json!([escrow])).await;
    world.advance(job).await.unwrap();
    world.give(&poor.wallet(), 0).await;
    world.finalize().await;
    join_all((0..8).map(|_| world.advance(job))).await;
    assert_eq!(world.debt(&poor.wallet()).await, None, "the first can still land");
    world.warp(PAST_VALIDITY).await;
    join_all((0..8).map(|_| world.advance(job))).await;
    world.rpc("localnetReleaseTransaction", json!([escrow])).await;
    let settled = world.settle(job).await;
    assert_eq!((settled.state, settled.deal.kept), (JobState::Completed, vec![LegKind::Payout]));
    let debt = world.debt(&poor.wallet()).await.unwrap();
    assert_eq!((debt.total, debt.waiting), (Lamports(100_000), Lamports(100_000)));
    world.balanced().await;
}

/// One worker is about to sign for a wallet that can take it, and is slow; meanwhile the wallet is
/// emptied, and another worker keeps the leg. Whoever fills the place first has decided.
#[tokio::test]
async fn a_slow_signer_finds_its_place_taken_by_who_kept_the_leg() {
    let mut world = World::new().await;
    let client = world.client(1).await;
    let poor = Party::new(31);
    world.home = world.provider(&poor, 100_000).await;
    world.give(&poor.wallet(), OPENS).await;
    let (job, _) = world.paid(&client, 105_000).await;
    world.complete(job).await;
    world.finalize().await;
    let slow = Fault::Delay(Duration::from_secs(3));
    world.chain_seam.inject("getLatestBlockhash", slow, 1);
    let signing = world.advance(job);
    let keeping = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.give(&poor.wallet(), 0).await;
        world.finalize().await;
        world.advance(job).await
    };
    let (signed, kept) = tokio::join!(signing, keeping);
    assert!(signed.is_ok() && kept.is_ok(), "{signed:?} {kept:?}");
    assert!(world.signed(job).await.is_empty(), "it was kept first");
    assert_eq!(world.settle(job).await.deal.kept, [LegKind::Payout]);
    assert_eq!(world.debt(&poor.wallet()).await.unwrap().total, Lamports(100_000));
    world.give(&poor.wallet(), OPENS).await;
    world.finalize().await;
    world.pay_debt(&poor.wallet()).await;
    assert_eq!(world.lamports(&poor.wallet()).await, OPENS + 100_000);
    world.balanced().await;
}

#[tokio::test]
async fn a_debt_survives_every_fault_of_the_way() {
    let mut world = World::new().await;
    let client = world.client(1).await;
    let poor = small_payouts(&mut world, &client, 9).await;
    let (job, _) = world.paid(&client, 105_000).await;
    world.complete(job).await;
    world.finalize().await;
    // The first expires unseen, and what becomes owed meanwhile waits for the next batch.
    let escrow = world.signers.escrow.wallet();
    world.rpc("localnetHoldTransaction", json!([escrow])).await;
    for method in ["getBalance", "getLatestBlockhash", "sendTransaction", "getSignatureStatuses"] {
        world.chain_seam.inject(method, Fault::Unreachable, 1);
        let _ = world.advance(poor).await;
        world.chain_seam.heal();
        world.balanced().await;
    }
    world.settle(job).await;
    world.warp(PAST_VALIDITY).await;
    let _ = world.advance(poor).await;
    world.rpc("localnetReleaseTransaction", json!([escrow])).await;
    let paid = world.pay_debt(&poor).await;
    assert_eq!((paid.total, paid.used), (Lamports(1_000_000), 3));
    assert_eq!(world.lamports(&poor).await, 1_000_000);
    let audit = world.balanced().await;
    assert_eq!((audit.open_obligations, audit.paid_out), (0, 1_000_000));
}
