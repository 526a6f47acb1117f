//! What a chain costs a machine that runs it all day.

use std::time::{Duration, Instant};

use framefair_localnet::{Config, Localnet};
use solana_sdk::pubkey::Pubkey;

use crate::{
    durability::Process,
    stage::{SOL, Stage},
};

#[tokio::test]
async fn an_idle_chain_costs_almost_no_cpu() {
    let folder = tempfile::tempdir().unwrap();
    // Twenty times as fast as a real cluster.
    let process = Process::start(folder.path());
    process.rpc.wallet(SOL).await;
    let before = process.cpu();
    let slot = process.rpc.slot("processed").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let spent = process.cpu() - before;
    let ticked = process.rpc.slot("processed").await - slot;
    println!("{spent:?} of CPU for {ticked} slots");
    assert!(ticked > 20);
    assert!(spent < Duration::from_millis(300), "{spent:?} for {ticked} slots");
}

#[tokio::test]
async fn a_restart_reads_its_journal_without_running_it() {
    const TRANSFERS: u64 = 300;
    let folder = tempfile::tempdir().unwrap();
    let config = || Config {
        data_dir: folder.path().to_owned(),
        rpc_addr: "127.0.0.1:0".parse().unwrap(),
        slot_ms: 60_000,
    };
    let chain = Localnet::start(config()).await.unwrap();
    let rpc = crate::stage::Rpc::new(chain.rpc_url());
    let payer = rpc.wallet(1_000 * SOL).await;
    let payee = Pubkey::new_unique();
    let began = Instant::now();
    for number in 0..TRANSFERS {
        rpc.send(&rpc.transfer(&payer, &payee, SOL + number).await).await;
    }
    let ran = began.elapsed();
    chain.shutdown().await;
    let bytes = std::fs::metadata(folder.path().join("journal")).unwrap().len();
    let began = Instant::now();
    let chain = Localnet::start(config()).await.unwrap();
    let restarted = began.elapsed();
    println!("{TRANSFERS} transfers: sent in {ran:?}, {bytes} bytes, restarted in {restarted:?}");
    assert!(bytes / TRANSFERS < 2_000, "{bytes}");
    assert!(restarted < Duration::from_secs(20), "{restarted:?}");
    let rpc = crate::stage::Rpc::new(chain.rpc_url());
    let received = TRANSFERS * SOL + TRANSFERS * (TRANSFERS - 1) / 2;
    assert_eq!(rpc.balance(&payee, "processed").await, received);
}

#[tokio::test]
async fn a_transfer_is_confirmed_within_two_slots() {
    let stage = Stage::with_slots_of(400).await;
    let payer = stage.rpc.wallet(10 * SOL).await;
    let mut best = u64::MAX;
    // The best of three: after a stall of the machine several slots pass at once.
    for _ in 0..3 {
        let transaction = stage.rpc.transfer(&payer, &Pubkey::new_unique(), SOL).await;
        let before = stage.rpc.slot("processed").await;
        let signature = stage.rpc.send(&transaction).await;
        crate::stage::until("confirmation", async || {
            let status = stage.rpc.status(&signature).await;
            status["confirmationStatus"] == "confirmed"
        })
        .await;
        best = best.min(stage.rpc.slot("processed").await - before);
    }
    assert!(best <= 3, "{best} slots");
}
