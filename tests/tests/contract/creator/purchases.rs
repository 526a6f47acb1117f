//! Credits bought at Stripe: every documented answer, and money that is reported too often, too early, at
//! once, or as gone again.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::{Value, json};

use super::people::{Person, detail};
use super::stripe::{Payment, Stripe, report, reported, send, signature};
use crate::stage::{Answer, Hub};

const CHECKOUT: &str = "/api/v1/credits/checkout";
const DEDUCT: &str = "/api/v1/credits/deduct";
const AT_ONCE: usize = 32;

async fn checkout(hub: &Hub, who: &Person, sku: &str) -> Answer {
    who.post(hub, "creditCheckout", CHECKOUT, &json!({ "sku": sku })).await
}

/// The contract of this route has no 409, its conventions do.
async fn named(hub: &Hub, who: &Person, key: &str, sku: &str) -> Answer {
    let request = hub.ask("POST", CHECKOUT).bearer_auth(&who.access).header("idempotency-key", key);
    hub.raw(request.json(&json!({ "sku": sku }))).await
}

async fn has(hub: &Hub, who: &Person, balance: &str, entries: u64) {
    assert_eq!(who.balance(hub).await["balance"], balance);
    let history = history(hub, who).await;
    assert_eq!(history.len() as u64, entries, "{history:?}");
}

