//! Nodes that are away, slow, of another cluster, or lie.

use std::time::Duration;

use framefair_chain::{Chain, ChainError, Commitment, Config, Fault, Seam, wallet};
use framefair_domain::money::Lamports;
use framefair_domain::wallet::TxSignature;
use serde_json::json;

use crate::stage::{open, signer, stage};

const OTHER_GENESIS: &str = "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d";

fn config(url: &str) -> Config {
    Config {
        rpc_url: url.to_owned(),
        second_rpc_url: None,
        genesis_hash: Some(OTHER_GENESIS.to_owned()),
        timeout_ms: 5_000,
    }
}

#[tokio::test]
async fn a_node_of_another_cluster_is_turned_away() {
    let stage = stage().await;
    let refused = Chain::connect(config(&stage.net.rpc_url()), Seam::new()).await.unwrap_err();
    let found = stage.chain.genesis_hash().to_owned();
    let expected = OTHER_GENESIS.to_owned();
    assert_eq!(refused, ChainError::WrongCluster { expected, found });

    let seam = Seam::new();
    seam.inject("getGenesisHash", Fault::Answer(json!(OTHER_GENESIS)), 1);
    assert!(Chain::connect(config(&stage.net.rpc_url()), seam).await.is_ok());
}

#[tokio::test]
async fn a_known_cluster_is_asked_for_with_the_first_call_and_once() {
    let stage = stage().await;
    let url = stage.net.rpc_url();
    let known = stage.chain.genesis_hash().to_owned();
    let height = |chain: Chain| async move { chain.block_height(Commitment::Confirmed).await };
    let away = Chain::of_cluster(known.clone(), &config("http://127.0.0.1:1"), Seam::new());
    let away = height(away.expect("nothing is asked")).await.unwrap_err();
    assert!(matches!(away, ChainError::Unreachable(_)), "{away:?}");

    let seam = Seam::new();
    let right = Chain::of_cluster(known, &config(&url), seam.clone()).unwrap();
    for _ in 0..3 {
        height(right.clone()).await.unwrap();
    }
    assert_eq!(seam.count("getGenesisHash"), 1);
    let wrong = Chain::of_cluster(OTHER_GENESIS.into(), &config(&url), Seam::new()).unwrap();
    for _ in 0..2 {
        let refused = height(wrong.clone()).await.unwrap_err();
        assert!(matches!(refused, ChainError::WrongCluster { .. }), "{refused:?}");
    }
}

