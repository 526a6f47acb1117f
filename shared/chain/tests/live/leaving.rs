//! Money out: it leaves exactly once, or certainly not at all.

use framefair_chain::{
    Chain, ChainError, Commitment, Fate, Fault, LEGS_MAX, Order, Sent, SignedOut, check_out,
    memo_out, wallet,
};
use framefair_domain::money::Lamports;
use framefair_domain::wallet::Wallet;
use serde_json::json;

use crate::stage::{Stage, job, open, pause, signer, sol, stage};

/// A blockhash serves for 150 blocks, and those are finalized 32 later.
const PAST_VALIDITY: u64 = 200;

fn legs(count: u8) -> Vec<(Wallet, Lamports)> {
    (0..count).map(|n| (signer(100 + n).wallet(), Lamports(1_000_000 + u64::from(n)))).collect()
}

fn order<'a>(legs: &'a [(Wallet, Lamports)], attempt: u32) -> Order<'a> {
    Order { settlement: job(5).into(), n: attempt, attempt, legs }
}

fn sent(signed: &SignedOut, attempt: u32) -> Sent {
    Sent {
        signature: signed.signature,
        last_valid_block_height: signed.last_valid_block_height,
        min_slot: signed.min_slot,
        memo: memo_out(job(5), attempt),
    }
}

/// Signs once what escrow's funding lies well behind.
async fn sign(stage: &Stage, order: &Order<'_>) -> SignedOut {
    stage.warp(5).await;
    stage.chain.sign_out(order, &stage.escrow, &stage.gas).await.unwrap()
}

async fn fate(stage: &Stage, chain: &Chain, sent: &Sent) -> Fate {
    chain.fate(sent, &stage.escrow.wallet()).await.unwrap()
}

#[tokio::test]
async fn an_order_leaves_once_however_often_it_is_sent() {
    let stage = stage().await;
    let (escrow, gas) = (stage.escrow.wallet(), stage.gas.wallet());
    let legs = legs(2);
    let order = order(&legs, 1);
    let signed = sign(&stage, &order).await;
    let sent = sent(&signed, 1);
    assert_eq!(check_out(&signed.bytes, &order, &escrow, &gas), Ok(()));
    assert_eq!(fate(&stage, &stage.chain, &sent).await, Fate::Unseen);
    for _ in 0..3 {
        stage.chain.send(&signed.bytes).await.unwrap();
    }
    let landed = stage.settled(&sent, &escrow).await;
    assert!(matches!(landed, Fate::Confirmed { .. } | Fate::Finalized { .. }), "{landed:?}");
    stage.finalize().await;
    let facts = stage.chain.facts(&signed.signature, Commitment::Finalized).await.unwrap().unwrap();
    assert_eq!(fate(&stage, &stage.chain, &sent).await, Fate::Finalized { slot: facts.slot });
    assert_eq!(facts.memos, [memo_out(job(5), 1)]);
    let sum = legs.iter().map(|leg| leg.1.0).sum::<u64>();
    assert_eq!(stage.lamports(&escrow).await, sol(2).0 - sum, "escrow pays the legs, no fee");
    assert!(stage.lamports(&gas).await < sol(1).0, "gas pays the fee");
    for (to, lamports) in &legs {
        assert_eq!(stage.lamports(to).await, lamports.0);
    }
    stage.warp(PAST_VALIDITY).await;
    stage.chain.send(&signed.bytes).await.unwrap();
    assert_eq!(stage.lamports(&escrow).await, sol(2).0 - sum, "nor does it leave again later");
}

#[tokio::test]
async fn the_most_legs_fit_in_one_transaction_and_in_its_compute_units() {
    let stage = stage().await;
    let legs = legs(u8::try_from(LEGS_MAX).unwrap());
    let order = Order { settlement: job(5).into(), n: 1, attempt: u32::MAX, legs: &legs };
    let signed = sign(&stage, &order).await;
    stage.chain.send(&signed.bytes).await.unwrap();
    let mut sent = sent(&signed, u32::MAX);
    sent.memo = order.memo();
    let landed = stage.settled(&sent, &stage.escrow.wallet()).await;
    assert!(matches!(landed, Fate::Confirmed { .. } | Fate::Finalized { .. }), "{landed:?}");
    let how = json!({ "encoding": "base64", "commitment": "confirmed",
        "maxSupportedTransactionVersion": 0 });
    let answer = stage.raw("getTransaction", json!([signed.signature, how])).await;
    let units = answer["meta"]["computeUnitsConsumed"].as_u64().unwrap();
    let room = "a memo of the longest id must fit with a third to spare";
    assert!(units * 4 < 3 * (60_000 + 300 * 16), "{units} units used: {room}");
    // Two signatures, and the price of the last attempt for all units that were asked for.
    assert_eq!(answer["meta"]["fee"], json!(10_000 + 60_000 + 300 * 16));
}

