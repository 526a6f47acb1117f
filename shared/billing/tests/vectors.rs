//! Events signed by Stripe's own library, see vectors/make.py. Knows what each of them is about, and nothing
//! of how signatures are made.

use framefair_billing::{BadEvent, Dispute, Endpoint, Event, EventKind, Refund};
use framefair_domain::time::Timestamp;
use serde::Deserialize;

const ACCOUNT: &str = "0199c5a1-7c00-7abc-8def-0123456789ab";
const SESSION: &str = "cs_test_a1Dq3Z8mVn2bXcR7";
const PAYMENT: &str = "pi_3SGtRj2eZvKYlo2C0mFJ";
const CHARGE: &str = "ch_3SGtRj2eZvKYlo2C0kQw";
const DISPUTE: &str = "du_1SGtRk2eZvKYlo2CgXxT";

#[derive(Deserialize)]
struct Vector {
    at_s: i64,
    header: String,
    /// Those that signed.
    secrets: Vec<String>,
    body: String,
}

impl Vector {
    fn read(&self) -> Result<Event, BadEvent> {
        endpoint(&self.secrets).read(self.body.as_bytes(), &self.header, self.at_s)
    }
}

fn endpoint<S: AsRef<str>>(secrets: &[S]) -> Endpoint {
    Endpoint::new(secrets).expect("a vector names its secrets")
}

/// All of them, by name.
fn vectors() -> Vec<(String, Vector)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors");
    let paths = std::fs::read_dir(folder).expect("the vectors are beside this file");
    let paths = paths.map(|entry| entry.expect("a folder can be listed").path());
    let json = paths.filter(|path| path.extension().is_some_and(|it| it == "json"));
    json.map(|path| {
        let name = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("a vector is text");
        (name, serde_json::from_str(&text).expect("a vector has this shape"))
    })
    .collect()
}

fn paid(account: bool) -> EventKind {
    EventKind::Paid {
        session: SESSION.to_owned(),
        account: account.then(|| ACCOUNT.parse().expect("an id")),
        sku: account.then(|| "cred50".to_owned()),
        payment_intent: account.then(|| PAYMENT.to_owned()),
    }
}

fn refunded(cents: i64) -> EventKind {
    EventKind::Refunded(Refund {
        charge: CHARGE.to_owned(),
        payment_intent: Some(PAYMENT.to_owned()),
        account: Some(ACCOUNT.parse().expect("an id")),
        sku: Some("cred50".to_owned()),
        amount_refunded_cents: cents,
        amount_cents: 4_000,
    })
}

fn dispute(inquiry: bool) -> Dispute {
    Dispute {
        dispute: DISPUTE.to_owned(),
        charge: CHARGE.to_owned(),
        payment_intent: Some(PAYMENT.to_owned()),
        inquiry,
    }
}

/// What the event of that name says, and the last two digits of its id.
fn meaning(name: &str) -> (&str, EventKind) {
    let other = |kind: &str| EventKind::Other { kind: kind.to_owned() };
    match name {
        "paid" => ("01", paid(true)),
        "not_yet_paid" => ("02", other("checkout.session.completed")),
        "paid_later" => ("03", paid(true)),
        "failed_later" => ("04", EventKind::AsyncFailed { session: SESSION.to_owned() }),
        "paid_by_a_stranger" => ("05", paid(false)),
        "refunded" => ("06", refunded(4_000)),
        "refunded_in_part" => ("07", refunded(1_500)),
        "dispute_opened" => ("08", EventKind::DisputeOpened(dispute(false))),
        "dispute_inquired" => ("09", EventKind::DisputeOpened(dispute(true))),
        "dispute_won" => ("10", EventKind::DisputeWon(dispute(false))),
        "dispute_lost" => ("11", EventKind::DisputeLost(dispute(false))),
        "dispute_prevented" => ("12", other("charge.dispute.closed")),
        "something_else" => ("13", other("some.thing.new")),
        _ => panic!("{name}: say here what it means"),
    }
}

#[test]
fn each_event_is_believed_and_says_what_it_was_made_to_say() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 13);
    for (name, vector) in vectors {
        let (digits, kind) = meaning(&name);
        let id = format!("evt_1SGtRk2eZvKYlo2C000000{digits}");
        let created = Some(Timestamp((vector.at_s - 3) * 1_000));
        assert_eq!(vector.read(), Ok(Event { id, created, kind }), "{name}");
    }
}

#[test]
fn each_of_the_secrets_that_signed_is_enough_and_no_other_is() {
    for (name, vector) in vectors() {
        let read = |secrets: &[&str]| {
            endpoint(secrets).read(vector.body.as_bytes(), &vector.header, vector.at_s)
        };
        for secret in &vector.secrets {
            assert!(read(&[secret]).is_ok(), "{name}");
            assert!(read(&["whsec_other", secret]).is_ok(), "{name}");
        }
        assert_eq!(read(&["whsec_other"]), Err(BadEvent::Signature), "{name}");
    }
}

#[test]
fn a_changed_or_stale_event_is_not_believed() {
    for (name, vector) in vectors() {
        let endpoint = endpoint(&vector.secrets);
        let read = |body: &str, now_s| endpoint.read(body.as_bytes(), &vector.header, now_s);
        let reason = Err(BadEvent::Signature);
        assert_eq!(read(&vector.body, vector.at_s + 301), reason, "{name}");
        assert_eq!(read(&vector.body, vector.at_s - 301), reason, "{name}");
        assert_eq!(read(&format!("{}\n", vector.body), vector.at_s), reason, "{name}");
        assert_eq!(read(vector.body.trim_end_matches('}'), vector.at_s), reason, "{name}");
    }
}

#[test]
fn our_own_signatures_are_those_of_the_library() {
    for (name, vector) in vectors() {
        let signed = endpoint(&vector.secrets).sign(vector.body.as_bytes(), vector.at_s);
        assert_eq!(signed, vector.header, "{name}");
    }
}
