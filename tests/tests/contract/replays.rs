//! Signed messages that somebody overheard and sends again: a single-use one counts once, a short one
//! can do no more than its wallet said, and neither moves what was not signed.

use framefair_domain::id::ProviderId;
use framefair_store::keys;
use framefair_store::rows::ProviderRow;
use framefair_wire::market::FromProvider;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::people::{Seller, buyer, knock, now_ms, paid, picture, pricing};
use crate::stage::{Answer, Hub, until};

const NONCE: &str = "0123456789abcdef";

/// The body with a signature for once over `short`.
fn once(who: &Seller, mut body: Value, short: &str, nonce: &str, at: i64) -> Value {
    body["timestamp"] = json!(at);
    body["nonce"] = json!(nonce);
    body["signature"] = json!(who.sign(&format!("{short}:{at}:{nonce}")));
    body
}

fn is_replayed(answer: &Answer) {
    assert_eq!((answer.status, answer.json()["code"].as_str()), (401, Some("replayed")));
}

async fn send(hub: &Hub, id: &str, body: &Value) -> Answer {
    let (verb, path) = match id {
        "providerRegister" => ("POST", "/provider/register"),
        "providerStatus" => ("PUT", "/provider/status"),
        _ => ("PUT", "/provider/pricing"),
    };
    hub.call(id, hub.ask(verb, path).json(body)).await
}

