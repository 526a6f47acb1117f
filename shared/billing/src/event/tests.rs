//! Tables and chance for what an event says. Knows no signature.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const ACCOUNT: &str = "0199c5a1-7c00-7abc-8def-0123456789ab";

fn event(kind: &str, object: Value) -> Value {
    json!({ "id": "evt_1", "created": 1_760_000_000, "type": kind, "data": { "object": object } })
}

fn session() -> Value {
    json!({ "id": "cs_1", "payment_status": "paid", "client_reference_id": ACCOUNT,
        "metadata": { "sku": "cred10", "more": "of it" }, "payment_intent": "pi_1" })
}

fn charge() -> Value {
    json!({ "id": "ch_1", "payment_intent": "pi_1", "amount": 1000, "amount_refunded": 1000,
        "metadata": { "sku": "cred10", "account": ACCOUNT } })
}

fn dispute() -> Value {
    json!({ "id": "du_1", "charge": "ch_1", "payment_intent": "pi_1", "status": "lost" })
}

fn acted_on() -> [Value; 6] {
    [
        event("checkout.session.completed", session()),
        event("checkout.session.async_payment_succeeded", session()),
        event("checkout.session.async_payment_failed", session()),
        event("charge.refunded", charge()),
        event("charge.dispute.created", dispute()),
        event("charge.dispute.closed", dispute()),
    ]
}

fn read(event: &Value) -> Option<EventKind> {
    Event::parse(event.to_string().as_bytes()).map(|event| event.kind)
}

fn is_read(kind: &Option<EventKind>) -> bool {
    !matches!(kind, None | Some(EventKind::Unreadable { .. }))
}

/// The event, with one member set to something else.
fn with(event: &Value, path: &str, value: Value) -> Value {
    let mut event = event.clone();
    *event.pointer_mut(path).expect("the member is there") = value;
    event
}

#[test]
fn members_that_may_be_missing_may_be_null() {
    for event in acted_on() {
        let others = ["payment_status", "amount_refunded"];
        for member in
            ["client_reference_id", "metadata", "payment_intent"].into_iter().chain(others)
        {
            let path = format!("/data/object/{member}");
            if event.pointer(&path).is_none() {
                continue;
            }
            let null = with(&event, &path, Value::Null);
            let mut missing = event.clone();
            missing["data"]["object"].as_object_mut().expect("an object").remove(member);
            let kind = read(&null);
            assert!(is_read(&kind) && kind == read(&missing), "{null}");
        }
    }
}

#[test]
fn what_is_of_a_wrong_type_is_acted_on_by_nobody_and_an_envelope_of_one_is_no_event() {
    let wrong = [json!([]), json!({}), json!(1.5), json!(true), json!("\n"), json!(-1)];
    for event in acted_on() {
        let kind = event["type"].as_str().expect("a type");
        let object = event["data"]["object"].as_object().expect("an object");
        let members = object.keys().map(|member| format!("/data/object/{member}"));
        let envelope = ["/id", "/created", "/type", "/data", "/data/object"].map(str::to_owned);
        for path in members.chain(envelope) {
            // Texts that are anybody's, and a member that this kind does not ask for.
            let text = path.ends_with("status") || path.ends_with("client_reference_id");
            for value in &wrong {
                let fits =
                    text && value.is_string() || path.ends_with("metadata") && *value == json!({});
                let kind_read = read(&with(&event, &path, value.clone()));
                assert_eq!(is_read(&kind_read), fits, "{kind} {path} {value}");
                let inside = path.starts_with("/data/object");
                assert_eq!(kind_read.is_some(), inside || fits, "{kind} {path} {value}");
            }
        }
    }
}

