//! Nothing that was accepted is lost: the chain is killed in a process of its own, again and
//! again, and has to go on where it was.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use framefair_localnet::{Config, Error, JournalError, Localnet};
use serde_json::json;
use solana_sdk::{
    pubkey::Pubkey,
    signature::{Keypair, Signer},
};

use crate::stage::{FEE, Rpc, SOL, at};

const FOLDER: &str = "LOCALNET_TEST_FOLDER";

fn config(folder: &Path) -> Config {
    Config { data_dir: folder.to_owned(), rpc_addr: "127.0.0.1:0".parse().unwrap(), slot_ms: 20 }
}

/// Not a test by itself: the tests below run it as a process that they kill.
#[tokio::test]
async fn child_process_with_a_chain() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let chain = Localnet::start(config(Path::new(&folder))).await.unwrap();
    println!("\nchain at {}", chain.rpc_url());
    std::io::stdout().flush().unwrap();
    std::future::pending::<()>().await;
}

/// A chain in a process of its own, with slots of 20 ms.
pub(crate) struct Process {
    child: Child,
    pub(crate) rpc: Rpc,
}

impl Process {
    pub(crate) fn start(folder: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "durability::child_process_with_a_chain", "--nocapture"])
            .env(FOLDER, folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = lines
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("chain at ").map(str::to_owned))
            .unwrap();
        Self { child, rpc: Rpc::new(url) }
    }

    /// User and system time that the process has spent.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        // Linux tells a hundredth of a second at a time.
        Duration::from_millis(ticks * 10)
    }

    /// SIGKILL: no destructor runs, nothing is flushed.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn what_was_accepted_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let payer = Keypair::new();
    let payee = Pubkey::new_unique();
    let mut sent = Vec::new();
    let mut genesis = None;
    let mut slot = 0;
    for round in 0..4 {
        let process = Process::start(folder.path());
        let rpc = process.rpc.clone();
        let hash = rpc.call("getGenesisHash", json!([])).await;
        assert_eq!(genesis.get_or_insert(hash.clone()), &hash);
        assert!(rpc.slot("processed").await > slot, "slots go on");
        for signature in &sent {
            let status = rpc.status(signature).await;
            assert!(status["err"].is_null() && !status.is_null(), "{signature} is lost");
        }
        if round == 0 {
            let params = json!([payer.pubkey().to_string(), 100 * SOL]);
            rpc.call("requestAirdrop", params).await;
        }
        let transfer = rpc.transfer(&payer, &payee, SOL + round).await;
        sent.push(rpc.send(&transfer).await);
        slot = rpc.slot("processed").await;
        // At once after the answer: the newest is in no final block yet.
        process.kill();
    }
    let process = Process::start(folder.path());
    let rpc = &process.rpc;
    rpc.warp(32).await;
    let received: u64 = (0..4).map(|round| SOL + round).sum();
    assert_eq!(rpc.balance(&payee, "finalized").await, received);
    assert_eq!(rpc.balance(&payer.pubkey(), "finalized").await, 100 * SOL - received - 4 * FEE);
    let newest_first: Vec<_> = sent.iter().rev().map(ToString::to_string).collect();
    assert_eq!(rpc.history(&payee, at("finalized")).await, newest_first);
    let found = rpc.transaction(&sent[0], "finalized").await;
    assert_eq!(found["meta"]["fee"], FEE);
}

#[tokio::test]
async fn a_transaction_signed_before_a_crash_lands_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let payer = Keypair::new();
    let payee = Pubkey::new_unique();
    let process = Process::start(folder.path());
    process.rpc.call("requestAirdrop", json!([payer.pubkey().to_string(), 5 * SOL])).await;
    let signed = process.rpc.transfer(&payer, &payee, SOL).await;
    process.kill();
    let process = Process::start(folder.path());
    let signature = process.rpc.send(&signed).await;
    assert!(process.rpc.status(&signature).await["err"].is_null());
    assert_eq!(process.rpc.balance(&payee, "processed").await, SOL);
}

#[tokio::test]
async fn a_rollback_and_a_held_transaction_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let still = || Config { slot_ms: 60_000, ..config(folder.path()) };
    let chain = Localnet::start(still()).await.unwrap();
    let rpc = Rpc::new(chain.rpc_url());
    let payer = rpc.wallet(10 * SOL).await;
    let (lost, kept) = (Pubkey::new_unique(), Pubkey::new_unique());
    let dropped = rpc.send(&rpc.transfer(&payer, &lost, SOL).await).await;
    rpc.send(&rpc.transfer(&payer, &kept, SOL).await).await;
    rpc.call("localnetDropTransaction", json!([dropped.to_string()])).await;
    let held = rpc.transfer(&payer, &lost, 2 * SOL).await;
    let held_signature = json!([held.signatures[0].to_string()]);
    rpc.call("localnetHoldTransaction", held_signature.clone()).await;
    rpc.send(&held).await;
    chain.shutdown().await;

    let chain = Localnet::start(still()).await.unwrap();
    let rpc = Rpc::new(chain.rpc_url());
    assert!(rpc.status(&dropped).await.is_null());
    assert_eq!(rpc.balance(&lost, "processed").await, 0);
    assert_eq!(rpc.balance(&kept, "processed").await, SOL);
    assert_eq!(rpc.balance(&payer.pubkey(), "processed").await, 9 * SOL - FEE);
    rpc.call("localnetReleaseTransaction", held_signature).await;
    assert_eq!(rpc.balance(&lost, "processed").await, 2 * SOL);
    chain.shutdown().await;
}

#[tokio::test]
async fn a_torn_end_of_the_journal_is_cut_and_damage_within_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Localnet::start(config(folder.path())).await.unwrap();
    let rpc = Rpc::new(chain.rpc_url());
    let wallet = rpc.wallet(SOL).await;
    chain.shutdown().await;
    let journal = folder.path().join("journal");
    let whole = std::fs::read(&journal).unwrap();

    std::fs::write(&journal, [&whole[..], &[200, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]].concat())
        .unwrap();
    let chain = Localnet::start(config(folder.path())).await.unwrap();
    let rpc = Rpc::new(chain.rpc_url());
    assert_eq!(rpc.balance(&wallet.pubkey(), "confirmed").await, SOL);
    chain.shutdown().await;

    let mut damaged = whole;
    damaged[20] ^= 1;
    std::fs::write(&journal, damaged).unwrap();
    let refused = Localnet::start(config(folder.path())).await;
    assert!(matches!(refused, Err(Error::Journal(JournalError::Damaged(0)))));
}

#[tokio::test]
async fn a_folder_has_one_chain_at_a_time_and_shutdown_frees_it() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Localnet::start(config(folder.path())).await.unwrap();
    let second = Localnet::start(config(folder.path())).await;
    assert!(matches!(second, Err(Error::Journal(JournalError::Locked(_)))));
    let addr = chain.rpc_addr();
    chain.shutdown().await;
    let again = Config { rpc_addr: addr, ..config(folder.path()) };
    let chain = Localnet::start(again).await.unwrap();
    assert_eq!(chain.rpc_addr(), addr);
    drop(chain);
    let began = Instant::now();
    Localnet::start(config(folder.path())).await.unwrap().shutdown().await;
    assert!(began.elapsed() < Duration::from_secs(20));
}
