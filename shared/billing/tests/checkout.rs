//! Checkouts opened at somebody who plays Stripe, over real HTTP. Knows what Stripe's API takes and how it
//! answers; knows no page and no buyer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use framefair_billing::{CheckoutSession, Failed, Package, Stripe};
use framefair_domain::id::UserId;
use serde_json::json;

const KEY: &str = "sk_test_hidden4eC39HqLyjW";
const ACCOUNT: &str = "0199c5a1-7c00-7abc-8def-0123456789ab";
const SUCCESS: &str = "https://framefair.example/credits?paid=1&x=ü";
const CANCEL: &str = "https://framefair.example/credits";
const PAGE: &str = "https://checkout.stripe.com/c/pay/cs_test_a1#fid%2Fk";

/// What came over the wire.
#[derive(Clone)]
struct Request {
    method: Method,
    path: String,
    headers: HeaderMap,
    form: BTreeMap<String, String>,
}

impl Request {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a header is text"))
    }
}

/// Somebody who plays Stripe, and gives every request the same answer.
struct Fake {
    base: String,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Fake {
    async fn answering(status: u16, body: impl Into<String>) -> Fake {
        Fake::late(Duration::ZERO, status, body).await
    }

    async fn late(delay: Duration, status: u16, body: impl Into<String>) -> Fake {
        let seen = Arc::<Mutex<Vec<Request>>>::default();
        let (log, body) = (Arc::clone(&seen), body.into());
        let status = StatusCode::from_u16(status).expect("a status");
        let answer = async move |method: Method, uri: Uri, headers: HeaderMap, raw: Bytes| {
            let form = url::form_urlencoded::parse(&raw).into_owned();
            let (form, path) = (form.collect(), uri.path().to_owned());
            log.lock().expect("no test panics here").push(Request { method, path, headers, form });
            tokio::time::sleep(delay).await;
            (status, body).into_response() as Response
        };
        let router = Router::new().fallback(answer);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Fake { base, seen }
    }

    fn stripe(&self) -> Stripe {
        Stripe::new(KEY, &self.base).expect("a client")
    }

    async fn checkout(&self, package: Package) -> Result<CheckoutSession, Failed> {
        checkout(&self.stripe(), package, "buy-1").await
    }

    fn seen(&self) -> Vec<Request> {
        self.seen.lock().expect("no test panics there").clone()
    }
}

async fn checkout(stripe: &Stripe, package: Package, key: &str) -> Result<CheckoutSession, Failed> {
    let account: UserId = ACCOUNT.parse().expect("an id");
    let opened = stripe.checkout(account, package, SUCCESS, CANCEL, key).await;
    if let Err(failed) = &opened {
        let shown = format!("{failed} {failed:?}");
        assert!(!shown.contains("hidden"), "the key shows: {shown}");
    }
    opened
}

/// A session as Stripe answers it, cut to what is typical.
fn session() -> String {
    json!({
        "id": "cs_test_a1", "object": "checkout.session", "amount_total": 4000, "currency": "usd",
        "livemode": false, "mode": "payment", "payment_intent": null, "payment_status": "unpaid",
        "status": "open", "metadata": { "sku": "cred50" }, "custom_fields": [], "rate": 1.5,
        "new_since": { "nested": [[], {}] }, "url": PAGE,
    })
    .to_string()
}

fn error(kind: &str, code: Option<&str>) -> String {
    json!({ "error": { "type": kind, "code": code, "message": format!("Invalid key: {KEY}"),
        "param": KEY, "request_log_url": format!("https://dashboard.stripe.com/{KEY}") } })
    .to_string()
}

#[tokio::test]
async fn a_checkout_asks_for_one_package_in_the_buyer_s_name() {
    for package in Package::ALL {
        let fake = Fake::answering(200, session()).await;
        let opened = fake.checkout(package).await.expect("a session");
        assert_eq!(opened, CheckoutSession { id: "cs_test_a1".into(), url: PAGE.into() });

        let seen = fake.seen();
        let [request] = &seen[..] else { panic!("{} requests", seen.len()) };
        assert_eq!(
            (&request.method, request.path.as_str()),
            (&Method::POST, "/v1/checkout/sessions")
        );
        assert_eq!(request.header("authorization"), format!("Bearer {KEY}"));
        assert_eq!(request.header("idempotency-key"), "buy-1");
        assert_eq!(request.header("content-type"), "application/x-www-form-urlencoded");
        assert!(!request.header("stripe-version").is_empty());
        let sold = match package {
            Package::Cred10 => ("cred10", "1000", "Framefair: 100 credits"),
            Package::Cred50 => ("cred50", "4000", "Framefair: 500 credits"),
            Package::Cred100 => ("cred100", "7000", "Framefair: 1000 credits"),
        };
        let form = [
            ("cancel_url", CANCEL),
            ("client_reference_id", ACCOUNT),
            ("line_items[0][price_data][currency]", "usd"),
            ("line_items[0][price_data][product_data][name]", sold.2),
            ("line_items[0][price_data][unit_amount]", sold.1),
            ("line_items[0][quantity]", "1"),
            ("metadata[account]", ACCOUNT),
            ("metadata[sku]", sold.0),
            ("mode", "payment"),
            ("payment_intent_data[metadata][account]", ACCOUNT),
            ("payment_intent_data[metadata][sku]", sold.0),
            ("success_url", SUCCESS),
        ];
        let form = form.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(request.form, BTreeMap::from(form));
    }
}

#[tokio::test]
async fn a_path_before_the_api_is_kept() {
    let fake = Fake::answering(200, session()).await;
    let stripe = Stripe::new(KEY, &format!("{}/stripe", fake.base)).expect("a client");
    let clone = stripe.clone();
    assert!(checkout(&clone, Package::Cred10, "buy-1").await.is_ok());
    assert_eq!(fake.seen()[0].path, "/stripe/v1/checkout/sessions");
}

#[tokio::test]
async fn a_refusal_is_told_by_its_status_and_stripe_s_name_of_it() {
    for (status, kind, code, told) in [
        (400, "idempotency_error", None, "idempotency_error"),
        (400, "invalid_request_error", Some("url_invalid"), "url_invalid"),
        (401, "invalid_request_error", None, "invalid_request_error"),
        (409, "invalid_request_error", Some("idempotency_key_in_use"), "idempotency_key_in_use"),
        (429, "invalid_request_error", Some("rate_limit"), "rate_limit"),
        (500, "api_error", None, "api_error"),
        (400, "invalid_request_error", Some("sk_hidden"), "with a code of no name"),
        (400, "sk_hidden", None, "with a type of no name"),
    ] {
        let fake = Fake::answering(status, error(kind, code)).await;
        let refused = Failed::Refused { status, code: told.to_owned() };
        assert_eq!(fake.checkout(Package::Cred50).await, Err(refused));
        assert_eq!(fake.seen().len(), 1, "asked once");
    }
}

#[tokio::test]
async fn what_stripe_never_answers_is_not_understood() {
    let nested = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    for (status, body) in [
        (200, String::new()),
        (200, "<html>".to_owned()),
        (200, "{}".to_owned()),
        (200, "null".to_owned()),
        (200, nested),
        (200, json!({ "id": "cs_1" }).to_string()),
        (200, json!({ "id": "cs_1", "url": null }).to_string()),
        (200, json!({ "id": 1, "url": PAGE }).to_string()),
        (200, json!({ "id": "", "url": PAGE }).to_string()),
        (200, json!({ "id": "cs 1", "url": PAGE }).to_string()),
        (200, json!({ "id": "x".repeat(256), "url": PAGE }).to_string()),
        (200, json!({ "id": "cs_1", "url": "javascript:alert(1)" }).to_string()),
        (200, json!({ "id": "cs_1", "url": "/c/pay/cs_1" }).to_string()),
        (302, String::new()),
        (404, "not found".to_owned()),
        (500, "oops".to_owned()),
        (502, "<html>bad gateway</html>".to_owned()),
        (503, json!({ "error": KEY }).to_string()),
    ] {
        let fake = Fake::answering(status, body.clone()).await;
        let told = fake.checkout(Package::Cred10).await;
        assert_eq!(told, Err(Failed::NotUnderstood), "{status} {body:.40}");
    }
}

#[tokio::test]
async fn whoever_answers_too_late_was_not_reached() {
    let fake = Fake::late(Duration::from_secs(60), 200, session()).await;
    let asked = Instant::now();
    let hasty = Stripe::with_patience(KEY, &fake.base, Duration::from_secs(2)).expect("a client");
    let told = checkout(&hasty, Package::Cred10, "buy-1").await;
    assert!(matches!(told, Err(Failed::Unreachable(_))), "{told:?}");
    assert!(asked.elapsed() < Duration::from_secs(10), "gave up after {:?}", asked.elapsed());
    assert_eq!(fake.seen().len(), 1, "asked once");
}

#[tokio::test]
async fn nobody_there_or_no_http_is_not_reached() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let stripe = Stripe::new(KEY, &base).expect("a client");
    let silent = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        drop((stream, listener));
    });
    // First a connection that is closed without a word, then none.
    for _ in 0..2 {
        let told = checkout(&stripe, Package::Cred10, "buy-1").await;
        assert!(matches!(told, Err(Failed::Unreachable(_))), "{told:?}");
    }
    silent.await.expect("the listener ends");
}

#[tokio::test]
async fn over_https_nobody_without_a_certificate_is_asked() {
    let fake = Fake::answering(200, session()).await;
    let base = fake.base.replace("http://", "https://");
    let stripe = Stripe::new(KEY, &base).expect("a client");
    let told = checkout(&stripe, Package::Cred10, "buy-1").await;
    assert!(matches!(told, Err(Failed::Unreachable(_))), "{told:?}");
    assert!(fake.seen().is_empty());
}

#[tokio::test]
async fn a_key_that_is_no_header_is_not_sent() {
    let fake = Fake::answering(200, session()).await;
    let stripe = fake.stripe();
    for key in ["", "a b", "a\nb", "ü", "x".repeat(256).as_str()] {
        assert_eq!(checkout(&stripe, Package::Cred10, key).await, Err(Failed::NotSent), "{key:?}");
    }
    assert!(fake.seen().is_empty());
    assert!(checkout(&stripe, Package::Cred10, &"x".repeat(255)).await.is_ok());
}