#[tokio::test]
async fn a_second_node_of_another_cluster_is_turned_away() {
    let stage = stage().await;
    let (seam, url) = (Seam::new(), stage.net.rpc_url());
    seam.inject("getGenesisHash", Fault::Delay(Duration::ZERO), 1);
    seam.inject("getGenesisHash", Fault::Answer(json!(OTHER_GENESIS)), 1);
    let refused = open(&url, Some(&url), &seam).await.unwrap_err();
    assert!(matches!(refused, ChainError::WrongCluster { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_node_that_is_away_is_unreachable_and_its_address_is_not_told() {
    let refused = open("http://127.0.0.1:1/secret-key", None, &Seam::new()).await.unwrap_err();
    assert!(matches!(refused, ChainError::Unreachable(_)), "{refused:?}");
    assert!(!format!("{refused} {refused:?}").contains("secret-key"));
    for url in ["", "ftp://host/", "127.0.0.1:8899", "http://"] {
        let refused = open(url, None, &Seam::new()).await.unwrap_err();
        assert_eq!(refused, ChainError::BadUrl, "{url}");
    }
}

#[tokio::test]
async fn a_slow_node_is_not_waited_for() {
    let stage = stage().await;
    let config = Config { genesis_hash: None, timeout_ms: 50, ..config(&stage.net.rpc_url()) };
    stage.seam.heal();
    let seam = Seam::new();
    seam.inject("getGenesisHash", Fault::Delay(Duration::from_secs(60)), 1);
    assert_eq!(Chain::connect(config, seam).await.unwrap_err(), ChainError::Timeout);
}

#[tokio::test]
async fn every_call_is_counted_under_its_name() {
    let stage = stage().await;
    let seam = Seam::new();
    let chain = open(&stage.net.rpc_url(), None, &seam).await.unwrap();
    chain.slot(Commitment::Confirmed).await.unwrap();
    chain.slot(Commitment::Finalized).await.unwrap();
    seam.inject("getBlockHeight", Fault::Unreachable, 1);
    assert!(matches!(
        chain.block_height(Commitment::Confirmed).await,
        Err(ChainError::Unreachable(_))
    ));
    assert!(chain.block_height(Commitment::Confirmed).await.is_ok(), "the fault was for once");
    assert_eq!(seam.snapshot(), [("getBlockHeight", 2), ("getGenesisHash", 1), ("getSlot", 2)]);
}

#[tokio::test]
async fn a_node_cannot_pass_one_transaction_off_as_another() {
    let stage = stage().await;
    let to = stage.escrow.wallet();
    let pay = async |lamports| {
        wallet::pay(&stage.chain, &stage.client, &to, Lamports(lamports), "x").await.unwrap()
    };
    let (small, large) = (pay(1_000).await, pay(2_000_000).await);
    let how = json!({
        "encoding": "base64", "commitment": "confirmed", "maxSupportedTransactionVersion": 0,
    });
    let answer = stage.raw("getTransaction", json!([large, how])).await;
    stage.seam.inject("getTransaction", Fault::Answer(answer), 1);
    let refused = stage.chain.facts(&small, Commitment::Confirmed).await;
    assert!(matches!(refused, Err(ChainError::Untrustworthy(_))), "{refused:?}");
}

#[tokio::test]
async fn two_nodes_must_tell_the_same_of_a_payment() {
    let stage = stage().await;
    let to = stage.escrow.wallet();
    let paid = wallet::pay(&stage.chain, &stage.client, &to, Lamports(7), "x").await.unwrap();
    let lagging = stage.view(json!({ "lagSlots": 60 })).await;
    let url = stage.net.rpc_url();
    let behind = open(&url, Some(&lagging), &stage.seam).await.unwrap();
    assert_eq!(behind.facts_agreed(&paid, Commitment::Confirmed).await, Ok(None));

    let both = open(&url, Some(&url), &stage.seam).await.unwrap();
    assert!(both.facts_agreed(&paid, Commitment::Confirmed).await.unwrap().is_some());
    let how = json!({
        "encoding": "base64", "commitment": "confirmed", "maxSupportedTransactionVersion": 0,
    });
    let mut lie = stage.raw("getTransaction", json!([paid, how])).await;
    lie["slot"] = json!(lie["slot"].as_u64().unwrap() + 1);
    stage.seam.inject("getTransaction", Fault::Delay(Duration::ZERO), 1);
    stage.seam.inject("getTransaction", Fault::Answer(lie), 1);
    let refused = both.facts_agreed(&paid, Commitment::Confirmed).await;
    assert!(matches!(refused, Err(ChainError::Untrustworthy(_))), "{refused:?}");
}

#[tokio::test]
async fn answers_that_make_no_sense_are_not_trusted() {
    let stage = stage().await;
    let wallet = signer(1).wallet();
    let line = |slot: u64| {
        let signature = TxSignature([u8::try_from(slot).unwrap(); 64]);
        json!({ "signature": signature, "slot": slot, "err": null, "memo": null, "blockTime": 1 })
    };
    let cases = [
        json!(null),
        json!({}),
        json!([{ "signature": "x", "slot": 1, "err": null }]),
        json!([line(1), line(2)]),
        json!([line(3), line(2), line(1)]),
    ];
    for case in cases {
        stage.seam.inject("getSignaturesForAddress", Fault::Answer(case.clone()), 1);
        let refused = stage.chain.signatures_of(&wallet, None, None, 2).await;
        assert!(matches!(refused, Err(ChainError::Untrustworthy(_))), "{case}: {refused:?}");
    }
}
