//! Payments that the chain does not show, or not reliably: they are awaited or refused, and nothing
//! is consumed by asking.

use framefair_app::{Call, Refusal, market};
use framefair_chain::{Fault, UNSUPPORTED_VERSION};
use framefair_domain::money::LAMPORTS_PER_SOL;
use framefair_domain::wallet::TxSignature;
use serde_json::json;

use crate::payment_fraud::{Scene, refused, refuses};
use crate::world::{World, memo};

#[tokio::test]
async fn what_is_no_signature_is_refused_before_any_node_is_asked() {
    let scene = Scene::new().await;
    let (world, quote) = (&scene.world, &scene.quote);
    let asked = world.chain_seam.count("getTransaction");
    let of = |length: usize| bs58::encode(vec![7; length]).into_string();
    let long = "1".repeat(100_000);
    for text in ["", " ", "0OIl", &of(32), &of(63), &of(65), &long, &format!("{} ", of(64))] {
        refuses!(world, quote, text, Refusal::NotATransaction, text.get(..20).unwrap_or(text));
    }
    assert_eq!(world.chain_seam.count("getTransaction"), asked);
    scene.still_payable().await;
}

#[tokio::test]
async fn what_the_chain_does_not_show_is_awaited_and_not_accepted() {
    let scene = Scene::new().await;
    let (world, quote, client) = (&scene.world, &scene.quote, &scene.client);
    let legs = [scene.pay.clone(), memo(&quote.memo)];
    let unknown = TxSignature([7; 64]);

    let held = world.sign(&[memo("held"), legs[0].clone(), legs[1].clone()], &[client]).await;
    let name = framefair_chain::signature_of(&held).unwrap();
    world.rpc("localnetHoldTransaction", json!([name])).await;
    let held = world.send(&held).await;

    let dropped = world.sign(&[legs[0].clone(), legs[1].clone()], &[client]).await;
    let dropped = world.send(&dropped).await;
    world.rpc("localnetDropTransaction", json!([dropped])).await;

    let other_cluster = World::new().await;
    other_cluster.give(&client.wallet(), LAMPORTS_PER_SOL).await;
    let foreign = other_cluster.transact(&legs, &[client]).await;

    // Past the quote's time one look is all there is, so that nothing held expires meanwhile.
    let call = Call::new(quote.expires.plus_ms(121_000), [0; 32]);
    let answer = market::pay(&world.ctx, &call, quote.job, &held.to_string(), None).await;
    assert!(matches!(answer, Err(Refusal::PaymentUnseen)), "{answer:?}");
    let landed = world.rpc("localnetReleaseTransaction", json!([held])).await;
    assert_eq!(landed[0]["landed"], true, "{landed}");
    world.warp(2).await;

    let all = [unknown, dropped, foreign].map(|signature| async move {
        refuses!(world, quote, signature, Refusal::PaymentUnseen, signature);
    });
    futures::future::join_all(all).await;

    // Money held up on its way is taken once it has come.
    world.pay(quote.job, &held).await.unwrap();
    world.balanced().await;
}

#[tokio::test]
async fn one_call_at_a_time_waits_for_a_payment_and_the_others_look_once() {
    let scene = Scene::new().await;
    let (world, quote) = (&scene.world, &scene.quote);
    let asked = world.chain_seam.count("getTransaction");
    let claim = async |n: u8| world.pay(quote.job, &TxSignature([n; 64])).await;
    let answers = futures::future::join_all((1..=8).map(claim)).await;
    assert!(answers.iter().all(|it| matches!(it, Err(Refusal::PaymentUnseen))), "{answers:?}");
    assert_eq!(world.chain_seam.count("getTransaction") - asked, 8 + 2);
    // Once it is over, the next may wait.
    let later = Call::new(framefair_app::Call::live().now.plus_ms(10_000), [0; 32]);
    let unknown = TxSignature([9; 64]).to_string();
    let answer = market::pay(&world.ctx, &later, quote.job, &unknown, None).await;
    assert!(matches!(answer, Err(Refusal::PaymentUnseen)), "{answer:?}");
    assert_eq!(world.chain_seam.count("getTransaction") - asked, 8 + 2 + 3);
    scene.still_payable().await;
}

#[tokio::test]
async fn a_node_that_is_down_or_lies_lets_nothing_pass() {
    let scene = Scene::new().await;
    let (world, quote) = (&scene.world, &scene.quote);
    let stranger = world.client(2).await;
    let theirs = world.transact(&[memo("hello")], &[&stranger]).await;
    let how = json!({ "encoding": "base64", "commitment": "confirmed",
        "maxSupportedTransactionVersion": 0 });
    let theirs = world.rpc("getTransaction", json!([theirs, how])).await;
    let mine = scene.sent(&[scene.pay.clone(), memo(&quote.memo)]).await;
    let lie = world.rpc("getTransaction", json!([mine, how])).await;
    let mut richer = lie.clone();
    richer["meta"]["postBalances"] = json!([0]);
    let mut absent = lie.clone();
    absent["meta"].as_object_mut().unwrap().remove("err");
    let faults = [
        (Fault::Unreachable, "down"),
        (Fault::TimeoutAfter, "slow"),
        (Fault::Answer(theirs), "another transaction"),
        (Fault::Answer(richer), "balances that do not fit"),
        (Fault::Answer(absent), "no word on whether it failed"),
        (Fault::Refusal(-32005, "node is behind"), "behind"),
    ];
    for (fault, what) in faults {
        world.chain_seam.inject("getTransaction", fault, 1);
        refuses!(world, quote, mine, Refusal::ChainUnreachable, what);
    }
    world.chain_seam.inject("getTransaction", Fault::Refusal(UNSUPPORTED_VERSION, "newer"), 1);
    refuses!(world, quote, mine, Refusal::Invalid(_), "a format that nobody here can read");
    world.pay(quote.job, &mine).await.unwrap();
    world.balanced().await;
}
