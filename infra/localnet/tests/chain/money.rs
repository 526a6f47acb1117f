//! Lamports are never made nor lost: whatever lands, fails, is dropped, waits or is restarted.

use std::collections::HashMap;

use framefair_localnet::{Config, Localnet};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::json;
use solana_sdk::{
    pubkey::Pubkey,
    signature::{Signature, Signer},
};

use crate::stage::{FEE, Rpc, SOL, Stage, at};

#[tokio::test]
async fn of_many_equal_transactions_sent_at_once_one_lands() {
    let stage = Stage::still().await;
    let rpc = &stage.rpc;
    let payer = rpc.wallet(10 * SOL).await;
    let payee = Pubkey::new_unique();
    let transaction = rpc.transfer(&payer, &payee, SOL).await;
    let sends = (0..32).map(|_| rpc.send(&transaction));
    futures::future::join_all(sends).await;
    assert_eq!(rpc.balance(&payee, "processed").await, SOL);
    assert_eq!(rpc.balance(&payer.pubkey(), "processed").await, 9 * SOL - FEE);
    rpc.warp(1).await;
    assert_eq!(rpc.history(&payee, at("confirmed")).await.len(), 1);
}

/// What the transactions that can be seen say the balances are.
async fn told(rpc: &Rpc, sent: &[Signature]) -> HashMap<String, u64> {
    let mut balances = HashMap::new();
    let mut seen = Vec::new();
    for signature in sent {
        let found = rpc.transaction(signature, "confirmed").await;
        if !found.is_null() {
            seen.push(found);
        }
    }
    let place = |found: &serde_json::Value| {
        (found["slot"].as_u64().unwrap(), found["transactionIndex"].as_u64().unwrap())
    };
    seen.sort_by_key(place);
    for found in seen {
        let keys = found["transaction"]["message"]["accountKeys"].as_array().unwrap();
        let before = found["meta"]["preBalances"].as_array().unwrap();
        let after = found["meta"]["postBalances"].as_array().unwrap();
        let sum = |lamports: &Vec<serde_json::Value>| -> u64 {
            lamports.iter().map(|lamports| lamports.as_u64().unwrap()).sum()
        };
        assert_eq!(sum(before) - sum(after), found["meta"]["fee"].as_u64().unwrap());
        for ((key, before), after) in keys.iter().zip(before).zip(after) {
            let known = balances.insert(key.as_str().unwrap().to_owned(), after.as_u64().unwrap());
            if let Some(known) = known {
                assert_eq!(before.as_u64(), Some(known), "{key} changed between transactions");
            }
        }
    }
    balances
}

#[tokio::test]
async fn whatever_is_dropped_or_restarted_the_balances_are_those_of_the_history() {
    const SEED: u64 = 20_261_122;
    println!("seed {SEED}");
    let mut random = StdRng::seed_from_u64(SEED);
    let folder = tempfile::tempdir().unwrap();
    let config = || Config {
        data_dir: folder.path().to_owned(),
        rpc_addr: "127.0.0.1:0".parse().unwrap(),
        slot_ms: 60_000,
    };
    let mut chain = Localnet::start(config()).await.unwrap();
    let mut rpc = Rpc::new(chain.rpc_url());
    let mut wallets = Vec::new();
    for _ in 0..4 {
        wallets.push(rpc.wallet(20 * SOL).await);
    }
    let mut sent: Vec<Signature> = Vec::new();
    let mut drops = 0;
    for _ in 0..120 {
        match random.random_range(0..100) {
            0..70 => {
                let [from, to] = [0, 1].map(|_| random.random_range(0..wallets.len()));
                // More than anyone has now and then: failures are part of the history.
                let lamports = random.random_range(SOL / 10..15 * SOL);
                let to = wallets[to].pubkey();
                sent.push(rpc.send(&rpc.transfer(&wallets[from], &to, lamports).await).await);
            }
            70..85 => rpc.warp(random.random_range(1..8)).await,
            85..95 => {
                let Some(signature) = sent.get(random.random_range(0..sent.len().max(1))) else {
                    continue;
                };
                let params = json!([signature.to_string()]);
                let dropped = rpc.try_call("localnetDropTransaction", params).await;
                drops += usize::from(dropped.is_ok());
            }
            _ => {
                chain.shutdown().await;
                chain = Localnet::start(config()).await.unwrap();
                rpc = Rpc::new(chain.rpc_url());
            }
        }
    }
    assert!(drops > 0, "the seed drops nothing");
    rpc.warp(1).await;
    sent.dedup();
    let told = told(&rpc, &sent).await;
    let mut checked = 0;
    for wallet in &wallets {
        let address = wallet.pubkey();
        if let Some(lamports) = told.get(&address.to_string()) {
            assert_eq!(rpc.balance(&address, "confirmed").await, *lamports);
            checked += 1;
        }
    }
    assert!(checked > 1);
}
