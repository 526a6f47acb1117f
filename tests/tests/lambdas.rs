//! Every function of the template as Lambda runs it: the real binary over a stub of the Runtime API, in
//! the environment that the template gives, each with its example of events/.

mod runtime;
#[allow(dead_code, reason = "each test file uses its own part of the tree")]
mod tree;

use std::collections::BTreeMap;

use base64::Engine as _;
use framefair_chain::Signer;
use framefair_domain::id::ProviderId;
use framefair_domain::money::Lamports;
use framefair_domain::quote::Tariff;
use framefair_domain::scheduling::Abilities;
use framefair_domain::time::Timestamp;
use framefair_store::rows::{ProviderRow, Status};
use framefair_store::{Config, Seam, Store, When, Write, setup};
use runtime::{Given, invoke, secrets};
use serde_json::Value;
use tree::{FACES, events};

/// Names of the secrets.
const KEYS: &str = "framefair-keys";
const TOKEN: &str = "framefair-token";
const ANCHOR: &str = "framefair-anchor";
const STRIPE: &str = "framefair-stripe";
const WEBHOOK: &str = "framefair-webhook";

/// Body of an event or of an answer as bytes, decoded where it came encoded.
fn body(event: &Value) -> Vec<u8> {
    let text = event["body"].as_str().unwrap_or_default();
    if event["isBase64Encoded"] == true {
        base64::engine::general_purpose::STANDARD.decode(text).expect("isBase64Encoded is true")
    } else {
        text.as_bytes().to_vec()
    }
}

fn http_events() -> Vec<(String, Value)> {
    FACES.iter().chain(&["edge"]).flat_map(|folder| events(folder)).collect()
}

/// The cloud and the chain that the functions find, for as long as this lives.
struct Ground {
    cloud: framefair_devcloud::DevCloud,
    chain: framefair_localnet::Localnet,
    store: Store,
    given: Given,
    _folder: tempfile::TempDir,
}

async fn ground() -> Ground {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (access, secret) = ("events".to_owned(), "events-secret".to_owned());
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let cloud = framefair_devcloud::DevCloud::start(framefair_devcloud::Config {
        data_dir: folder.path().join("cloud"),
        addr: any,
        access_key: access.clone(),
        secret_key: secret.clone(),
        object_size_max: 1 << 30,
    });
    let cloud = cloud.await.expect("the embedded cloud starts");
    let chain = framefair_localnet::Localnet::start(framefair_localnet::Config {
        data_dir: folder.path().join("chain"),
        rpc_addr: any,
        slot_ms: 50,
    });
    let chain = chain.await.expect("the embedded chain starts");
    let config = Config::local(&cloud.endpoint_url(), &access, &secret);
    let prefix = config.queue_url_prefix.clone();
    let store = Store::open(config, Seam::off()).expect("a store");
    setup::ensure(&store, 1).await.expect("a table");

    let key = |name: &str| {
        let file = folder.path().join(name);
        let wallet = Signer::create(&file).expect("a key").wallet();
        (wallet, std::fs::read_to_string(file).expect("its text"))
    };
    let ((escrow, escrow_key), (_, gas_key)) = (key("escrow.json"), key("gas.json"));
    let (tokens, token_key) = key("tokens.json");
    let (anchor, anchor_key) = key("anchor.json");
    let keys = format!(r#"{{"escrow": {escrow_key}, "gas": {gas_key}}}"#);
    let secrets = secrets(BTreeMap::from([
        (KEYS, keys),
        (TOKEN, token_key),
        (ANCHOR, anchor_key),
        (STRIPE, "sk_test_1".into()),
        (WEBHOOK, "whsec_old\nwhsec_new\n".into()),
    ]))
    .await;
    let given = Given {
        values: BTreeMap::from([
            ("ENVIRONMENT", "staging".into()),
            ("RUST_LOG", "info".into()),
            ("TABLE", "framefair".into()),
            ("BUCKET", "framefair".into()),
            ("QUEUE_URL_PREFIX", prefix),
            ("SOLANA_RPC_URL", chain.rpc_url()),
            ("SOLANA_GENESIS_HASH", genesis(&chain.rpc_url()).await),
            ("SOLANA_RPC_URL_2", String::new()),
            ("PAYOUT_CAP_SOL", "100".into()),
            ("ESCROW_WALLET", escrow.to_string()),
            ("KEYS_SECRET", KEYS.into()),
            ("TOKEN_SECRET", TOKEN.into()),
            ("ANCHOR_INTERVAL_SECONDS", "300".into()),
            ("ANCHOR_SECRET", ANCHOR.into()),
            ("STRIPE_SECRET", STRIPE.into()),
            ("STRIPE_WEBHOOK_SECRETS", WEBHOOK.into()),
            // Nobody buys anything here.
            ("STRIPE_API_URL", "http://127.0.0.1:9".into()),
            ("CHECKOUT_SUCCESS_URL", "https://example.com/paid".into()),
            ("CHECKOUT_CANCEL_URL", "https://example.com/".into()),
            ("ANCHOR_WALLET", anchor.to_string()),
            ("TOKEN_KEYS", tokens.to_string()),
            ("NODE_ADMISSION", "open".into()),
            ("DISPATCH_NO_NODE_STATUS", "400".into()),
            ("IPFS_GATEWAY", String::new()),
            ("CORS_ORIGINS", String::new()),
            ("RATE_CEILING", "600".into()),
            ("REQUIRE_NONCE", "false".into()),
            ("MAX_RUNTIME_SECONDS", "86400".into()),
            ("METRICS_TOKEN", "a word for whoever watches".into()),
            ("RELAY_SLOTS", "4".into()),
            ("SETTLEMENT", "escrow".into()),
            ("PROVIDER_ENDPOINT_ALLOW", String::new()),
            // Nothing stands before them here.
            ("FRONT_SECRET", String::new()),
            ("UPLOAD_SECRET", "an upload secret that only tests have".into()),
        ]),
        platform: BTreeMap::from([
            ("AWS_REGION", "us-east-1".into()),
            ("AWS_ACCESS_KEY_ID", access),
            ("AWS_SECRET_ACCESS_KEY", secret),
            ("AWS_ENDPOINT_URL", cloud.endpoint_url()),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", secrets),
        ]),
    };
    Ground { cloud, chain, store, given, _folder: folder }
}

async fn genesis(rpc: &str) -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().build().expect("a client");
    let ask = serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": "getGenesisHash" });
    let answer = client.post(rpc).json(&ask).send().await.expect("the chain answers");
    let answer: Value = answer.json().await.expect("JSON");
    answer["result"].as_str().expect("a hash").to_owned()
}