async fn row(hub: &Hub, seller: &Seller) -> ProviderRow {
    let id: ProviderId = seller.id.parse().expect("an id");
    let row = hub.machine.ctx.store.get::<ProviderRow>(&keys::provider(id)).await;
    row.expect("the store").expect("the provider")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_registration_moves_neither_endpoint_nor_price() {
    let hub = Hub::start().await;
    let seller = Seller::new(1).register(&hub, &[]).await;
    let short = format!("register:{}:Oak", seller.wallet);
    let before = row(&hub, &seller).await;
    // The short form, with an endpoint and a price of the thief's.
    let mut stolen = seller.registration("Oak", &["frames"]);
    stolen["endpoint"] = json!("https://thief.example.com");
    stolen["pricing"]["pricePerFrame"] = json!(0);
    send(&hub, "providerRegister", &stolen).await.is(200);
    let after = row(&hub, &seller).await;
    let of = |row: &ProviderRow| (row.endpoint.clone(), row.tariff, row.abilities.clone());
    assert_eq!(of(&after), of(&before));

    // For once: as it was, with another body, with another text, late, and taken for a short one.
    let at = now_ms();
    let sent = once(&seller, seller.registration("Oak", &[]), &short, NONCE, at);
    send(&hub, "providerRegister", &sent).await.is(200);
    is_replayed(&send(&hub, "providerRegister", &sent).await);
    let mut other = sent.clone();
    other["endpoint"] = json!("https://thief.example.com");
    is_replayed(&send(&hub, "providerRegister", &other).await);
    let renamed = format!("register:{}:Ash", seller.wallet);
    let body = once(&seller, seller.registration("Ash", &[]), &renamed, NONCE, at);
    is_replayed(&send(&hub, "providerRegister", &body).await);
    for late in [at - 61_000, at + 120_000] {
        let body = once(&seller, seller.registration("Oak", &[]), &short, "fedcba9876543210", late);
        send(&hub, "providerRegister", &body).await.is(401).error();
    }
    let mut short = sent.clone();
    (short["timestamp"], short["nonce"]) = (Value::Null, Value::Null);
    send(&hub, "providerRegister", &short).await.is(401).error();
    short["name"] = json!(format!("Oak:{at}:{NONCE}"));
    send(&hub, "providerRegister", &short).await.is(401).error();
    assert_eq!(of(&row(&hub, &seller).await), of(&before));

    // What the thief has said waits for the wallet's socket; the wallet itself says once more what is so.
    send(&hub, "providerRegister", &stolen).await.is(200);
    assert!(row(&hub, &seller).await.pending.is_some());
    send(&hub, "providerRegister", &seller.registration("Oak", &[])).await.is(200);
    let _socket = seller.connect(&hub, "/ws").await;
    assert_eq!(of(&row(&hub, &seller).await), of(&before));
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_status_or_price_changes_nothing() {
    let hub = Hub::start().await;
    let seller = Seller::new(1).register(&hub, &[]).await;
    let id = seller.id.as_str();
    let status = |word: &str, nonce: &str| {
        let body = json!({ "providerId": id, "status": word });
        once(&seller, body, &format!("status:{id}:{word}"), nonce, now_ms())
    };
    let prices = |frame: f64, nonce: &str| {
        let mut prices = pricing();
        prices["pricePerFrame"] = json!(frame);
        let body = json!({ "providerId": id, "pricing": prices });
        once(&seller, body, &format!("pricing:{id}:{prices}"), nonce, now_ms())
    };
    let offline = status("offline", NONCE);
    send(&hub, "providerStatus", &offline).await.is(200);
    send(&hub, "providerStatus", &status("online", "status-of-today-2")).await.is(200);
    let cheap = prices(0.001, "prices-of-today-1");
    send(&hub, "providerPricing", &cheap).await.is(200);
    send(&hub, "providerPricing", &prices(0.5, "prices-of-today-2")).await.is(200);
    let before = row(&hub, &seller).await;
    is_replayed(&send(&hub, "providerStatus", &offline).await);
    is_replayed(&send(&hub, "providerPricing", &cheap).await);
    // A nonce is used up for every text of its wallet.
    is_replayed(&send(&hub, "providerStatus", &status("busy", NONCE)).await);
    is_replayed(&send(&hub, "providerPricing", &prices(0.25, NONCE)).await);
    // What was said for one operation, one provider or one wallet says nothing for another.
    let stranger = Seller::new(2).register(&hub, &[]).await;
    let mut for_another = status("offline", "status-of-today-3");
    for_another["providerId"] = json!(stranger.id);
    send(&hub, "providerStatus", &for_another).await.is(401).error();
    // Many at once are one.
    let sent = status("maintenance", "status-of-today-4");
    let all = futures::future::join_all((0..8).map(|_| send(&hub, "providerStatus", &sent))).await;
    assert_eq!(all.iter().filter(|answer| answer.status == 200).count(), 1);
    all.iter().filter(|answer| answer.status != 200).for_each(is_replayed);
    let after = row(&hub, &seller).await;
    assert_eq!((after.tariff, after.rev), (before.tariff, before.rev + 1));
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_authentication_opens_no_socket_and_closes_none() {
    let hub = Hub::start().await;
    let seller = Seller::new(1).register(&hub, &["relay"]).await;
    let stranger = Seller::new(2).register(&hub, &["relay"]).await;
    let words = |who: &Seller, at: i64| who.sign(&format!("ws:{}:{at}", seller.id));
    let mut socket = seller.connect(&hub, "/ws").await;
    let at = now_ms();
    let spoken = words(&seller, at);
    assert_eq!(knock(&hub, &seller.id, at, &spoken).await, None);
    // That one replaced the first, as it should; from here on nothing may.
    let mut standing = seller.connect(&hub, "/ws").await;
    assert_eq!(socket.closed().await, Some(4003));
    for (why, id, at, signature) in [
        ("sent again", &seller.id, at, spoken.clone()),
        ("with another time", &seller.id, at + 1, spoken.clone()),
        ("for another provider", &stranger.id, at, spoken),
        ("a stranger's", &seller.id, at, words(&stranger, at)),
        ("of a minute ago", &seller.id, at - 61_000, words(&seller, at - 61_000)),
        ("of times to come", &seller.id, at + 120_000, words(&seller, at + 120_000)),
        ("of the end of time", &seller.id, i64::MAX, words(&seller, i64::MAX)),
    ] {
        assert_eq!(knock(&hub, id, at, &signature).await, Some(4001), "{why}");
    }
    seller.set(&hub, "online").await.is(200);
    standing.say(&FromProvider::Ready { slots: 1 }).await;
    let client = buyer(&hub, 101).await;
    let (job, _) = paid(&hub, &client, &seller).await;
    assert_eq!(standing.assigned().await.attempt.job_id.to_string(), job);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_completion_delivers_nothing_else_and_nowhere_else() {
    let hub = Hub::start().await;
    let seller = Seller::new(1).register(&hub, &["relay"]).await;
    seller.set(&hub, "online").await.is(200);
    let mut socket = seller.connect(&hub, "/ws").await;
    socket.say(&FromProvider::Ready { slots: 2 }).await;
    let client = buyer(&hub, 101).await;
    let (job, _) = paid(&hub, &client, &seller).await;
    let attempt = socket.assigned().await.attempt;
    socket.say(&FromProvider::Accepted(attempt)).await;
    let (other, _) = paid(&hub, &client, &seller).await;
    let attempt = socket.assigned().await.attempt;
    socket.say(&FromProvider::Accepted(attempt)).await;

    let (at, file) = (now_ms(), picture(5));
    let signature = seller.sign(&format!("complete:{job}:12.50:{at}:{NONCE}"));
    let hand_in = |job: String, file: Vec<u8>| {
        let part = Part::bytes(file).file_name("result.png");
        let form = Form::new().part("result", part).text("providerId", seller.id.clone());
        let form = form.text("renderTime", "12.50").text("signature", signature.clone());
        let form = form.text("timestamp", at.to_string()).text("nonce", NONCE);
        let path = format!("/provider/job/{job}/complete");
        hub.call("providerComplete", hub.ask("POST", &path).multipart(form))
    };
    hand_in(job.clone(), file.clone()).await.is(200);
    // For another job it is no signature; with other bytes it is refused, before and after the verdict.
    hand_in(other.clone(), file.clone()).await.is(401).error();
    let swapped = hand_in(job.clone(), picture(6)).await;
    assert!([400, 401].contains(&swapped.status), "{}", swapped.error());
    let look = || hub.call("renderStatus", hub.ask("GET", &format!("/render/{job}")));
    until("the job is completed", || async {
        (look().await.json()["data"]["status"] == "completed").then_some(())
    })
    .await;
    hand_in(job.clone(), picture(6)).await.is(400).error();
    let again = hand_in(job.clone(), file.clone()).await;
    assert!([200, 401].contains(&again.status), "{}", again.error());
    let path = format!("/render/{job}/result?redirect=false");
    let served = hub.call("renderResult", hub.ask("GET", &path)).await.is(200);
    assert_eq!(served.bytes, file);
    let path = format!("/render/{other}");
    let untouched = hub.call("renderStatus", hub.ask("GET", &path)).await.json();
    assert!(["queued", "rendering"].contains(&untouched["data"]["status"].as_str().expect("text")));
    hub.stop().await;
}