async fn history(hub: &Hub, who: &Person) -> Vec<Value> {
    let all = who.get(hub, "creditHistory", "/api/v1/credits/history?limit=100").await.is(200);
    all.json()["entries"].as_array().expect("a list").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_opened_in_the_name_of_whoever_asks() {
    let stripe = Stripe::start().await;
    let hub = Hub::selling(stripe.payments()).await;
    let ada = Person::register(&hub, "ada@example.com").await;
    let eve = Person::register(&hub, "eve@example.com").await;
    for (sku, cents) in [("cred10", "1000"), ("cred50", "4000"), ("cred100", "7000")] {
        // Whom it is for is not for the client to say.
        let body = json!({ "sku": sku, "client_reference_id": eve.id, "account": eve.id });
        let answer = ada.post(&hub, "creditCheckout", CHECKOUT, &body).await.is(200).json();
        let url = answer["url"].as_str().expect("text").to_owned();
        assert!(url.starts_with("https://checkout.stripe.com/c/pay/cs_test_"), "{url}");
        let form = stripe.opened().pop().expect("a page");
        for (member, is) in [
            ("mode", "payment"),
            ("client_reference_id", ada.id.as_str()),
            ("metadata[sku]", sku),
            ("line_items[0][quantity]", "1"),
            ("line_items[0][price_data][currency]", "usd"),
            ("line_items[0][price_data][unit_amount]", cents),
            ("success_url", "https://example.com/paid"),
        ] {
            assert_eq!(form.get(member).map(String::as_str), Some(is), "{member}");
        }
    }
    for body in [json!({ "sku": "cred1" }), json!({ "sku": "" }), json!({}), json!({ "sku": 10 })] {
        ada.post(&hub, "creditCheckout", CHECKOUT, &body).await.is(422);
    }
    hub.call("creditCheckout", hub.ask("POST", CHECKOUT).json(&json!({ "sku": "cred10" })))
        .await
        .is(401);
    assert_eq!(stripe.opened().len(), 3);

    // A named request is one page, whoever is at it; without a name each is another.
    let all = join_all((0..8).map(|_| named(&hub, &ada, "one", "cred50"))).await;
    let urls: BTreeSet<String> = all
        .into_iter()
        .map(|answer| answer.is(200).json()["url"].as_str().expect("text").to_owned())
        .collect();
    assert_eq!((urls.len(), stripe.opened().len()), (1, 4), "{urls:?}");
    named(&hub, &ada, "one", "cred10").await.is(409);
    named(&hub, &eve, "one", "cred10").await.is(200);
    named(&hub, &ada, "", "cred10").await.is(422);
    let again = [checkout(&hub, &ada, "cred10").await, checkout(&hub, &ada, "cred10").await];
    let [first, second] = again.map(|answer| answer.is(200).json()["url"].clone());
    assert_ne!(first, second);

    // A page that was not opened may be asked for again, and one that was needs no Stripe.
    for status in [500, 401, 429] {
        stripe.answers(status);
        let key = format!("later-{status}");
        let broken = named(&hub, &ada, &key, "cred10").await.is(503);
        assert!(!detail(&broken).contains("hidden"), "{}", detail(&broken));
        checkout(&hub, &ada, "cred10").await.is(503);
        let known = named(&hub, &ada, "one", "cred50").await.is(200).json();
        assert!(urls.contains(known["url"].as_str().expect("text")));
        named(&hub, &ada, &key, "cred50").await.is(409);
        stripe.answers(200);
        named(&hub, &ada, &key, "cred10").await.is(200);
    }
    has(&hub, &ada, "0.0000", 0).await;
    let unseen = hub.unseen();
    assert!(!unseen.iter().any(|(id, _)| id == "creditCheckout"), "{unseen:?}");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_is_sold_it_is_said() {
    let hub = Hub::of("creator", false).await;
    let ada = Person::register(&hub, "ada@example.com").await;
    let says = "Payments are not configured on this deployment";
    assert_eq!(detail(&checkout(&hub, &ada, "cred10").await.is(503)), says);
    let header = signature("whsec_new", b"{}", 0);
    // Without a secret nothing can be believed, whoever sent it.
    for (header, says) in
        [(Some(header.as_str()), "Invalid signature"), (None, "Missing stripe-signature header")]
    {
        assert_eq!(detail(&send(&hub, "{}", header).await.is(400)), says);
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_believed_by_its_signature_alone() {
    let stripe = Stripe::start().await;
    let hub = Hub::selling(stripe.payments()).await;
    let ada = Person::register(&hub, "ada@example.com").await;
    let payment = Payment { name: "1", account: &ada.id, sku: "cred50" };
    let body = payment.paid("1");
    let good = signature("whsec_new", body.as_bytes(), 0);
    for header in [None, Some(""), Some(" ")] {
        let answer = send(&hub, body.as_str(), header).await.is(400);
        assert_eq!(answer.json(), json!({ "detail": "Missing stripe-signature header" }));
    }
    let changed = body.replace("cred50", "cred10");
    for (body, header) in [
        (body.as_str(), "t=1,v1=00".to_owned()),
        (&body, signature("whsec_other", body.as_bytes(), 0)),
        (&body, signature("whsec_new", body.as_bytes(), 310)),
        (&body, signature("whsec_new", body.as_bytes(), -310)),
        (&body, good.replace("v1=", "v0=")),
        (&changed, good.clone()),
    ] {
        let answer = send(&hub, body, Some(&header)).await.is(400);
        assert_eq!(answer.json(), json!({ "detail": "Invalid signature" }), "{header}");
    }
    let long = format!("{body}{}", " ".repeat(256 * 1024));
    let longest = &long[..256 * 1024];
    for body in ["", "{}", "[]", "null", r#"{"id":"evt_1"}"#, "\u{0}", &long] {
        let header = signature("whsec_new", body.as_bytes(), 0);
        let answer = send(&hub, body, Some(&header)).await.is(400);
        assert_eq!(answer.json(), json!({ "detail": "Invalid payload" }), "{body:.40}");
    }
    has(&hub, &ada, "0.0000", 0).await;
    // Either secret, and any of several signatures, will do.
    let both =
        format!("{},v1={},v0=x", signature("whsec_old", longest.as_bytes(), 0), "0".repeat(64));
    send(&hub, longest, Some(&both)).await.is(200);
    send(&hub, body.as_str(), Some(&good)).await.is(200);
    has(&hub, &ada, "500.0000", 1).await;
    let unseen = hub.unseen();
    assert!(!unseen.iter().any(|(id, _)| id == "stripeWebhook"), "{unseen:?}");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_is_credited_once_however_often_it_is_reported() {
    let stripe = Stripe::start().await;
    let hub = Hub::selling(stripe.payments()).await;
    let ada = Person::register(&hub, "ada@example.com").await;
    let of = |name, sku| Payment { name, account: &ada.id, sku };

    // One event, many times at once.
    let same = of("same", "cred10").paid("same");
    join_all((0..AT_ONCE).map(|_| report(&hub, &same))).await;
    has(&hub, &ada, "100.0000", 1).await;
    let entry = history(&hub, &ada).await.remove(0);
    for (member, is) in [
        ("direction", "CREDIT"),
        ("source", "STRIPE"),
        ("amount", "100.0000"),
        ("reference_id", "cs_test_same"),
    ] {
        assert_eq!(entry[member], is, "{member}");
    }
    // One session, by as many events.
    let events = (0..AT_ONCE).map(|n| of("many", "cred50").paid(&format!("many-{n}")));
    join_all(events.map(async |event| report(&hub, &event).await)).await;
    has(&hub, &ada, "600.0000", 2).await;
    // Paid later than completed.
    let slow = of("slow", "cred100");
    report(&hub, &slow.checkout("slow-1", "completed", "unpaid")).await;
    has(&hub, &ada, "600.0000", 2).await;
    report(&hub, &slow.checkout("slow-2", "async_payment_succeeded", "paid")).await;
    report(&hub, &slow.checkout("slow-3", "completed", "paid")).await;
    has(&hub, &ada, "1600.0000", 3).await;
    // Different sessions at once.
    let names: Vec<String> = (0..AT_ONCE).map(|n| format!("own-{n}")).collect();
    join_all(names.iter().map(async |name| report(&hub, &of(name, "cred10").paid(name)).await))
        .await;
    has(&hub, &ada, "4800.0000", 3 + AT_ONCE as u64).await;

    // What is nobody's here is taken note of, and moves nothing.
    let nobody = "0199c5a1-7c00-7abc-8def-0123456789ab";
    for body in [
        of("odd-1", "cred1").paid("odd-1"),
        of("odd-2", "").paid("odd-2"),
        Payment { name: "odd-3", account: nobody, sku: "cred10" }.paid("odd-3"),
        Payment { name: "odd-4", account: "somebody", sku: "cred10" }.paid("odd-4"),
        of("odd-5", "cred10").checkout("odd-5", "completed", "no_payment_required"),
        of("odd-6", "cred10").checkout("odd-6", "async_payment_failed", "unpaid"),
        of("odd-7", "cred10").checkout("odd-7", "expired", "unpaid"),
        of("odd-8", "cred10").dispute("odd-8", "created", "needs_response"),
        reported("odd-9", "some.thing.new", &json!({})),
    ] {
        report(&hub, &body).await;
        report(&hub, &body).await;
    }
    // A payment that was used already is not good for another session.
    let mut other: Value =
        serde_json::from_str(&of("same", "cred100").paid("other")).expect("JSON");
    other["data"]["object"]["id"] = json!("cs_test_other");
    report(&hub, &other.to_string()).await;
    has(&hub, &ada, "4800.0000", 3 + AT_ONCE as u64).await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_went_back_takes_the_package_with_it_once() {
    let stripe = Stripe::start().await;
    let hub = Hub::selling(stripe.payments()).await;
    let ada = Person::register(&hub, "ada@example.com").await;
    let of = |name| Payment { name, account: &ada.id, sku: "cred50" };
    let spend = async |amount: &str, reference: &str| {
        let body = json!({ "amount": amount, "reference_id": reference });
        ada.post(&hub, "creditDeduct", DEDUCT, &body).await
    };
    let first = of("first");
    report(&hub, &first.paid("first")).await;
    spend("200", "spent").await.is(200);
    // A part moves nothing, a dispute that is only opened or is won neither.
    report(&hub, &first.refunded("part", 1_500)).await;
    report(&hub, &first.dispute("opened", "created", "needs_response")).await;
    report(&hub, &first.dispute("won", "closed", "won")).await;
    has(&hub, &ada, "300.0000", 2).await;
    // The rest does, by how many events and in how many ways ever it is said.
    let events = (0..AT_ONCE).map(|n| match n % 2 {
        0 => first.refunded(&format!("rest-{}", n / 4), 4_000),
        _ => first.dispute(&format!("lost-{}", n / 4), "closed", "lost"),
    });
    join_all(events.map(async |event| report(&hub, &event).await)).await;
    report(&hub, &first.paid("first-again")).await;
    has(&hub, &ada, "-200.0000", 3).await;
    let entry = history(&hub, &ada).await.remove(0);
    for (member, is) in [
        ("direction", "DEBIT"),
        ("source", "ADJUSTMENT"),
        ("amount", "500.0000"),
        ("balance_after", "-200.0000"),
        ("reference_id", "cs_test_first"),
    ] {
        assert_eq!(entry[member], is, "{member}");
    }
    // Below zero nothing can be spent, until it is covered.
    let short = spend("0.0001", "more").await.is(402).json();
    assert_eq!((&short["available"], &short["requested"]), (&json!("-200.0000"), &json!("0.0001")));
    ada.is_given(&hub, 200).await;
    spend("0.0001", "more").await.is(402);
    report(&hub, &of("second").paid("second")).await;
    spend("500", "more").await.is(200);
    has(&hub, &ada, "0.0000", 6).await;

    // Told in the wrong order: what went back before it came was never here.
    let early = of("early");
    let events: Vec<String> =
        (0..4).map(|n| early.refunded(&format!("early-{}", n / 2), 4_000)).collect();
    join_all(events.iter().map(|event| report(&hub, event))).await;
    report(&hub, &early.paid("early-paid")).await;
    report(&hub, &early.paid("early-again")).await;
    report(&hub, &early.dispute("early-lost", "closed", "lost")).await;
    has(&hub, &ada, "0.0000", 6).await;
    // And at once: both or neither.
    let names: Vec<String> = (0..12).map(|n| format!("race-{n}")).collect();
    let both = names.iter().flat_map(|name| {
        let payment = of(name);
        let gone = format!("gone-{name}");
        [payment.paid(name), payment.refunded(&gone, 4_000), payment.paid(name)]
    });
    let both: Vec<String> = both.collect();
    join_all(both.iter().map(|event| report(&hub, event))).await;
    assert_eq!(ada.balance(&hub).await["balance"], "0.0000");
    let moved = history(&hub, &ada).await;
    for name in &names {
        let session = of(name).session();
        let of_it = moved.iter().filter(|entry| entry["reference_id"] == session.as_str()).count();
        assert!(of_it == 0 || of_it == 2, "{session}: {of_it}");
    }
    hub.stop().await;
}
