//! The ledger: what is anchored is proven from the answer and the chain alone, and a changed byte shows.

use framefair_app::Ctx;
use framefair_app::ledger::{self, EntryName};
use framefair_domain::id::UserId;
use framefair_domain::ledger::{Anchor, hash};
use framefair_domain::merkle::{Hash, Side, Step, fold, leaf_hash};
use framefair_domain::wallet::TxSignature;
use framefair_store::rows::{BatchRow, EntryRow};
use framefair_store::{Update, When, Write, keys};
use serde_json::{Value, json};

use super::people::{Person, detail};
use crate::stage::{Hub, until};

const DEDUCT: &str = "/api/v1/credits/deduct";
pub(super) const ANCHORS: &str = "/api/v1/ledger/anchors";

pub(super) async fn spend(hub: &Hub, who: &Person, reference: &str) -> Value {
    let body = json!({ "amount": "1", "reference_id": reference });
    who.post(hub, "creditDeduct", DEDUCT, &body).await.is(200).json()
}

pub(super) async fn proof(hub: &Hub, who: &Person, entry: &Value) -> Value {
    let name = entry.as_str().map_or_else(|| entry.to_string(), str::to_owned);
    let path = format!("/api/v1/ledger/{name}/proof");
    until("the entry is anchored", || async {
        let answer = who.get(hub, "ledgerProof", &path).await;
        if answer.status == 404 {
            assert_eq!(detail(&answer), "Entry has not been anchored yet");
            return None;
        }
        Some(answer.is(200).json())
    })
    .await
}

async fn verdict(hub: &Hub, who: &Person, entry: &Value) -> Value {
    let path = format!("/api/v1/ledger/{entry}/verify");
    who.get(hub, "ledgerVerify", &path).await.is(200).json()
}

fn read(digits: &Value) -> Hash {
    hash(digits.as_str().expect("text")).expect("a hash")
}

/// What the chain itself says of a transaction: its memos, once it is final.
async fn memos(hub: &Hub, transaction: &Value) -> Vec<String> {
    let signature: TxSignature = transaction.as_str().expect("text").parse().expect("a signature");
    let facts = hub.machine.ctx.chain.facts(&signature, framefair_chain::Commitment::Finalized);
    let facts = facts.await.expect("the chain answers").expect("it is final");
    let authority = hub.machine.ctx.platform.anchor.expect("an authority");
    assert!(facts.deltas.iter().any(|(wallet, delta)| *wallet == authority && *delta < 0));
    facts.memos
}

/// As somebody would who believes nobody: from the answer's own leaf to the memo on the chain.
async fn is_proven(hub: &Hub, proof: &Value, entry: &Value) -> Anchor {
    let leaf: Value = serde_json::from_str(proof["leaf"].as_str().expect("text")).expect("JSON");
    for member in [
        "amount",
        "direction",
        "source",
        "reference_id",
        "balance_after",
        "entry_id",
        "id",
        "created_at",
    ] {
        assert_eq!(leaf[member], entry[member], "{member}");
    }
    let hashed = leaf_hash(proof["leaf"].as_str().expect("text").as_bytes());
    assert_eq!(hashed, read(&proof["leaf_hash"]));
    let hashes = proof["proof_hashes"].as_array().expect("a list");
    let sides = proof["directions"].as_array().expect("a list");
    assert_eq!(hashes.len(), sides.len());
    let steps: Vec<Step> = hashes
        .iter()
        .zip(sides)
        .map(|(sibling, side)| Step {
            sibling: read(sibling),
            side: if side == "left" { Side::Left } else { Side::Right },
        })
        .collect();
    let root = fold(hashed, &steps);
    assert_eq!(root, read(&proof["merkle_root"]));
    let memos = memos(hub, &proof["anchor_tx_hash"]).await;
    let anchor = Anchor::parse(&memos[0]).expect("an anchor");
    assert_eq!((anchor.root, memos.len()), (root, 1));
    anchor
}

