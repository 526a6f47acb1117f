//! Nodes: they register by a key, prove that it is theirs, and show that they live.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use framefair_app::{Call, fleet};
use framefair_domain::id::ProviderId;
use framefair_domain::wallet::Wallet;
use futures::future::join_all;
use serde_json::{Value, json};

use super::people::{Person, detail, post};
use super::relay::{hear, open};
use crate::people::Seller;
use crate::stage::{Answer, Hub};

const REGISTER: &str = "/api/v1/nodes/register";
const HEARTBEAT: &str = "/api/v1/nodes/heartbeat";
/// What stands before an Ed25519 key in its DER form.
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

pub(crate) struct Machine(SigningKey);

impl Machine {
    pub(crate) fn new(seed: u8) -> Machine {
        Machine(SigningKey::from_bytes(&[seed; 32]))
    }

    fn pem(&self) -> String {
        let der = [SPKI.as_slice(), self.0.verifying_key().as_bytes()].concat();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
    }

    pub(crate) fn registration(&self) -> Value {
        json!({ "name": "gpu-node-east-1", "public_key": self.pem(), "unknown": [1],
            "capabilities": ["render", "echo"], "metadata": { "gpu": "RTX 4090" } })
    }

    fn proof(&self, challenge: &str) -> Value {
        let mut body = self.registration();
        body["challenge"] = challenge.into();
        body["signature"] = STANDARD.encode(self.0.sign(challenge.as_bytes()).to_bytes()).into();
        body
    }
}

pub(crate) async fn register(hub: &Hub, body: &Value) -> Answer {
    post(hub, "nodeRegister", REGISTER, body).await
}

async fn beat(hub: &Hub, token: &str, body: &Value) -> Answer {
    hub.call("nodeHeartbeat", hub.ask("POST", HEARTBEAT).bearer_auth(token).json(body)).await
}