impl Ground {
    /// The provider whom the events name, as its event of registration describes it, but found on
    /// an endpoint of its own and not on the socket, since no relay stands here.
    async fn register(&self, registration: &Value) {
        let named: ProviderId = "0195a2c4-7d3e-7a10-9c1b-2f4be3a1c0aa".parse().expect("an id");
        let row = ProviderRow {
            id: named,
            rev: 1,
            wallet: registration["wallet"].as_str().expect("text").parse().expect("a wallet"),
            name: registration["name"].as_str().expect("text").to_owned(),
            endpoint: registration["endpoint"].as_str().expect("text").to_owned(),
            spec: registration["spec"].to_string(),
            abilities: Abilities {
                formats: vec![".blend".into()],
                blender: Some((3, 4)),
                engines: vec!["cycles".into()],
                bytes_max: 1 << 30,
                frames: true,
                relay: false,
            },
            tariff: Tariff {
                frame: Lamports(0),
                second: Lamports(0),
                gb: Lamports(0),
                minimum: Lamports(0),
            },
            chosen: Status::Offline,
            connected: false,
            silent: false,
            registered: Timestamp(1_764_000_000_000),
            seen: Timestamp(1_764_000_000_000),
            pending: None,
        };
        self.store.write(Write::put(&row, When::Absent)).await.expect("a row");
    }

    async fn stop(self) {
        self.chain.shutdown().await;
        self.cloud.shutdown().await;
    }
}

/// What the contract has for an event.
struct Case {
    handler: &'static str,
    status: u64,
    /// What the answer must say, and what it must say it in.
    says: &'static [(&'static str, &'static str)],
}

const fn case(
    handler: &'static str,
    status: u64,
    says: &'static [(&'static str, &'static str)],
) -> Case {
    Case { handler, status, says }
}

const MISSING: &[(&str, &str)] = &[("/success", "false"), ("/error", "Not found")];
/// Nobody signed the tokens of the events.
const UNKNOWN: &[(&str, &str)] = &[("/detail", "Could not validate credentials")];
const PROVIDER: &str = "0195a2c4-7d3e-7a10-9c1b-2f4be3a1c0aa";