#[test]
fn a_list_of_members_is_no_object_and_twice_is_once_too_often() {
    for text in [
        r#"["evt_1",1,"a.b",{"object":{}}]"#,
        r#"{"id":"evt_1","created":1,"type":"a.b","data":[{}]}"#,
        r#"{"id":"evt_1","id":"evt_2","created":1,"type":"a.b","data":{"object":{}}}"#,
        r#"{"id":"evt_1","created":1,"type":"a.b","data":{"object":{}}} {}"#,
        r#"{"id":"evt_1","created":9223372036854775807,"type":"a.b","data":{"object":{}}}"#,
        r#"{"id":"evt_1","created":1.0,"type":"a.b","data":{"object":{}}}"#,
        r#"{"id":"","created":1,"type":"a.b","data":{"object":{}}}"#,
        "null",
        "",
    ] {
        assert_eq!(Event::parse(text.as_bytes()), None, "{text}");
    }
    let long = event("charge.refunded", charge());
    assert!(!is_read(&read(&with(&long, "/data/object/id", json!("x".repeat(256))))));
    let deep = format!(r#"{{"x":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(Event::parse(deep.as_bytes()), None);
}

#[test]
fn no_more_is_given_back_than_was_paid() {
    let refund = event("charge.refunded", charge());
    for (cents, fits) in [(0, true), (1, true), (1000, true), (1001, false), (-1, false)] {
        let event = with(&refund, "/data/object/amount_refunded", json!(cents));
        assert_eq!(is_read(&read(&event)), fits, "{cents}");
    }
}

#[test]
fn an_event_says_as_little_as_it_needs_to() {
    for (kind, object) in [
        ("checkout.session.async_payment_succeeded", json!({ "id": "cs_1" })),
        ("checkout.session.completed", json!({ "id": "cs_1", "payment_status": "paid" })),
        ("charge.refunded", json!({ "id": "ch_1", "metadata": { "sku": 1 } })),
        ("charge.dispute.closed", json!({ "id": "du_1", "charge": "ch_1", "status": "lost" })),
    ] {
        let text = json!({ "id": "evt_1", "type": kind, "data": { "object": object } }).to_string();
        let event = Event::parse(text.as_bytes()).expect("an event");
        assert!(is_read(&Some(event.kind.clone())), "{event:?}");
        assert!(!matches!(event.kind, EventKind::Other { .. }), "{event:?}");
        assert_eq!(event.created, None);
    }
}

#[test]
fn a_session_is_paid_only_when_its_status_says_so() {
    let completed = event("checkout.session.completed", session());
    for (status, paid) in [
        ("paid", true),
        ("unpaid", false),
        ("no_payment_required", false),
        ("Paid", false),
        ("", false),
    ] {
        let kind = read(&with(&completed, "/data/object/payment_status", json!(status)));
        assert_eq!(matches!(kind, Some(EventKind::Paid { .. })), paid, "{status}");
        assert_eq!(matches!(kind, Some(EventKind::Other { .. })), !paid, "{status}");
    }
}

proptest! {
    #[test]
    fn no_value_anywhere_panics(
        which in 0..6_usize,
        path in "/(id|type|created|data(/object(/(id|amount|currency|status|charge|metadata))?)?)",
        text in r#"(null|-?[0-9]{0,20}(\.[0-9])?|"[^"\\]{0,8}"|\[\]|\{\}|[\[{"\\0e]{0,9})"#,
    ) {
        let event = &acted_on()[which];
        let hole = event.pointer(&path).map(|_| with(event, &path, json!("\u{1}hole")));
        let body = hole.map(|event| event.to_string().replace(r#""\u0001hole""#, &text));
        let _ = Event::parse(body.unwrap_or(text).as_bytes());
    }

    #[test]
    fn no_account_and_no_sku_panic(account in ".{0,60}", sku in ".{0,60}") {
        let mut session = session();
        session["client_reference_id"] = json!(account);
        session["metadata"]["sku"] = json!(sku);
        match read(&event("checkout.session.completed", session)) {
            Some(EventKind::Paid { account, sku: read, .. }) => {
                prop_assert_eq!(account, None);
                prop_assert_eq!(read, Some(sku));
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }
}