#[tokio::test]
async fn later_attempts_bid_more_up_to_a_cap() {
    let stage = stage().await;
    let legs = legs(1);
    let mut fees = Vec::new();
    for attempt in [1, 2, 3, 4, 5, 60] {
        let signed = sign(&stage, &order(&legs, attempt)).await;
        stage.chain.send(&signed.bytes).await.unwrap();
        stage.settled(&sent(&signed, attempt), &stage.escrow.wallet()).await;
        let facts = stage.chain.facts(&signed.signature, Commitment::Confirmed).await;
        let gas = stage.gas.wallet();
        let facts = facts.unwrap().unwrap();
        fees.push(-facts.deltas.iter().find(|delta| delta.0 == gas).unwrap().1);
    }
    assert_eq!(fees, [10_603, 12_412, 19_648, 48_592, 70_300, 70_300]);
}

#[tokio::test]
async fn an_order_that_escrow_cannot_pay_fails_and_only_finally() {
    let stage = stage().await;
    let legs = [(signer(100).wallet(), sol(3))];
    let signed = sign(&stage, &order(&legs, 1)).await;
    let sent = sent(&signed, 1);
    stage.chain.send(&signed.bytes).await.unwrap();
    let early = fate(&stage, &stage.chain, &sent).await;
    assert!(matches!(early, Fate::Processing | Fate::FailedOnChain { .. }), "{early:?}");
    stage.finalize().await;
    let late = fate(&stage, &stage.chain, &sent).await;
    assert!(matches!(late, Fate::FailedOnChain { .. }), "{late:?}");
    assert_eq!(stage.lamports(&stage.escrow.wallet()).await, sol(2).0);
}

#[tokio::test]
async fn an_order_that_was_never_sent_expires_but_not_early() {
    let stage = stage().await;
    let legs = legs(1);
    let signed = sign(&stage, &order(&legs, 1)).await;
    let sent = sent(&signed, 1);
    stage.warp(120).await;
    assert_eq!(fate(&stage, &stage.chain, &sent).await, Fate::Unseen);
    stage.warp(PAST_VALIDITY).await;
    assert_eq!(fate(&stage, &stage.chain, &sent).await, Fate::Expired);
    stage.chain.send(&signed.bytes).await.unwrap();
    stage.finalize().await;
    assert_eq!(fate(&stage, &stage.chain, &sent).await, Fate::Expired, "it can land no more");
}

#[tokio::test]
async fn a_node_that_lags_or_forgets_never_calls_anything_expired() {
    let stage = stage().await;
    let legs = legs(1);
    let signed = sign(&stage, &order(&legs, 1)).await;
    let sent = sent(&signed, 1);
    stage.chain.send(&signed.bytes).await.unwrap();
    stage.warp(PAST_VALIDITY).await;
    for history in [json!(false), json!("refused")] {
        stage.warp(PAST_VALIDITY).await;
        let url = stage.view(json!({ "history": history })).await;
        let fate = fate(&stage, &stage.chain_at(&url).await, &sent).await;
        assert!(matches!(fate, Fate::Unknowable(_)), "{history}: {fate:?}");
    }
    let landed = fate(&stage, &stage.chain, &sent).await;
    assert!(matches!(landed, Fate::Finalized { .. }), "{landed:?}");

    let later = sign(&stage, &order(&legs, 2)).await;
    let later = self::sent(&later, 2);
    stage.warp(PAST_VALIDITY).await;
    assert_eq!(fate(&stage, &stage.chain, &later).await, Fate::Expired);
    let url = stage.view(json!({ "lagSlots": 60 })).await;
    assert_eq!(fate(&stage, &stage.chain_at(&url).await, &later).await, Fate::Unseen);
    let both = open(&stage.net.rpc_url(), Some(&url), &stage.seam).await.unwrap();
    let fate = fate(&stage, &both, &later).await;
    assert!(matches!(fate, Fate::Unknowable(_)), "the second cannot tell: {fate:?}");
}

#[tokio::test]
async fn a_node_whose_parts_are_not_level_cannot_tell() {
    let stage = stage().await;
    let legs = legs(1);
    let sent = sent(&sign(&stage, &order(&legs, 1)).await, 1);
    stage.warp(PAST_VALIDITY).await;
    let behind = json!({ "context": { "slot": 1 }, "value": [null] });
    stage.seam.inject("getSignatureStatuses", Fault::Answer(behind), 2);
    let told = fate(&stage, &stage.chain, &sent).await;
    assert!(matches!(told, Fate::Unknowable(_)), "{told:?}");
    stage.seam.inject("getSignaturesForAddress", Fault::Refusal(-32016, "not reached"), 1);
    let told = fate(&stage, &stage.chain, &sent).await;
    assert!(matches!(told, Fate::Unknowable(_)), "{told:?}");
    stage.seam.inject("getSignaturesForAddress", Fault::Answer(json!([])), 1);
    let told = fate(&stage, &stage.chain, &sent).await;
    assert!(matches!(told, Fate::Unknowable(_)), "a history of nothing: {told:?}");
    assert_eq!(fate(&stage, &stage.chain, &sent).await, Fate::Expired);
}

