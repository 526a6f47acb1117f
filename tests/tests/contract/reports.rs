//! Reports that come too late, twice, or from somebody else, and payments of quotes that are over: the
//! job goes to whoever holds it, and nobody else's word moves it.

use framefair_app::market::MarketJob;
use framefair_domain::id::JobId;
use framefair_domain::time::{HOUR_MS, Timestamp};
use framefair_store::{When, Write, keys};
use framefair_wire::market::{Attempt, Fault, FromProvider};
use serde_json::{Value, json};

use crate::people::{Seller, Socket, buyer, claim, now_ms, paid, picture, quote, transfer};
use crate::stage::{Answer, Hub, until};

/// What a still comes to at the prices of these providers, without the fee: a frame, and a minute.
const BASE: u64 = 1_000_000 + 60 * 100_000;

async fn look(hub: &Hub, job: &str) -> Value {
    let request = hub.ask("GET", &format!("/render/{job}"));
    hub.call("renderStatus", request).await.is(200).json()["data"].clone()
}

async fn served(hub: &Hub, job: &str) -> Vec<u8> {
    let request = hub.ask("GET", &format!("/render/{job}/result?redirect=false"));
    hub.call("renderResult", request).await.is(200).bytes
}

async fn give_up(hub: &Hub, job: &str, body: Value) -> Answer {
    let path = format!("/provider/job/{job}/failed");
    hub.call("providerFailed", hub.ask("POST", &path).json(&body)).await
}

/// A provider whose socket takes work.
async fn at_work(hub: &Hub, seed: u8) -> (Seller, Socket) {
    let seller = Seller::new(seed).register(hub, &["relay"]).await;
    let mut socket = seller.connect(hub, "/ws").await;
    socket.say(&FromProvider::Ready { slots: 1 }).await;
    seller.set(hub, "online").await.is(200);
    (seller, socket)
}

async fn accepted(socket: &mut Socket, job: &str) -> Attempt {
    let attempt = socket.assigned().await.attempt;
    assert_eq!(attempt.job_id.to_string(), job);
    socket.say(&FromProvider::Accepted(attempt)).await;
    attempt
}

fn is_stale(answer: &Answer) {
    assert_eq!((answer.status, answer.json()["code"].as_str()), (400, Some("stale_lease")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_or_doubled_completion_delivers_nothing() {
    let hub = Hub::start().await;
    let (first, mut first_socket) = at_work(&hub, 1).await;
    let client = buyer(&hub, 101).await;
    let (job, _) = paid(&hub, &client, &first).await;
    let attempt = accepted(&mut first_socket, &job).await;
    // It gives up, and the job moves on.
    let (second, mut second_socket) = at_work(&hub, 2).await;
    let error = "out of memory".to_owned();
    first_socket.say(&FromProvider::Failed { attempt, fault: Fault::Node, error }).await;
    let next = accepted(&mut second_socket, &job).await;
    assert_eq!(next.epoch, attempt.epoch + 1);

    let (early, file) = (picture(5), picture(6));
    is_stale(&first.complete(&hub, &job, &early).await);
    second.complete(&hub, &job, &file).await.is(200);
    second.complete(&hub, &job, &file).await.is(200);
    is_stale(&first.complete(&hub, &job, &early).await);
    let paid_out = until("the job is settled", || async {
        let job = look(&hub, &job).await;
        (job["status"] == "completed").then_some(job)
    });
    assert_eq!(paid_out.await["providerId"], second.id);
    is_stale(&first.complete(&hub, &job, &early).await);
    second.complete(&hub, &job, &file).await.is(200);
    second.complete(&hub, &job, &early).await.is(400).error();
    assert_eq!(served(&hub, &job).await, file);
    // Paid once, and the one who rendered.
    let wallet = |seller: &Seller| seller.wallet.parse().expect("a wallet");
    let has = |seller: &Seller| {
        let (chain, wallet) = (&hub.machine.ctx.chain, wallet(seller));
        async move {
            chain.balance(&wallet, framefair_chain::Commitment::Finalized).await.expect("the chain")
        }
    };
    let base = until("the provider is paid", || async {
        Some(has(&second).await).filter(|lamports| lamports.0 > 0)
    });
    assert_eq!((base.await.0, has(&first).await.0), (BASE, 0));
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_word_of_failure_moves_nothing() {
    let hub = Hub::start().await;
    let (holder, mut socket) = at_work(&hub, 1).await;
    let stranger = Seller::new(2).register(&hub, &["relay"]).await;
    let client = buyer(&hub, 101).await;
    let (job, _) = paid(&hub, &client, &holder).await;
    let attempt = accepted(&mut socket, &job).await;
    let text = format!("failed:{job}:no");
    let word = |id: &str, signature: Option<String>| {
        give_up(&hub, &job, json!({ "providerId": id, "error": "no", "signature": signature }))
    };
    word(&holder.id, Some(stranger.sign(&text))).await.is(401).error();
    word(&holder.id, Some(stranger.wallet.clone())).await.is(401).error();
    word(&stranger.id, Some(holder.sign(&text))).await.is(401).error();
    // True words about a lease that its speaker does not hold, and anybody's about one that is held.
    word(&stranger.id, Some(stranger.sign(&text))).await.is(200);
    for _ in 0..4 {
        word(&holder.id, None).await.is(200);
        word(&stranger.id, None).await.is(200);
    }
    let row = row(&hub, &job).await;
    let lease = row.task.lease.expect("a lease");
    assert_eq!((lease.node.to_string(), row.task.epoch), (holder.id.clone(), attempt.epoch));
    assert_eq!((row.task.failures, row.error), (0, None));
    holder.complete(&hub, &job, &picture(5)).await.is(200);
    until("the job is completed", || async {
        (look(&hub, &job).await["status"] == "completed").then_some(())
    })
    .await;
    hub.stop().await;
}

async fn row(hub: &Hub, job: &str) -> MarketJob {
    let id: JobId = job.parse().expect("an id");
    let row = hub.machine.ctx.store.get::<MarketJob>(&keys::job(id)).await;
    row.expect("the store").expect("the job")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_quote_takes_no_payment() {
    let hub = Hub::start().await;
    let (seller, _socket) = at_work(&hub, 1).await;
    let client = buyer(&hub, 101).await;
    let due = quote(&hub, &client, &seller).await;
    let text = |name: &str| due[name].as_str().expect("text").to_owned();
    let job = text("jobId");
    let lamports = text("lamports").parse().expect("a number");
    let signature = transfer(&hub, &client, &text("payTo"), lamports, &text("memo")).await;
    // As if it had been given an hour ago.
    let mut row = row(&hub, &job).await;
    let read = row.rev;
    row.rev += 1;
    row.created = Timestamp(row.created.0 - HOUR_MS);
    row.deal.expires = Timestamp(row.deal.expires.0 - HOUR_MS);
    let store = &hub.machine.ctx.store;
    store.write(Write::put(&row, When::Rev(read))).await.expect("nobody else writes it yet");
    assert!(row.deal.expires.0 + 130_000 < now_ms());
    for _ in 0..2 {
        let answer = claim(&hub, &job, &signature).await.is(400).json();
        let code = answer["code"].as_str().expect("a code");
        // The second, once the sweeper has seen it.
        assert!(["outside_window", "job_not_payable"].contains(&code), "{answer}");
    }
    let job = look(&hub, &job).await;
    assert!(
        ["pending_payment", "cancelled"].contains(&job["status"].as_str().expect("text")),
        "{job}"
    );
    hub.stop().await;
}