/// On an empty table. The job of the events never exists, so what asks for it is told so.
const EMPTY: &[Case] = &[
    case("edge-health", 200, &[("/status", "healthy"), ("/service", "framefair")]),
    case("edge-preflight", 204, &[]),
    case("edge-unknown", 404, &[("/detail", "Not Found"), ("/error", "Not found")]),
    case("creator-version", 200, &[("/name", "framefair"), ("/environment", "staging")]),
    case("creator-healthAlias", 200, &[("/status", "healthy")]),
    case("creator-metrics", 401, &[("/detail", "Not authenticated")]),
    case("creator-ready", 200, &[("/status", "ready"), ("/checks/redis", "connected")]),
    case("creator-register", 201, &[("/user/email", "ada@example.com"), ("/token_type", "bearer")]),
    case("creator-login", 200, &[("/token_type", "bearer")]),
    case("creator-refresh", 401, UNKNOWN),
    case("creator-logout", 401, UNKNOWN),
    case("creator-creditBalance", 401, UNKNOWN),
    case("creator-creditHistory", 401, UNKNOWN),
    case("creator-creditDeduct", 401, UNKNOWN),
    case("creator-creditUsage", 401, UNKNOWN),
    case("creator-creditCheckout", 401, UNKNOWN),
    case("creator-stripeWebhook", 400, &[("/detail", "Invalid signature")]),
    case("creator-jobDispatch", 401, UNKNOWN),
    case("creator-jobList", 401, UNKNOWN),
    case("creator-jobGet", 401, UNKNOWN),
    case("creator-jobCancel", 401, UNKNOWN),
    case("creator-jobResult", 401, UNKNOWN),
    case("creator-nodeRegister", 201, &[("/status", "REGISTERED")]),
    case("creator-nodeList", 401, UNKNOWN),
    case("creator-nodeHeartbeat", 401, &[("/detail", "Invalid node credentials")]),
    case("creator-ledgerProof", 401, UNKNOWN),
    case("creator-ledgerVerify", 401, UNKNOWN),
    case("creator-ledgerAnchors", 401, UNKNOWN),
    case("market-stats", 200, &[("/success", "true"), ("/data/totalProviders", "0")]),
    case("market-providersList", 200, &[("/data/total", "0")]),
    case("market-providerGet", 404, MISSING),
    case("market-renderSubmit", 503, &[("/success", "false")]),
    case("market-renderPay", 404, MISSING),
    case("market-renderStatus", 404, MISSING),
    case("market-renderResult", 404, MISSING),
    case("market-renderCancel", 404, MISSING),
    case("market-providerStatus", 404, MISSING),
    case("market-providerPricing", 404, MISSING),
    case("market-providerComplete", 404, MISSING),
    case("market-providerFailed", 404, MISSING),
    case("market-uploadCreate", 201, &[("/success", "true"), ("/data/partSize", "16777216")]),
    case("market-uploadParts", 404, MISSING),
    case("market-uploadComplete", 404, MISSING),
    case(
        "market-providerRegister",
        200,
        &[("/success", "true"), ("/data/message", "Provider registered successfully")],
    ),
];

/// With the provider of the events there. Its short signatures never expire.
const WITH_PROVIDER: &[Case] = &[
    case("market-providerGet", 200, &[("/data/id", PROVIDER), ("/data/status", "offline")]),
    case("market-providerPricing", 200, &[("/success", "true"), ("/data/providerId", PROVIDER)]),
    case("market-providerStatus", 200, &[("/data/status", "online")]),
    case("market-providersList", 200, &[("/data/total", "1"), ("/data/providers/0/id", PROVIDER)]),
    case(
        "market-renderSubmit",
        402,
        &[("/error", "Payment Required"), ("/payment/price", "0.00735")],
    ),
    case("market-providerComplete", 404, MISSING),
];

