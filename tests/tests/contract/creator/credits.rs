//! Credits: what is documented, amounts that are none, and many who want the same ones.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::{Value, json};

use super::people::{Person, detail};
use crate::stage::{Answer, Hub};

const DEDUCT: &str = "/api/v1/credits/deduct";

async fn deduct(hub: &Hub, who: &Person, amount: &str, reference: &str) -> Answer {
    let body = json!({ "amount": amount, "reference_id": reference, "description": "by hand" });
    who.post(hub, "creditDeduct", DEDUCT, &body).await
}

async fn history(hub: &Hub, who: &Person, query: &str) -> Value {
    let path = format!("/api/v1/credits/history{query}");
    who.get(hub, "creditHistory", &path).await.is(200).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deduction_happens_once_and_is_shown_with_the_balance_after_it() {
    let hub = Hub::of("creator", false).await;
    let ada = Person::register(&hub, "ada@example.com").await;
    assert_eq!(ada.balance(&hub).await["balance"], "0.0000");
    let short = deduct(&hub, &ada, "10", "manual-1").await.is(402).json();
    let said =
        json!({ "detail": "Insufficient credits", "available": "0.0000", "requested": "10.0000" });
    assert_eq!(short, said);
    ada.is_given(&hub, 1_000).await;
    let first = deduct(&hub, &ada, "10.5", "manual-1").await.is(200).json();
    assert_eq!(first["balance_after"], "989.5000");
    assert_eq!((&first["direction"], &first["source"]), (&json!("DEBIT"), &json!("USAGE")));
    assert_eq!(deduct(&hub, &ada, "10.5000", "manual-1").await.is(200).json(), first);
    deduct(&hub, &ada, "10.5001", "manual-1").await.is(409);
    // Also when nothing is left for another.
    deduct(&hub, &ada, "989.5", "manual-2").await.is(200);
    assert_eq!(deduct(&hub, &ada, "10.5", "manual-1").await.is(200).json(), first);
    let short = deduct(&hub, &ada, "0.0001", "manual-3").await.is(402).json();
    assert_eq!(short["requested"], "0.0001");
    let balance = ada.balance(&hub).await;
    assert_eq!((&balance["balance"], &balance["user_id"]), (&json!("0.0000"), &json!(ada.id)));
    // A reference belongs to its account.
    let eve = Person::register(&hub, "eve@example.com").await;
    eve.is_given(&hub, 20).await;
    let own = deduct(&hub, &eve, "20", "manual-1").await.is(200).json();
    assert_ne!(own["id"], first["id"]);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_amount_moves_nothing() {
    let hub = Hub::of("creator", false).await;
    let ada = Person::register(&hub, "ada@example.com").await;
    ada.is_given(&hub, 10).await;
    for (amount, says) in [
        ("0", "Amount must be a positive number"),
        ("0.0000", "Amount must be a positive number"),
        ("-5", "Amount must be a positive number"),
        ("NaN", "Invalid amount: NaN"),
        ("1e999", "Invalid amount: 1e999"),
        ("Infinity", "Invalid amount: Infinity"),
        ("1.00001", "Invalid amount: 1.00001"),
        ("9999999999999", "Invalid amount: 9999999999999"),
        ("+1", "Invalid amount: +1"),
        ("", "Invalid amount: "),
        (" 1", "Invalid amount:  1"),
    ] {
        let answer = deduct(&hub, &ada, amount, "manual-1").await.is(422);
        assert_eq!(detail(&answer), says);
    }
    for body in [
        json!({ "amount": 10, "reference_id": "a" }),
        json!({ "amount": "1" }),
        json!({ "amount": "1", "reference_id": "" }),
        json!({ "amount": "1", "reference_id": "x".repeat(256) }),
        json!({ "amount": "1", "reference_id": "a", "description": "x".repeat(501) }),
        json!({ "amount": "1", "reference_id": null }),
    ] {
        ada.post(&hub, "creditDeduct", DEDUCT, &body).await.is(422);
    }
    assert_eq!(ada.balance(&hub).await["balance"], "10.0000");
    assert_eq!(history(&hub, &ada, "").await["count"], 1);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_the_same_in_both_styles_and_tells_the_whole() {
    let hub = Hub::of("creator", false).await;
    let ada = Person::register(&hub, "ada@example.com").await;
    ada.is_given(&hub, 100).await;
    for n in 1..=24 {
        deduct(&hub, &ada, "1", &format!("manual-{n}")).await.is(200);
    }
    let all = history(&hub, &ada, "").await;
    assert_eq!(
        (&all["count"], &all["total"], &all["has_more"]),
        (&json!(25), &json!(25), &json!(false))
    );
    let entries = all["entries"].as_array().expect("a list");
    assert_eq!(entries.len(), 25);
    assert_eq!(entries[0]["reference_id"], "manual-24");
    assert_eq!(
        (&entries[24]["direction"], &entries[24]["source"]),
        (&json!("CREDIT"), &json!("ADJUSTMENT"))
    );
    let numbers: BTreeSet<i64> = entries.iter().filter_map(|it| it["entry_id"].as_i64()).collect();
    assert_eq!(numbers.len(), 25);
    let page = history(&hub, &ada, "?page=2&per_page=10").await;
    assert_eq!(page["entries"].as_array().expect("a list")[..], entries[10..20]);
    assert_eq!(
        (&page["page"], &page["per_page"], &page["has_more"]),
        (&json!(2), &json!(10), &json!(true))
    );
    let items = page["items"].as_array().expect("a list");
    assert_eq!((&items[0]["type"], &items[0]["amount"]), (&json!("deduction"), &json!(1.0)));
    let slice = history(&hub, &ada, "?limit=7&offset=20").await;
    assert_eq!(slice["entries"].as_array().expect("a list")[..], entries[20..]);
    for far in ["?offset=25", "?offset=18446744073709551615", "?page=18446744073709551615"] {
        let beyond = history(&hub, &ada, far).await;
        assert_eq!((&beyond["entries"], &beyond["count"]), (&json!([]), &json!(25)), "{far}");
    }
    for bad in
        ["?limit=0", "?limit=101", "?limit=x", "?offset=-1", "?page=0", "?per_page=101&page=1"]
    {
        let path = format!("/api/v1/credits/history{bad}");
        ada.get(&hub, "creditHistory", &path).await.is(422);
    }
    let used = ada.get(&hub, "creditUsage", "/api/v1/credits/usage").await.is(200).json();
    let used = used.as_array().expect("a list").clone();
    // Midnight may have come in between.
    let last: f64 = used.iter().rev().take(2).filter_map(|day| day["credits"].as_f64()).sum();
    assert_eq!((used.len(), last), (7, 24.0));
    for bad in ["?days=0", "?days=91", "?days=x"] {
        let path = format!("/api/v1/credits/usage{bad}");
        ada.get(&hub, "creditUsage", &path).await.is(422);
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_deductions_at_once_never_take_more_than_there_is() {
    let hub = Hub::of("creator", false).await;
    let ada = Person::register(&hub, "ada@example.com").await;
    ada.is_given(&hub, 40).await;
    let all = (0..64).map(async |n: u32| deduct(&hub, &ada, "1", &format!("manual-{n}")).await);
    let answers = join_all(all).await;
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(200), count(402)), (40, 24));
    let all = history(&hub, &ada, "?limit=100").await;
    let after: Vec<&str> = all["entries"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|it| it["balance_after"].as_str())
        .collect();
    let expected: Vec<String> = (0..=40).map(|left| format!("{left}.0000")).collect();
    assert_eq!(after, expected);
    // And one reference sixty-four times is one deduction.
    let eve = Person::register(&hub, "eve@example.com").await;
    eve.is_given(&hub, 64).await;
    let same = join_all((0..64).map(async |_: u32| deduct(&hub, &eve, "1", "once").await)).await;
    let same: BTreeSet<String> =
        same.into_iter().map(|answer| answer.is(200).json()["id"].to_string()).collect();
    assert_eq!(same.len(), 1);
    assert_eq!(eve.balance(&hub).await["balance"], "63.0000");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_request_may_come_again_but_not_with_another_body() {
    let hub = Hub::of("creator", false).await;
    let ada = Person::register(&hub, "ada@example.com").await;
    ada.is_given(&hub, 10).await;
    let ask = async |amount: &str, reference: &str| {
        let body = json!({ "amount": amount, "reference_id": reference });
        let request = hub.ask("POST", DEDUCT).bearer_auth(&ada.access).json(&body);
        hub.call("creditDeduct", request.header("idempotency-key", "one")).await
    };
    let first = ask("1", "manual-1").await.is(200).json();
    assert_eq!(ask("1", "manual-1").await.is(200).json(), first);
    ask("1", "manual-2").await.is(409);
    assert_eq!(ada.balance(&hub).await["balance"], "9.0000");
    hub.stop().await;
}
