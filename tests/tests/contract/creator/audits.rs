//! `framefair ledger audit` against a live hub and its chain: all is well until somebody bends something,
//! and then it is named.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use framefair_app::watch::GIFT_MEMO;
use framefair_chain::{Signer, wallet};
use framefair_domain::ledger::Anchor;
use framefair_domain::money::{LAMPORTS_PER_SOL, Lamports};
use framefair_domain::wallet::Wallet;
use framefair_store::rows::BatchRow;
use framefair_store::{Update, When, Write, keys};
use serde_json::{Value, json};

use super::ledger::{ANCHORS, proof, spend};
use super::people::{PASSWORD, Person};
use crate::stage::{Hub, until};

/// Somebody at a command line.
struct Outsider {
    folder: tempfile::TempDir,
    rpc: String,
}

impl Outsider {
    fn command(&self, line: &[&str]) -> Command {
        let program = framefair_tests::program("framefair");
        let mut command = Command::new(program);
        command.args(line).arg("--session").arg(self.session()).current_dir(self.folder.path());
        command.env("FRAMEFAIR_PASSWORD", PASSWORD).env("FRAMEFAIR_RPC", &self.rpc);
        command
    }

    fn session(&self) -> PathBuf {
        self.folder.path().join("session.json")
    }

    async fn runs(&self, line: &[&str]) -> Output {
        let mut command = self.command(line);
        let ran = tokio::task::spawn_blocking(move || command.output());
        ran.await.expect("it does not panic").expect("make test builds framefair")
    }

    async fn log_in(hub: &Hub, email: &str) -> Outsider {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let rpc = format!("http://127.0.0.1:{}", hub.machine.ports.rpc);
        let outsider = Outsider { folder, rpc };
        let ran = outsider.runs(&["login", email, "--hub", &hub.url("")]).await;
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        outsider
    }

    /// What it answers, once it has ended with this code.
    async fn audits(&self, more: &[&str], code: i32) -> Value {
        let line = [&["ledger", "audit", "--json"], more].concat();
        let ran = self.runs(&line).await;
        let said = String::from_utf8_lossy(&ran.stdout);
        assert_eq!(ran.status.code(), Some(code), "{said}");
        serde_json::from_str(&said).expect("one JSON document")
    }

    /// What it finds wrong: of what kind, and where.
    async fn finds(&self, more: &[&str]) -> Value {
        let answer = self.audits(more, 9).await;
        let findings = answer["findings"].as_array().expect("a list").iter();
        findings.map(|it| json!([it["kind"], it["of"]])).collect()
    }
}

/// Each entry in a batch of its own.
async fn anchored(hub: &Hub, who: &Person, entries: usize) {
    let mut last = Value::Null;
    for n in 0..entries {
        let entry = spend(hub, who, &format!("manual-{n}")).await;
        last = proof(hub, who, &entry["entry_id"]).await;
    }
    until("the newest anchor is listed", || async {
        let all = who.get(hub, "ledgerAnchors", ANCHORS).await.is(200).json();
        (all["anchors"][0]["merkle_root"] == last["merkle_root"]).then_some(())
    })
    .await;
}

async fn batch(hub: &Hub, n: u64) -> BatchRow {
    let row = hub.machine.ctx.store.get(&keys::batch(n)).await;
    row.expect("read").expect("there is such a batch")
}

async fn put(hub: &Hub, row: &BatchRow) {
    hub.machine.ctx.store.write(Write::put(row, When::Present)).await.expect("written");
}

/// Says something on the chain, in a payment.
async fn says(hub: &Hub, by: &Signer, to: &Wallet, anchor: Anchor) {
    let chain = &hub.machine.ctx.chain;
    let (lamports, memo) = (Lamports(LAMPORTS_PER_SOL / 100), anchor.memo());
    let signature = wallet::pay(chain, by, to, lamports, &memo).await.expect("it lands");
    until("it is final", || async {
        let facts = chain.facts(&signature, framefair_chain::Commitment::Finalized).await;
        facts.expect("the chain answers")
    })
    .await;
}