/// Each of the functions lived for one request, and none of them counts for itself.
async fn what_others_counted_is_shown(event: &Value, given: &Given) {
    let mut event = event.clone();
    event["headers"]["authorization"] = "Bearer a word for whoever watches".into();
    let answer = invoke("creator-metrics", event, given).await.expect("an answer");
    assert_eq!(answer["statusCode"], 200, "{answer}");
    let text = String::from_utf8(body(&answer)).expect("text");
    for line in [
        r#"http_requests_total{method="GET",endpoint="/version",status_code="200"} 1"#,
        r#"http_requests_total{method="GET",endpoint="/providers/{id}",status_code="404"} 1"#,
        r#"http_requests_total{method="GET",endpoint="/providers/{id}",status_code="200"} 1"#,
        r#"http_request_duration_seconds_count{method="GET",endpoint="/providers"} 2"#,
        "active_websocket_connections 0",
    ] {
        assert!(text.lines().any(|it| it == line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("/metrics"), "who watches is not watched:\n{text}");
}

/// What a browser is told depends on where it is told it.
async fn production_is_https_alone(event: &Value, given: &mut Given) {
    for (environment, header) in [("staging", None), ("production", Some("max-age=31536000"))] {
        given.values.insert("ENVIRONMENT", environment.into());
        let answer = invoke("edge-health", event.clone(), given).await.expect("an answer");
        let said = answer["headers"]["strict-transport-security"].as_str();
        assert_eq!(said.and_then(|said| said.split(';').next()), header, "{answer}");
    }
}

async fn holds(case: &Case, event: &Value, given: &Given) {
    let handler = case.handler;
    let answer = invoke(handler, event.clone(), given).await;
    let answer = answer.unwrap_or_else(|error| panic!("{handler} failed: {error}"));
    assert_eq!(answer["statusCode"], case.status, "{handler}: {answer}");
    let text = String::from_utf8(body(&answer)).expect("these answers are text");
    if case.status == 204 {
        return assert!(text.is_empty(), "{handler}: {text}");
    }
    let said: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{handler}: {text}"));
    for (pointer, word) in case.says {
        let found = said.pointer(pointer).unwrap_or_else(|| panic!("{handler}: {said}"));
        let found = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
        assert_eq!(found, *word, "{handler} at {pointer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_function_answers_its_event_as_its_contract_says() {
    let mut ground = ground().await;
    let events: BTreeMap<String, Value> = http_events().into_iter().collect();
    let driven: Vec<&str> = EMPTY.iter().map(|case| case.handler).collect();
    let unknown: Vec<&String> =
        events.keys().filter(|handler| !driven.contains(&handler.as_str())).collect();
    assert!(unknown.is_empty(), "nothing says what {unknown:?} must answer");
    let every = tree::operations().into_iter().map(|it| it.handler);
    for handler in every.chain(tree::EDGE.iter().map(ToString::to_string)) {
        assert!(events.contains_key(&handler), "{handler} has no event");
    }
    for case in EMPTY {
        holds(case, &events[case.handler], &ground.given).await;
    }
    // Its own registration made another id; the row that the events name is set beside it.
    let registration = serde_json::from_slice(&body(&events["market-providerRegister"]));
    ground.register(&registration.expect("a JSON body")).await;
    for case in WITH_PROVIDER {
        holds(case, &events[case.handler], &ground.given).await;
    }
    what_others_counted_is_shown(&events["creator-metrics"], &ground.given).await;
    production_is_https_alone(&events["edge-health"], &mut ground.given).await;
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_signing_secret_in_rotation_is_believed_by_the_function() {
    let ground = ground().await;
    let named = events("creator").into_iter().find(|(name, _)| name == "creator-stripeWebhook");
    let (handler, mut event) = named.expect("the webhook has an event");
    let now_s = framefair_app::Call::live().now.seconds();
    for (secret, status) in [("whsec_old", 200), ("whsec_new", 200), ("whsec_other", 400)] {
        let endpoint = framefair_billing::Endpoint::new([secret]).expect("a secret");
        event["headers"]["stripe-signature"] = endpoint.sign(&body(&event), now_s).into();
        let answer = invoke(&handler, event.clone(), &ground.given).await.expect("an answer");
        assert_eq!(answer["statusCode"], status, "{secret}: {answer}");
    }
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_worker_takes_its_event_and_lets_go_of_what_is_not_there() {
    let ground = ground().await;
    let mut driven = 0;
    for (handler, event) in events("workers") {
        let answer = invoke(&handler, event, &ground.given).await;
        let answer = answer.unwrap_or_else(|error| panic!("{handler} failed: {error}"));
        match handler.as_str() {
            "workers-sweeper" => assert_eq!(answer["jobs"], 0, "{answer}"),
            "workers-anchoring" => assert_eq!(answer["open"], 0, "{answer}"),
            "workers-watcher" => assert_eq!(answer["booked"], 0, "{answer}"),
            _ => assert_eq!(answer["batchItemFailures"], serde_json::json!([]), "{handler}"),
        }
        driven += 1;
    }
    assert_eq!(driven, 6);
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payouts_does_not_run_without_its_keys() {
    let ground = ground().await;
    let mut without_keys =
        Given { values: ground.given.values.clone(), platform: ground.given.platform.clone() };
    without_keys.values.insert("KEYS_SECRET", "another".into());
    let payouts = events("workers").into_iter().find(|(handler, _)| handler == "workers-payouts");
    let (handler, event) = payouts.expect("payouts has an event");
    let task = tokio::spawn(async move { invoke(&handler, event, &without_keys).await });
    let ended = task.await;
    assert!(ended.is_err() || ended.is_ok_and(|answer| answer.is_err()), "it ran without its keys");
    ground.stop().await;
}
