//! Somebody who plays Stripe: opens pages to pay on over real HTTP, and signs what it reports.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use framefair_app::Call;
use framefair_app::credits::Payments;
use framefair_billing::Endpoint;
use serde_json::{Value, json};

use crate::stage::{Answer, Hub};

pub(crate) const WEBHOOK: &str = "/api/v1/webhooks/stripe";
/// One takes over from the other.
const SECRETS: [&str; 2] = ["whsec_old", "whsec_new"];

pub(crate) type Form = BTreeMap<String, String>;

pub(crate) struct Stripe {
    base: String,
    /// What it opened pages for, in order.
    opened: Arc<Mutex<Vec<Form>>>,
    /// What it answers with instead, unless this is 200.
    answers: Arc<AtomicU16>,
}

impl Stripe {
    pub(crate) async fn start() -> Stripe {
        let opened = Arc::<Mutex<Vec<Form>>>::default();
        let answers = Arc::new(AtomicU16::new(200));
        let pages = Arc::<Mutex<HashMap<String, String>>>::default();
        let (log, status) = (opened.clone(), answers.clone());
        let sessions = async move |headers: HeaderMap, body: String| -> Response {
            let status = StatusCode::from_u16(status.load(Ordering::SeqCst)).expect("a status");
            if status != StatusCode::OK {
                let error =
                    json!({ "error": { "type": "api_error", "message": "sk_test_hidden" } });
                return (status, axum::Json(error)).into_response();
            }
            let key = headers["idempotency-key"].to_str().expect("text").to_owned();
            let mut pages = pages.lock().expect("nobody panics while holding it");
            let fresh = format!("cs_test_{}", pages.len());
            // A request of one name gets one page.
            let id = pages.entry(key).or_insert_with(|| {
                log.lock().expect("nobody panics while holding it").push(form(&body));
                fresh
            });
            let url = format!("https://checkout.stripe.com/c/pay/{id}");
            let page = json!({ "id": id, "object": "checkout.session", "url": url });
            axum::Json(page).into_response()
        };
        let router = Router::new().route("/v1/checkout/sessions", post(sessions));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Stripe { base, opened, answers }
    }

    /// What a deployment needs to sell by it.
    pub(crate) fn payments(&self) -> Payments {
        let (success, cancel) = ("https://example.com/paid", "https://example.com/");
        Payments::default()
            .with_till("sk_test_hidden", Some(&self.base), success.into(), cancel.into())
            .and_then(|payments| payments.with_webhook(&SECRETS.join("\n")))
            .expect("payments")
    }

    pub(crate) fn opened(&self) -> Vec<Form> {
        self.opened.lock().expect("nobody panics while holding it").clone()
    }

    /// From now on.
    pub(crate) fn answers(&self, status: u16) {
        self.answers.store(status, Ordering::SeqCst);
    }
}

fn form(body: &str) -> Form {
    let url = reqwest::Url::parse(&format!("http://form/?{body}")).expect("a form");
    url.query_pairs().into_owned().collect()
}

/// What an event is about.
#[derive(Clone, Copy)]
pub(crate) struct Payment<'a> {
    /// Names session, charge, dispute and payment intent.
    pub(crate) name: &'a str,
    pub(crate) account: &'a str,
    pub(crate) sku: &'a str,
}

impl Payment<'_> {
    pub(crate) fn session(&self) -> String {
        format!("cs_test_{}", self.name)
    }

    fn intent(&self) -> String {
        format!("pi_{}", self.name)
    }

    pub(crate) fn checkout(&self, event: &str, kind: &str, status: &str) -> String {
        let object = json!({ "id": self.session(), "object": "checkout.session",
            "payment_status": status, "client_reference_id": self.account,
            "payment_intent": self.intent(), "metadata": { "sku": self.sku } });
        reported(event, &format!("checkout.session.{kind}"), &object)
    }

    pub(crate) fn paid(&self, event: &str) -> String {
        self.checkout(event, "completed", "paid")
    }

    /// So many cents of 4000 are back by now.
    pub(crate) fn refunded(&self, event: &str, cents: u32) -> String {
        let object = json!({ "id": format!("ch_{}", self.name), "object": "charge",
            "payment_intent": self.intent(), "amount": 4000, "amount_refunded": cents,
            "currency": "usd", "metadata": { "sku": self.sku, "account": self.account } });
        reported(event, "charge.refunded", &object)
    }

    pub(crate) fn dispute(&self, event: &str, kind: &str, status: &str) -> String {
        let object = json!({ "id": format!("du_{}", self.name), "object": "dispute",
            "charge": format!("ch_{}", self.name), "payment_intent": self.intent(),
            "amount": 4000, "currency": "usd", "status": status });
        reported(event, &format!("charge.dispute.{kind}"), &object)
    }
}

pub(crate) fn reported(event: &str, kind: &str, object: &Value) -> String {
    json!({ "id": format!("evt_{event}"), "object": "event", "created": 1_760_000_000,
        "type": kind, "data": { "object": object } })
    .to_string()
}

/// As Stripe's own library signs; the vectors of the crate that reads it hold this.
pub(crate) fn signature(secret: &str, body: &[u8], seconds_ago: i64) -> String {
    let endpoint = Endpoint::new([secret]).expect("a secret");
    endpoint.sign(body, Call::live().now.seconds() - seconds_ago)
}

/// Sends it as it is.
pub(crate) async fn send(hub: &Hub, body: impl Into<Vec<u8>>, header: Option<&str>) -> Answer {
    let request = hub.ask("POST", WEBHOOK).header("content-type", "application/json");
    let request = header.into_iter().fold(request, |it, text| it.header("stripe-signature", text));
    hub.call("stripeWebhook", request.body(body.into())).await
}

/// Reports it, signed, and is thanked.
pub(crate) async fn report(hub: &Hub, body: &str) {
    let secret = SECRETS[body.len() % SECRETS.len()];
    let header = signature(secret, body.as_bytes(), 0);
    let answer = send(hub, body, Some(&header)).await.is(200).json();
    assert_eq!(answer, json!({ "received": true }));
}
