//! Stock clients in other languages, installed by this test from pinned lists and driven by the
//! scripts in `tests/clients`. Needs `node` and `npm`, and `python3` with `venv`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::{Value, json};

use crate::stage::{FEE, SOL, Stage};

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

/// A folder of installed packages. Made again whenever the list of what is wanted changes.
fn installed(name: &str, lists: &[&str], install: impl FnOnce(&Path)) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("localnet-{name}"));
    let wanted: Vec<_> = lists.iter().map(|list| fs::read(scripts().join(list)).unwrap()).collect();
    let done = folder.join("installed");
    if fs::read(&done).ok() == Some(wanted.concat()) {
        return folder;
    }
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    for (list, bytes) in lists.iter().zip(&wanted) {
        fs::write(folder.join(list), bytes).unwrap();
    }
    install(&folder);
    fs::write(done, wanted.concat()).unwrap();
    folder
}

/// What comes from a registry may need another try, a while after the one that failed.
fn fetch(command: &mut Command, missing: &str) {
    for _ in 0..2 {
        if command.status().is_ok_and(|status| status.success()) {
            return;
        }
        std::thread::sleep(Duration::from_secs(5));
    }
    run(command, missing);
}

fn run(command: &mut Command, missing: &str) -> String {
    let output = command.output().unwrap_or_else(|cause| {
        panic!("{command:?}: {cause}. On Debian: apt-get install {missing}")
    });
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed: {told}");
    String::from_utf8(output.stdout).unwrap()
}

async fn story(mut command: Command, missing: &'static str) -> Value {
    let told = tokio::task::spawn_blocking(move || run(&mut command, missing)).await.unwrap();
    serde_json::from_str(told.lines().last().unwrap()).unwrap()
}

#[tokio::test]
async fn web3_js_transfers_confirms_over_its_websocket_and_reads_back() {
    let folder = tokio::task::spawn_blocking(|| {
        installed("web3js", &["package.json", "package-lock.json"], |folder| {
            let arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
            fetch(Command::new("npm").args(arguments).current_dir(folder), "npm");
        })
    });
    let folder = folder.await.unwrap();
    // Modules are looked for beside the script, so it has to lie beside them.
    let script = folder.join("transfer.mjs");
    fs::copy(scripts().join("transfer.mjs"), &script).unwrap();

    let stage = Stage::with_slots_of(50).await;
    let mut command = Command::new("node");
    command.arg(script).arg(stage.chain.rpc_url());
    let told = story(command, "nodejs").await;
    assert_eq!(told["funded"], 2 * SOL);
    assert_eq!(told["received"], 10_000_000);
    assert_eq!(told["left"], 2 * SOL - 10_000_000 - 2 * FEE);
    assert_eq!(told["confirmationErr"], Value::Null);
    assert_eq!(told["parsedInfo"], told["expectedInfo"]);
    assert_eq!(told["parsedVersion"], 0);
    assert_eq!((&told["rawFee"], &told["rawDelta"]), (&json!(FEE), &json!(5_000_000)));
    assert_eq!(told["history"], told["expectedHistory"]);
    assert!(told["withoutVersion"].to_string().contains("maxSupportedTransactionVersion"));
    assert!(told["slotsSeen"].as_u64().unwrap() > 0);
    assert_eq!(told["slotsAscend"], true);
}

#[tokio::test]
async fn solders_transfers_confirms_both_ways_and_reads_back() {
    let folder = tokio::task::spawn_blocking(|| {
        installed("solders", &["requirements.txt"], |folder| {
            let venv = ["-m", "venv", "venv"];
            run(Command::new("python3").args(venv).current_dir(folder), "python3-venv");
            let install = ["install", "--quiet", "-r", "requirements.txt"];
            fetch(Command::new("venv/bin/pip").args(install).current_dir(folder), "python3-venv");
        })
    });
    let folder = folder.await.unwrap();

    let stage = Stage::with_slots_of(50).await;
    let mut command = Command::new(folder.join("venv/bin/python"));
    command.arg(scripts().join("transfer.py")).args([stage.chain.rpc_url(), stage.chain.ws_url()]);
    let told = story(command, "python3").await;
    assert_eq!(told["funded"], 2 * SOL);
    assert_eq!(told["received"], 12_000_000);
    assert_eq!(told["left"], 2 * SOL - 12_000_000 - 2 * FEE);
    assert_eq!(told["told_err"], Value::Null);
    assert_eq!((&told["fee"], &told["delta"]), (&json!(FEE), &json!(7_000_000)));
    assert_eq!(told["same_bytes"], true);
    assert_eq!(told["history"], told["expected_history"]);
}