async fn rich(hub: &Hub, file: &Path) -> Signer {
    let signer = Signer::create(file).expect("a key");
    let (chain, lamports) = (&hub.machine.ctx.chain, Lamports(LAMPORTS_PER_SOL));
    wallet::airdrop(chain, &signer.wallet(), lamports).await.expect("play money");
    signer
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outsider_finds_whatever_was_bent() {
    let hub = Hub::of("creator", false).await;
    let ada = Person::register(&hub, "ada@example.com").await;
    ada.is_given(&hub, 100).await;
    anchored(&hub, &ada, 4).await;
    let outsider = Outsider::log_in(&hub, &ada.email).await;
    let authority = hub.machine.ctx.platform.anchor.expect("an authority");

    let fine = outsider.audits(&["--entries"], 0).await;
    let batches = fine["batches"].as_u64().expect("a number");
    assert!(batches >= 4, "{fine}");
    assert_eq!((&fine["listed"], &fine["findings"]), (&fine["batches"], &json!([])));
    assert_eq!(fine["entries"], json!({ "proven": 5, "waiting": 0 }));
    assert_eq!(fine["authority"], authority.to_string());
    let named = outsider.audits(&["--authority", &authority.to_string()], 0).await;
    assert_eq!(named["batches"], fine["batches"]);
    let human = outsider.runs(&["ledger", "audit"]).await;
    let human = String::from_utf8(human.stdout).expect("text");
    assert!(human.contains("the hub names it") && human.contains("a chain of roots"), "{human}");

    // Whatever a stranger says to the authority is no anchor.
    let stranger = rich(&hub, &outsider.folder.path().join("stranger.json")).await;
    let second = batch(&hub, 2).await;
    let bent = Anchor { batch: 2, leaves: 1, root: [5; 32], previous: second.previous };
    says(&hub, &stranger, &authority, bent).await;
    assert_eq!(outsider.audits(&[], 0).await["ignored"], 1);
    let theirs = outsider.finds(&["--authority", &stranger.wallet().to_string()]).await;
    assert!(theirs.as_array().expect("a list").contains(&json!(["not-on-chain", "batch 1"])));

    // The hub lists another root, another transaction, or none.
    let third = batch(&hub, 3).await;
    put(&hub, &BatchRow { root: [5; 32], ..second.clone() }).await;
    assert_eq!(outsider.finds(&[]).await, json!([["other-on-chain", "batch 2"]]));
    put(&hub, &BatchRow { signed: third.signed.clone(), ..second.clone() }).await;
    assert_eq!(outsider.finds(&[]).await, json!([["other-on-chain", "batch 2"]]));
    put(&hub, &BatchRow { anchored: None, ..second.clone() }).await;
    assert_eq!(outsider.finds(&[]).await, json!([["hidden", "batch 2"]]));
    put(&hub, &second).await;

    // The hub says another amount, and then the old one.
    let entry = keys::entry(ada.id.parse().expect("an id"), 2);
    for (amount, fine) in [(20_000, false), (10_000, true)] {
        let update = Update::at(entry.clone(), When::Present).set("amount", amount);
        hub.machine.ctx.store.write(update).await.expect("written");
        if fine {
            outsider.audits(&["--entries"], 0).await;
        } else {
            let found = outsider.finds(&["--entries"]).await;
            assert_eq!(found[0][0], "balance", "{found}");
            let kinds: Vec<&Value> =
                found.as_array().expect("a list").iter().map(|it| &it[0]).collect();
            assert!(kinds.contains(&&json!("changed")), "{found}");
        }
    }

    // The authority says two things of one batch.
    let key = Signer::load(hub.data().join("keys/anchor.json")).expect("its key");
    says(&hub, &key, &stranger.wallet(), bent).await;
    let found = outsider.finds(&[]).await;
    assert_eq!(found, json!([["second-memo", "batch 2"]]));
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outsider_proves_whatever_moved_in_escrow() {
    let hub = Hub::of("creator", false).await;
    let ada = Person::register(&hub, "ada@example.com").await;
    let outsider = Outsider::log_in(&hub, &ada.email).await;
    let (chain, escrow) = (&hub.machine.ctx.chain, hub.machine.ctx.platform.escrow);
    let giver = rich(&hub, &outsider.folder.path().join("giver.json")).await;
    let gift = Lamports(LAMPORTS_PER_SOL / 4);
    let given = wallet::pay(chain, &giver, &escrow, gift, GIFT_MEMO).await.expect("it lands");
    let name = escrow.to_string();
    let escrowed = ["--escrow", name.as_str()];
    // Escrow has begun with something.
    until("what came in is anchored", || async {
        let audited = outsider.audits(&escrowed, 0).await;
        (audited["movements"] == json!({ "proven": 2, "waiting": 0 })).then_some(())
    })
    .await;

    let transaction = given.to_string();
    let verify = ["ledger", "verify", transaction.as_str()];
    let proven = outsider.runs(&verify).await;
    let proven = String::from_utf8(proven.stdout).expect("text");
    assert!(proven.contains("CREDIT 250000000 lamports"), "{proven}");

    let store = &hub.machine.ctx.store;
    for (lamports, fine) in [(1, false), (gift.0, true)] {
        let update = Update::at(keys::movement(2), When::Present).set("amount", lamports);
        store.write(update).await.expect("written");
        assert_eq!(outsider.runs(&verify).await.status.success(), fine);
        if !fine {
            let found = outsider.finds(&escrowed).await;
            let of = format!("transaction {transaction}");
            assert_eq!(found, json!([["changed", of], ["changed", of]]));
        }
    }
    hub.stop().await;
}