#[tokio::test(flavor = "multi_thread")]
async fn each_entry_is_proven_by_its_answer_and_the_chain_alone() {
    let hub = Hub::of("creator", false).await;
    let ada = Person::register(&hub, "ada@example.com").await;
    let eve = Person::register(&hub, "eve@example.com").await;
    for person in [&ada, &eve] {
        person.is_given(&hub, 100).await;
    }
    let mut entries = Vec::new();
    for n in 0..7 {
        entries.push(spend(&hub, &ada, &format!("manual-{n}")).await);
        spend(&hub, &eve, &format!("manual-{n}")).await;
    }
    let mut before: Option<Value> = None;
    for entry in &entries {
        let found = proof(&hub, &ada, &entry["entry_id"]).await;
        assert_eq!(found, proof(&hub, &ada, &entry["id"]).await, "by its number and by its id");
        is_proven(&hub, &found, entry).await;
        // What an owner has is a chain: nothing between two entries was left out.
        let leaf: Value =
            serde_json::from_str(found["leaf"].as_str().expect("text")).expect("JSON");
        if let Some(before) = before.replace(json!([leaf["account_seq"], found["leaf_hash"]])) {
            assert_eq!(leaf["account_seq"].as_u64(), before[0].as_u64().map(|seq| seq + 1));
            assert_eq!(leaf["prev_leaf"], before[1]);
        }
        let said = verdict(&hub, &ada, &entry["entry_id"]).await;
        assert_eq!(
            (&said["verified"], &said["on_chain_root"]),
            (&json!(true), &found["merkle_root"])
        );
    }
    // A stranger's entry is as missing as one that never was.
    let theirs = format!("/api/v1/ledger/{}/proof", entries[0]["entry_id"]);
    let missing = eve.get(&hub, "ledgerProof", &theirs).await.is(404);
    let never = eve.get(&hub, "ledgerProof", "/api/v1/ledger/999999/proof").await.is(404);
    assert_eq!((detail(&missing), &missing.bytes), ("Ledger entry not found".into(), &never.bytes));
    let by_id = format!("/api/v1/ledger/{}/verify", entries[0]["id"].as_str().expect("text"));
    assert_eq!(eve.get(&hub, "ledgerVerify", &by_id).await.is(404).bytes, never.bytes);
    for bad in ["0", "-1", "x", "1.5", "99999999999999999999", "0195a2c4"] {
        ada.get(&hub, "ledgerProof", &format!("/api/v1/ledger/{bad}/proof")).await.is(422);
        ada.get(&hub, "ledgerVerify", &format!("/api/v1/ledger/{bad}/verify")).await.is(422);
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn anchors_are_a_chain_of_roots_without_gaps() {
    let hub = Hub::of("creator", false).await;
    let ada = Person::register(&hub, "ada@example.com").await;
    ada.is_given(&hub, 100).await;
    let mut last = Value::Null;
    for n in 0..4 {
        let entry = spend(&hub, &ada, &format!("manual-{n}")).await;
        last = proof(&hub, &ada, &entry["entry_id"]).await;
    }
    // The newest is shown a moment after its proof is.
    let all = until("the newest anchor is listed", || async {
        let all = ada.get(&hub, "ledgerAnchors", ANCHORS).await.is(200).json();
        (all["anchors"][0]["merkle_root"] == last["merkle_root"]).then_some(all)
    })
    .await;
    let anchors = all["anchors"].as_array().expect("a list").clone();
    assert!(anchors.len() >= 4, "each entry came after the one before was anchored");
    assert_eq!(all["count"], anchors.len());
    let entries: u64 = anchors.iter().filter_map(|anchor| anchor["entry_count"].as_u64()).sum();
    assert!((5..=6).contains(&entries), "hers, and what escrow began with: {entries}");
    let mut previous = [0; 32];
    for (n, anchor) in (1..).zip(anchors.iter().rev()) {
        let memos = memos(&hub, &anchor["tx_hash"]).await;
        let said = Anchor::parse(&memos[0]).expect("an anchor");
        assert_eq!((said.batch, said.previous), (n, previous));
        assert_eq!(said.root, read(&anchor["merkle_root"]));
        previous = said.root;
    }
    let page = ada.get(&hub, "ledgerAnchors", &format!("{ANCHORS}?page=2&per_page=1")).await;
    let page = page.is(200).json();
    assert_eq!((&page["anchors"][0], &page["count"]), (&anchors[1], &all["count"]));
    let since = anchors[1]["anchored_at"].as_str().expect("text");
    let fresh = ada.get(&hub, "ledgerAnchors", &format!("{ANCHORS}?since={since}")).await;
    assert_eq!(fresh.is(200).json()["count"], 2);
    let none =
        ada.get(&hub, "ledgerAnchors", &format!("{ANCHORS}?since=2100-01-01T00:00:00Z")).await;
    assert_eq!(none.is(200).json()["anchors"], json!([]));
    let bad = ada.get(&hub, "ledgerAnchors", &format!("{ANCHORS}?since=x")).await.is(422);
    assert_eq!(detail(&bad), "Invalid ISO date format: x");
    hub.call("ledgerAnchors", hub.ask("GET", ANCHORS)).await.is(401);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_behind_the_ledgers_back_is_not_verified() {
    let hub = Hub::of("creator", false).await;
    let ada = Person::register(&hub, "ada@example.com").await;
    ada.is_given(&hub, 100).await;
    let entry = spend(&hub, &ada, "manual-1").await;
    let found = proof(&hub, &ada, &entry["entry_id"]).await;
    assert_eq!(verdict(&hub, &ada, &entry["entry_id"]).await["verified"], true);
    let user: UserId = ada.id.parse().expect("an id");
    let store = &hub.machine.ctx.store;
    let change = async |key, name: &str, value: Value| {
        let update = Update::at(key, When::Present).set(name, value);
        store.write(update).await.expect("written");
    };
    // The amount of the entry, and back.
    for (amount, verified) in [(10_001, false), (10_000, true)] {
        change(keys::entry(user, 2), "amount", json!(amount)).await;
        assert_eq!(verdict(&hub, &ada, &entry["entry_id"]).await["verified"], verified);
    }
    change(keys::entry(user, 2), "reference", json!("manual-2")).await;
    let said = verdict(&hub, &ada, &entry["entry_id"]).await;
    assert_eq!((&said["verified"], &said["on_chain_root"]), (&json!(false), &found["merkle_root"]));
    change(keys::entry(user, 2), "reference", json!("manual-1")).await;
    assert_eq!(verdict(&hub, &ada, &entry["entry_id"]).await["verified"], true);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_batch_or_another_wallet_says_on_the_chain_verifies_nothing() {
    let hub = Hub::of("creator", false).await;
    let ada = Person::register(&hub, "ada@example.com").await;
    ada.is_given(&hub, 100).await;
    for n in 0..2 {
        let entry = spend(&hub, &ada, &format!("manual-{n}")).await;
        proof(&hub, &ada, &entry["entry_id"]).await;
    }
    let ctx = &hub.machine.ctx;
    let user: UserId = ada.id.parse().expect("an id");
    let entry: EntryRow = ctx.store.get(&keys::entry(user, 2)).await.expect("read").expect("there");
    let name = EntryName::Number(entry.number);
    let verified = async |ctx: &Ctx| ledger::verify(ctx, user, name).await.expect("an answer");
    assert!(verified(ctx).await.verified);

    let mut other_authority = ctx.clone();
    other_authority.platform.anchor = Some(ctx.platform.escrow);
    let verdict = verified(&other_authority).await;
    assert_eq!((verdict.verified, verdict.on_chain), (false, None));

    let own = entry.sealed.expect("it is sealed").batch;
    let read =
        async |n| ctx.store.get::<BatchRow>(&keys::batch(n)).await.expect("read").expect("there");
    let (batch, other) = (read(own).await, read(own + 1).await);
    let swapped = BatchRow { signed: other.signed, ..batch };
    ctx.store.write(Write::put(&swapped, When::Present)).await.expect("written");
    let verdict = verified(ctx).await;
    assert_eq!((verdict.verified, verdict.on_chain), (false, Some(other.root)));
    hub.stop().await;
}