#[tokio::test]
async fn what_the_statuses_miss_the_walk_finds() {
    let stage = stage().await;
    let legs = legs(1);
    let signed = sign(&stage, &order(&legs, 1)).await;
    let sent = sent(&signed, 1);
    stage.chain.send(&signed.bytes).await.unwrap();
    stage.warp(PAST_VALIDITY).await;
    let nothing = json!({ "context": { "slot": 1_000_000 }, "value": [null] });
    stage.seam.inject("getSignatureStatuses", Fault::Answer(nothing), 2);
    let told = fate(&stage, &stage.chain, &sent).await;
    assert!(matches!(told, Fate::Finalized { .. }), "{told:?}");
}

#[tokio::test]
async fn the_same_order_under_another_signature_is_never_signed_over() {
    let stage = stage().await;
    let legs = legs(1);
    let first = sign(&stage, &order(&legs, 1)).await;
    let second = sign(&stage, &order(&legs, 1)).await;
    assert_ne!(first.signature, second.signature);
    stage.chain.send(&second.bytes).await.unwrap();
    stage.warp(PAST_VALIDITY).await;
    let told = fate(&stage, &stage.chain, &sent(&first, 1)).await;
    let Fate::Unknowable(why) = &told else { panic!("{told:?}") };
    assert!(why.contains(&second.signature.to_string()), "{why}");
}

#[tokio::test]
async fn a_stranger_who_writes_our_memo_keeps_nothing_from_expiring() {
    let stage = stage().await;
    let legs = legs(1);
    let escrow = stage.escrow.wallet();
    let sent = sent(&sign(&stage, &order(&legs, 1)).await, 1);
    wallet::pay(&stage.chain, &stage.client, &escrow, Lamports(1), &sent.memo).await.unwrap();
    stage.warp(PAST_VALIDITY).await;
    let read = stage.seam.count("getTransaction");
    assert_eq!(fate(&stage, &stage.chain, &sent).await, Fate::Expired);
    assert_eq!(stage.seam.count("getTransaction"), read + 1, "it was looked at, not believed");
}

#[tokio::test]
async fn an_answer_lost_after_the_sending_changes_nothing() {
    let stage = stage().await;
    let legs = legs(1);
    let signed = sign(&stage, &order(&legs, 1)).await;
    stage.seam.inject("sendTransaction", Fault::TimeoutAfter, 1);
    assert_eq!(stage.chain.send(&signed.bytes).await, Err(ChainError::Timeout));
    let landed = stage.settled(&sent(&signed, 1), &stage.escrow.wallet()).await;
    assert!(matches!(landed, Fate::Confirmed { .. } | Fate::Finalized { .. }), "{landed:?}");
}

#[tokio::test]
async fn an_order_that_a_fork_dropped_is_unseen_and_lands_when_it_is_sent_again() {
    let stage = stage().await;
    let legs = legs(1);
    let signed = sign(&stage, &order(&legs, 1)).await;
    let sent = sent(&signed, 1);
    stage.chain.send(&signed.bytes).await.unwrap();
    stage.raw("localnetDropTransaction", json!([signed.signature])).await;
    assert_eq!(fate(&stage, &stage.chain, &sent).await, Fate::Unseen);
    stage.chain.send(&signed.bytes).await.unwrap();
    pause().await;
    let landed = stage.settled(&sent, &stage.escrow.wallet()).await;
    assert!(matches!(landed, Fate::Confirmed { .. } | Fate::Finalized { .. }), "{landed:?}");
}

#[tokio::test]
async fn a_node_that_gives_a_blockhash_too_short_to_live_is_not_trusted() {
    let stage = stage().await;
    let legs = legs(1);
    let hash = stage.recent_blockhash().await.to_string();
    for height in [0, 1_000_000] {
        let value = json!({ "blockhash": hash, "lastValidBlockHeight": height });
        let answer = json!({ "context": { "slot": 1 }, "value": value });
        stage.seam.inject("getLatestBlockhash", Fault::Answer(answer), 1);
        let refused =
            stage.chain.sign_out(&order(&legs, 1), &stage.escrow, &stage.gas).await.unwrap_err();
        assert!(matches!(refused, ChainError::Untrustworthy(_)), "{refused:?}");
    }
}

#[tokio::test]
async fn one_wrong_height_alone_makes_nothing_expire() {
    let stage = stage().await;
    let legs = legs(1);
    let sent = sent(&sign(&stage, &order(&legs, 1)).await, 1);
    stage.warp(120).await;
    stage.seam.inject("getBlockHeight", Fault::Answer(json!(1_000_000)), 1);
    assert_eq!(fate(&stage, &stage.chain, &sent).await, Fate::Unseen);
    let hash = stage.recent_blockhash().await.to_string();
    let value = json!({ "blockhash": hash, "lastValidBlockHeight": 1_000_000 });
    let far = json!({ "context": { "slot": 1 }, "value": value });
    stage.seam.inject("getLatestBlockhash", Fault::Answer(far), 1);
    assert_eq!(fate(&stage, &stage.chain, &sent).await, Fate::Unseen);
    stage.seam.heal();
    stage.warp(PAST_VALIDITY).await;
    assert_eq!(fate(&stage, &stage.chain, &sent).await, Fate::Expired);
}
