//! The program itself, as a process, against a real local chain: wallets, play money, exit codes.

use std::path::Path;
use std::process::{Command, Output};

use framefair_localnet::{Config, Localnet};
use serde_json::Value;

struct Place {
    folder: tempfile::TempDir,
    chain: Localnet,
}

async fn place() -> Place {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config {
        data_dir: folder.path().join("chain"),
        rpc_addr: "127.0.0.1:0".parse().expect("an address"),
        slot_ms: 50,
    };
    let chain = Localnet::start(config).await.expect("a chain");
    Place { folder, chain }
}

/// Runs the program as a person would, with nothing from this test's own environment.
fn framefair(folder: &Path, line: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_framefair"))
        .args(line)
        .current_dir(folder)
        .env_clear()
        .output()
        .expect("the program starts")
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

async fn run(place: &Place, line: &[&str]) -> Output {
    let folder = place.folder.path().to_owned();
    let rpc = place.chain.rpc_url();
    let mut line: Vec<String> = line.iter().map(|word| (*word).to_owned()).collect();
    if line.contains(&"--wallet".to_owned()) {
        line.extend(["--rpc".to_owned(), rpc]);
    }
    let running = tokio::task::spawn_blocking(move || {
        let words: Vec<&str> = line.iter().map(String::as_str).collect();
        framefair(&folder, &words)
    });
    running.await.expect("no panic")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_wallet_is_empty_until_the_chain_fills_it() {
    let place = place().await;
    let made = run(&place, &["wallet", "new", "me.json", "--json"]).await;
    assert!(made.status.success(), "{made:?}");
    let wallet = document(&made)["wallet"].as_str().expect("an address").to_owned();
    assert!(wallet.parse::<framefair_domain::wallet::Wallet>().is_ok(), "{wallet}");

    let empty =
        document(&run(&place, &["wallet", "balance", "--wallet", "me.json", "--json"]).await);
    assert_eq!(
        (&empty["wallet"], &empty["lamports"]),
        (&Value::from(wallet.clone()), &Value::from("0"))
    );

    let filled = run(&place, &["wallet", "airdrop", "1.5", "--wallet", "me.json", "--json"]).await;
    assert!(filled.status.success(), "{filled:?}");
    assert_eq!(document(&filled)["lamports"], "1500000000");

    let shown = run(&place, &["wallet", "balance", "--wallet", "me.json"]).await;
    assert_eq!(
        String::from_utf8_lossy(&shown.stdout),
        format!("wallet   {wallet}\nbalance  1.5 SOL\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_is_never_overwritten() {
    let place = place().await;
    run(&place, &["wallet", "new", "me.json"]).await;
    let before = std::fs::read(place.folder.path().join("me.json")).expect("a wallet");
    let refused = run(&place, &["wallet", "new", "me.json"]).await;
    assert_eq!(refused.status.code(), Some(8), "{refused:?}");
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("Choose another name"),
        "{refused:?}"
    );
    assert_eq!(std::fs::read(place.folder.path().join("me.json")).expect("a wallet"), before);
}

#[test]
fn a_chain_that_is_away_is_a_network_failure_with_advice() {
    let folder = tempfile::tempdir().expect("a folder");
    framefair(folder.path(), &["wallet", "new", "me.json"]);
    let nobody = "http://127.0.0.1:9";
    let refused = framefair(
        folder.path(),
        &["wallet", "balance", "--wallet", "me.json", "--rpc", nobody, "--json"],
    );
    assert_eq!(refused.status.code(), Some(5), "{refused:?}");
    let said = document(&refused);
    assert_eq!((&said["ok"], &said["exit"]), (&Value::from(false), &Value::from(5)));
    assert!(said["hint"].as_str().is_some_and(|hint| hint.contains("framefair up")), "{said}");
}

#[test]
fn a_missing_wallet_is_named_and_how_to_make_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = framefair(folder.path(), &["wallet", "balance", "--wallet", "none.json"]);
    assert_eq!(refused.status.code(), Some(8), "{refused:?}");
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("framefair wallet new none.json"),
        "{refused:?}"
    );
}

#[test]
fn a_bad_scene_is_refused_before_anybody_is_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("noise.blend"), [7; 5000]).expect("written");
    let hub = "http://127.0.0.1:9";
    let line =
        ["render", "noise.blend", "--hub", hub, "--wallet", "none.json", "--out", "o", "--json"];
    let refused = framefair(folder.path(), &line);
    assert_eq!(refused.status.code(), Some(6), "{refused:?}");
    assert_eq!(document(&refused)["exit"], 6);
    assert!(!folder.path().join("o").exists(), "nothing is made for it");
}

#[test]
fn a_hub_that_is_away_is_a_network_failure() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = framefair(folder.path(), &["providers", "--hub", "http://127.0.0.1:9"]);
    assert_eq!(refused.status.code(), Some(5), "{refused:?}");
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        text.starts_with("error: the providers could not be listed: ")
            && text.contains("framefair up"),
        "{text}"
    );
}

#[test]
fn a_wrong_command_line_is_a_document_too_when_one_was_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = framefair(folder.path(), &["frobnicate", "--json"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert_eq!(document(&refused)["exit"], 2);
    let plain = framefair(folder.path(), &["frobnicate"]);
    assert_eq!((plain.status.code(), plain.stdout.len()), (Some(2), 0), "{plain:?}");
    let help = framefair(folder.path(), &["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&help.stdout).contains("Exit codes:"), "{help:?}");
}

#[test]
fn a_hub_elsewhere_needs_its_chain_named() {
    let folder = tempfile::tempdir().expect("a folder");
    framefair(folder.path(), &["wallet", "new", "me.json"]);
    let stl = "solid a\nfacet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 0 1 0\nendloop\nendfacet\nendsolid a\n";
    std::fs::write(folder.path().join("a.stl"), stl).expect("written");
    let line = [
        "render",
        "a.stl",
        "--hub",
        "https://hub.example.org",
        "--wallet",
        "me.json",
        "--out",
        "o",
    ];
    let refused = framefair(folder.path(), &line);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--rpc"), "{refused:?}");
}