fn text(answer: &Value, name: &str) -> String {
    answer[name].as_str().expect("text").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_key_gets_a_token_only_for_its_signature() {
    let hub = Hub::of("creator", false).await;
    let machine = Machine::new(1);
    let first = register(&hub, &machine.registration()).await.is(201).json();
    assert_eq!(first["status"], "REGISTERED");
    let wallet = Wallet::from_bytes(machine.0.verifying_key().to_bytes()).expect("a key");
    assert_eq!(text(&first, "node_id"), ProviderId::of(&wallet).to_string(), "one key, one node");
    let challenge = text(&first, "challenge");

    let stranger = register(&hub, &machine.registration()).await.is(409);
    assert_eq!(stranger.header("x-node-challenge"), challenge);
    assert_eq!(detail(&stranger), "Public key already registered");
    let mut forged = machine.proof(&challenge);
    forged["signature"] = Machine::new(2).proof(&challenge)["signature"].clone();
    let invented = machine.proof(&"0".repeat(64));
    for refused in [&forged, &invented] {
        assert!(register(&hub, refused).await.is(409).json().get("token").is_none());
    }
    beat(&hub, &text(&first, "token"), &json!({ "current_load": 0 })).await.is(200);

    let proof = machine.proof(&challenge);
    let second = register(&hub, &proof).await.is(201).json();
    assert_eq!(second["node_id"], first["node_id"]);
    register(&hub, &proof).await.is(409);
    let beats = async |token: String| beat(&hub, &token, &json!({ "current_load": 0 })).await;
    assert_eq!(beats(text(&second, "token")).await.is(200).json()["status"], "HEALTHY");
    let old = beats(text(&first, "token")).await.is(401);
    assert_eq!(detail(&old), "Invalid node credentials", "one token per node");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wallet_of_a_provider_is_no_node_of_a_stranger() {
    let hub = Hub::of("creator", false).await;
    let machine = Machine::new(1);
    let sells = async || {
        let url = hub.url("/provider/register");
        let seller = Seller::new(1).registration("Oak", &[]);
        let answer = hub.http.post(url).json(&seller).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
    };
    let is_known = async || {
        let answer = register(&hub, &machine.registration()).await.is(409);
        assert!(answer.json().get("token").is_none());
        answer.header("x-node-challenge").to_owned()
    };
    // Somebody has registered the wallet before it sells.
    let stranger = register(&hub, &machine.registration()).await.is(201).json();
    let stranger = text(&stranger, "token");
    let id =
        ProviderId::of(&Wallet::from_bytes(machine.0.verifying_key().to_bytes()).expect("a key"));
    let mut socket = open(&hub, &id.to_string(), &stranger).await;
    assert!(hear(&mut socket).await.is_ok());
    sells().await;
    let gone = loop {
        if let Err(why) = hear(&mut socket).await {
            break why;
        }
    };
    assert_eq!(gone.0, 4003);
    let beats = async |token: &str| beat(&hub, token, &json!({ "current_load": 0 })).await;
    beats(&stranger).await.is(401);
    let mut socket = open(&hub, &id.to_string(), &stranger).await;
    assert_eq!(hear(&mut socket).await.expect_err("it is closed").0, 4001);
    // Only its own signature makes it a node again, and what it sells afterwards changes nothing of that.
    let proven = machine.proof(&is_known().await);
    let proven = register(&hub, &proven).await.is(201).json();
    sells().await;
    beats(&text(&proven, "token")).await.is(200);

    // One that sells and never was a node.
    let (machine, seller) = (Machine::new(2), Seller::new(2).registration("Ash", &[]));
    let url = hub.url("/provider/register");
    hub.http.post(url).json(&seller).send().await.expect("an answer");
    let known = register(&hub, &machine.registration()).await.is(409);
    // Its socket as a provider lists it for nothing that a stranger says it can do.
    let id =
        ProviderId::of(&Wallet::from_bytes(machine.0.verifying_key().to_bytes()).expect("a key"));
    let mut seller = Seller::new(2);
    seller.id = id.to_string();
    let socket = seller.connect(&hub, "/ws").await;
    let listed = async || {
        let listed = fleet::capacity(&hub.machine.ctx, &Call::live()).await.expect("the table");
        listed.into_iter().map(|kind| kind.any.there).sum::<usize>()
    };
    let before = listed().await;
    drop(socket);
    let again = register(&hub, &machine.registration()).await.is(409);
    let challenge = known.header("x-node-challenge");
    assert_eq!(challenge, again.header("x-node-challenge"));
    let node = register(&hub, &machine.proof(challenge)).await.is(201).json();
    assert_eq!(listed().await, before, "neither by coming nor by going");
    beats(&text(&node, "token")).await.is(200);
    assert!(listed().await > before, "now it is one");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_register_one_key_at_once_are_one_node() {
    let hub = Hub::of("creator", false).await;
    let body = Machine::new(1).registration();
    let answers = join_all((0..16).map(|_| register(&hub, &body))).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    let known = answers.iter().filter(|answer| answer.status == 409).count();
    assert_eq!((made, known), (1, 15));
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_steady_heartbeat_writes_nothing() {
    let hub = Hub::of("creator", false).await;
    let node = register(&hub, &Machine::new(1).registration()).await.is(201).json();
    let token = text(&node, "token");
    for load in ["0.45", "-3", "2", "1e300"] {
        let load: Value = serde_json::from_str(load).expect("a number");
        let body = json!({ "current_load": load, "metadata": { "gpu_temp": 72 } });
        let answer = beat(&hub, &token, &body).await.is(200).json();
        assert_eq!((&answer["status"], &answer["acknowledged"]), (&json!("HEALTHY"), &json!(true)));
        assert_eq!(answer["node_id"], node["node_id"]);
    }
    let seam = hub.machine.ctx.store.seam();
    let costs = seam.snapshot().into_iter().filter(|cost| cost.label == "nodeHeartbeat");
    let costs: Vec<_> = costs.map(|cost| (cost.op, cost.calls)).collect();
    let calls = |op| costs.iter().filter(|it| it.0 == op).map(|it| it.1).sum::<u64>();
    // By the first one it is listed for two kinds of work, with and without a GPU.
    assert_eq!((calls("UpdateItem"), calls("PutItem")), (1, 4), "only the first one: {costs:?}");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_logged_in_sees_what_the_fleet_can_take() {
    let hub = Hub::of("creator", false).await;
    let ada = Person::register(&hub, "ada@example.com").await;
    let shown = async || {
        let fleet = ada.get(&hub, "nodeList", "/api/v1/nodes").await.is(200).json();
        let rows = fleet["job_types"].as_array().expect("rows").clone();
        move |name: &str| {
            let row = rows.iter().find(|row| row["job_type"] == name).expect("a row");
            ["nodes", "free", "gpu_nodes", "gpu_free", "waiting"].map(|of| row[of].as_u64())
        }
    };
    assert_eq!(shown().await("render"), [0; 5].map(Some));
    for seed in 1..=3 {
        let node = register(&hub, &Machine::new(seed).registration()).await.is(201).json();
        beat(&hub, &text(&node, "token"), &json!({ "current_load": 0 })).await.is(200);
    }
    assert_eq!(shown().await("render"), [3, 3, 3, 3, 0].map(Some));
    assert_eq!(shown().await("inference"), [0; 5].map(Some));
    let job = json!({ "job_type": "echo", "payload_ref": "x" });
    for _ in 0..2 {
        ada.post(&hub, "jobDispatch", "/api/v1/jobs/dispatch", &job).await.is(200);
    }
    // What has a job of one type has no place for another.
    let row = shown().await;
    assert_eq!(
        (row("render"), row("echo")),
        ([3, 1, 3, 1, 0].map(Some), [3, 1, 3, 1, 0].map(Some))
    );
    let nobody = hub.call("nodeList", hub.ask("GET", "/api/v1/nodes")).await.is(401);
    assert_eq!(detail(&nobody), "Not authenticated");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_nodes_own_token_speaks_for_it() {
    let hub = Hub::of("creator", false).await;
    let node = register(&hub, &Machine::new(1).registration()).await.is(201).json();
    let ada = Person::register(&hub, "ada@example.com").await;
    let body = json!({ "current_load": 0.5 });
    let nobody = hub.call("nodeHeartbeat", hub.ask("POST", HEARTBEAT).json(&body)).await.is(401);
    assert_eq!(detail(&nobody), "Invalid node credentials");
    for token in [ada.access.as_str(), &ada.refresh, "eyJhbGciOiJub25lIn0.e30.", "x"] {
        let refused = beat(&hub, token, &body).await.is(401);
        assert_eq!(detail(&refused), "Invalid node credentials");
        assert_eq!(refused.header("www-authenticate"), "Bearer");
    }
    let person = Person { access: text(&node, "token"), ..ada };
    let refused = person.get(&hub, "creditBalance", "/api/v1/credits/balance").await.is(401);
    assert_eq!(detail(&refused), "Invalid token type");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_registration_is_said_member_by_member() {
    let hub = Hub::of("creator", false).await;
    let good = Machine::new(1).registration();
    let weak = [SPKI.as_slice(), &[1], &[0; 31]].concat();
    let weak =
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----", STANDARD.encode(weak));
    for (member, bad) in [
        ("name", json!("")),
        ("name", json!("x".repeat(10_000))),
        ("public_key", json!("MCow")),
        ("public_key", json!("x".repeat(10_000))),
        ("public_key", json!(weak)),
        ("capabilities", json!([""])),
        ("capabilities", json!(vec!["x".repeat(100); 64])),
        ("capabilities", json!(vec!["x"; 65])),
        ("capabilities", json!("render")),
        ("metadata", json!({ "long": "x".repeat(20_000) })),
        ("metadata", json!([1])),
    ] {
        let mut body = good.clone();
        body[member] = bad;
        let refused = register(&hub, &body).await.is(422).json();
        let loc = refused["errors"][0]["loc"].as_array().expect("a place").clone();
        assert!(loc.iter().any(|step| step.as_str().is_some_and(|step| step.starts_with(member))));
    }
    let node = register(&hub, &good).await.is(201).json();
    let token = text(&node, "token");
    for bad in
        ["{}", "{\"current_load\": \"1\"}", "{\"current_load\": 1e999}", "{\"current_load\": NaN}"]
    {
        let request = hub.ask("POST", HEARTBEAT).bearer_auth(&token);
        let request = request.header("content-type", "application/json").body(bad);
        hub.call("nodeHeartbeat", request).await.is(422);
    }
    hub.stop().await;
}
