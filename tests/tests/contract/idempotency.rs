//! A request that is sent again is one request, however often, at once or later; with another body it is
//! refused.

use futures::future::join_all;
use reqwest::multipart::{Form, Part};
use serde_json::json;

use crate::people::{Seller, blend, buyer, claim, order, quote, transfer};
use crate::stage::{Answer, Hub};

const CALLERS: usize = 32;

async fn stage() -> (Hub, String) {
    let hub = Hub::start().await;
    let seller = Seller::new(1).register(&hub, &[]).await;
    seller.set(&hub, "online").await.is(200);
    (hub, Seller::new(9).wallet)
}

async fn submit(hub: &Hub, wallet: &str, key: &str, scene: Vec<u8>) -> Answer {
    let form = order(scene, &[("clientWallet", wallet.to_owned())]);
    let request = hub.ask("POST", "/render").header("idempotency-key", key).multipart(form);
    hub.call("renderSubmit", request).await
}

fn job_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 402, "{}", String::from_utf8_lossy(&answer.bytes));
    answer.json()["payment"]["jobId"].as_str().expect("an id").to_owned()
}

async fn jobs(hub: &Hub) -> usize {
    use framefair_store::{Index, Order, Range, keys};
    let mut found = 0;
    for shard in 0..keys::DUE_SHARDS {
        let store = &hub.machine.ctx.store;
        let shard = keys::due_shard(shard);
        let page = store.index(Index::Due, &shard, Range::All, Order::Ascending, 500, None).await;
        found +=
            page.expect("a page").keys().iter().filter(|key| key.pk.starts_with("JOB#")).count();
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_two_callers_with_one_key_get_one_job() {
    let (hub, wallet) = stage().await;
    let calls = (0..CALLERS).map(|_| submit(&hub, &wallet, "race", blend(0)));
    let mut ids: Vec<String> = join_all(calls).await.iter().map(job_of).collect();
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(jobs(&hub).await, 1);

    // Without a name every request is one of its own.
    let calls = (0..4).map(|_| async {
        let form = order(blend(0), &[("clientWallet", wallet.clone())]);
        hub.call("renderSubmit", hub.ask("POST", "/render").multipart(form)).await
    });
    join_all(calls).await;
    assert_eq!(jobs(&hub).await, 5);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_scenes_sent_at_once_under_one_key_are_one_job_with_its_scene() {
    let (hub, wallet) = stage().await;
    let scene = blend(6_000_000);
    let calls = (0..8).map(|_| submit(&hub, &wallet, "large", scene.clone()));
    let mut ids: Vec<String> = join_all(calls).await.iter().map(job_of).collect();
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(jobs(&hub).await, 1);
    let id = ids[0].parse().expect("an id");
    let object = framefair_store::keys::object::scene(id, "odd_name.blend");
    let stored = hub.machine.ctx.store.objects().get(&object, 1 << 30).await.expect("the store");
    assert!(stored.is_some_and(|stored| stored == scene), "the scene is where the job looks");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_belongs_to_one_wallet_and_one_body() {
    let (hub, wallet) = stage().await;
    let first = job_of(&submit(&hub, &wallet, "k", blend(0)).await);
    assert_eq!(job_of(&submit(&hub, &wallet, "k", blend(0)).await), first);
    let other = submit(&hub, &wallet, "k", blend(4_000)).await.is(400);
    assert_eq!(other.json()["code"], "idempotency_key_reused");
    let form = order(blend(0), &[("clientWallet", wallet.clone()), ("maxPrice", "5".into())]);
    let request = hub.ask("POST", "/render").header("idempotency-key", "k").multipart(form);
    hub.call("renderSubmit", request).await.is(400).error();
    let stranger = Seller::new(8).wallet;
    assert_ne!(job_of(&submit(&hub, &stranger, "k", blend(0)).await), first);
    let long = "x".repeat(256);
    for bad in ["", long.as_str(), "ü"] {
        let form = Form::new().text("clientWallet", wallet.clone());
        let form = form.part("file", Part::bytes(blend(0)).file_name("a.blend"));
        let header = reqwest::header::HeaderValue::from_bytes(bad.as_bytes()).expect("a header");
        let request = hub.ask("POST", "/render").header("idempotency-key", header);
        hub.call("renderSubmit", request.multipart(form)).await.is(400).error();
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paying_cancelling_and_uploading_under_a_key_happen_once() {
    let hub = Hub::start().await;
    let seller = Seller::new(1).register(&hub, &[]).await;
    seller.set(&hub, "online").await.is(200);
    let client = buyer(&hub, 101).await;
    let due = quote(&hub, &client, &seller).await;
    let text = |name: &str| due[name].as_str().expect("text").to_owned();
    let lamports = text("lamports").parse().expect("a number");
    let signature = transfer(&hub, &client, &text("payTo"), lamports, &text("memo")).await;
    let pay = |signature: String| {
        let body = json!({ "jobId": text("jobId"), "txSignature": signature });
        let request = hub.ask("POST", "/render/pay").header("idempotency-key", "pay").json(&body);
        hub.call("renderPay", request)
    };
    for answer in join_all((0..CALLERS).map(|_| pay(signature.clone()))).await {
        answer.is(200);
    }
    let other = pay(bs58::encode([7; 64]).into_string()).await.is(400);
    assert_eq!(other.json()["code"], "idempotency_key_reused");
    claim(&hub, &text("jobId"), &signature).await.is(200);

    let create = |size: u64| {
        let body = json!({ "filename": "a.blend", "size": size });
        let request = hub.ask("POST", "/uploads").header("idempotency-key", "up").json(&body);
        hub.call("uploadCreate", request)
    };
    let made = join_all((0..CALLERS).map(|_| create(9))).await;
    let first = made[0].json();
    for answer in made {
        assert_eq!(answer.is(201).json()["data"]["uploadId"], first["data"]["uploadId"]);
    }
    assert_eq!(create(10).await.is(400).json()["code"], "idempotency_key_reused");
    hub.stop().await;
}
