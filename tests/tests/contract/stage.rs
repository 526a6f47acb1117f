//! A live hub in this process, spoken to over HTTP. Every answer is held against the contract before a
//! test gets to see it, and what was seen is remembered.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Mutex;
use std::time::Duration;

use framefair_app::credits::Payments;
use framefair_app::metrics::MetricsToken;
use framefair_local::{Machine, Options, Ports, Providers};
use framefair_store::Seam;
use reqwest::header::{self, HeaderMap};
use reqwest::{Client, Method, RequestBuilder, redirect};
use serde_json::Value;

use crate::schema::{check, contract, operations, resolved};

/// A slow and busy machine may need long for what is usually done at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A lost socket may come back within this; nobody here does.
const GRACE_MS: u32 = 1_000;
/// Sockets are asked often, so that a silent one is seen soon; and not so often that a halt of the machine is silence.
const PING_EVERY_MS: u32 = 4_000;
/// Long enough for calls that are made at once to overlap.
const CALL_TAKES: Duration = Duration::from_millis(3);
/// How many round trips to the table, one after the other, an answer may take.
const TRIPS_MAX: u64 = 2;
/// Counted apart: limits and totals, a provider that a process meets for the first time, who it is that bears a
/// token, and what is done over because somebody else was faster.
const ASIDE: [&str; 6] = ["rate", "statistics", "metrics", "learn", "account", "over again"];
/// A payment is final after 32 of them.
const SLOT_MS: u64 = 20;

pub(crate) struct Hub {
    pub(crate) machine: Machine,
    pub(crate) http: Client,
    face: &'static str,
    contract: Value,
    seen: Mutex<BTreeSet<(String, u16)>>,
    folder: tempfile::TempDir,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|_| panic!("no JSON: {}", String::from_utf8_lossy(&self.bytes)))
    }

    /// The answer, if its status is this one.
    pub(crate) fn is(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.bytes));
        self
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value =
            self.headers.get(name).unwrap_or_else(|| panic!("no {name}: {:?}", self.headers));
        value.to_str().expect("a header is text")
    }

    /// `{"success": false, "error": …}`, and what it says.
    pub(crate) fn error(&self) -> String {
        let body = self.json();
        assert_eq!(body["success"], false, "{body}");
        let error = body["error"].as_str().unwrap_or_default().to_owned();
        assert!(!error.is_empty(), "{body}");
        error
    }
}

impl Hub {
    pub(crate) async fn start() -> Hub {
        Hub::with(false).await
    }

    /// Held against another contract than the market's.
    pub(crate) async fn of(face: &'static str, rate_limits: bool) -> Hub {
        Hub { face, contract: contract(face), ..Hub::with(rate_limits).await }
    }

    pub(crate) async fn with(rate_limits: bool) -> Hub {
        Hub::open(rate_limits, Providers::default(), Payments::default()).await
    }

    pub(crate) async fn with_providers(providers: Providers) -> Hub {
        Hub::open(false, providers, Payments::default()).await
    }

    /// Held against the creator's contract, and in business.
    pub(crate) async fn selling(payments: Payments) -> Hub {
        let hub = Hub::open(false, Providers::default(), payments).await;
        Hub { face: "creator", contract: contract("creator"), ..hub }
    }

    /// Held against the creator's contract, with totals that are shown to whoever has the token.
    pub(crate) async fn watched_with(token: &str) -> Hub {
        let defaults = (Providers::default(), Payments::default());
        let hub = Hub::build(false, defaults.0, defaults.1, MetricsToken::new(token)).await;
        Hub { face: "creator", contract: contract("creator"), ..hub }
    }

    async fn open(rate_limits: bool, providers: Providers, payments: Payments) -> Hub {
        Hub::build(rate_limits, providers, payments, None).await
    }

    async fn build(
        rate_limits: bool,
        providers: Providers,
        payments: Payments,
        metrics_token: Option<MetricsToken>,
    ) -> Hub {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let machine = Machine::start(Options {
            data: folder.path().join("data"),
            ports: Ports { hub: 0, rpc: 0, aws: 0 },
            slot_ms: SLOT_MS,
            reconnect_grace_ms: GRACE_MS,
            ping_every_ms: PING_EVERY_MS,
            providers,
            rate_limits,
            direct: false,
            anchor_after_ms: Some(500),
            payments,
            metrics_token,
            seam: Seam::slow(CALL_TAKES),
        });
        let machine = machine.await.expect("the machine starts");
        let http = Client::builder().redirect(redirect::Policy::none()).timeout(PATIENCE);
        let http = http.build().expect("a client");
        Hub {
            face: "market",
            machine,
            http,
            contract: contract("market"),
            seen: Mutex::default(),
            folder,
        }
    }

    pub(crate) async fn stop(self) {
        self.machine.stop().await;
    }

    /// Where the machine keeps everything.
    pub(crate) fn data(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.machine.hub)
    }

    pub(crate) fn ask(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        self.http.request(method, self.url(path))
    }

    /// Sends it, whatever the contract thinks of the answer.
    pub(crate) async fn raw(&self, request: RequestBuilder) -> Answer {
        let answer = request.send().await.expect("the hub answers");
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let bytes = answer.bytes().await.expect("the answer is whole").to_vec();
        Answer { status, headers, bytes }
    }

    /// Sends it as operation `id`, and holds the answer against the contract.
    pub(crate) async fn call(&self, id: &str, request: RequestBuilder) -> Answer {
        let answer = self.raw(request).await;
        self.fits(id, &answer);
        answer
    }

    pub(crate) fn fits(&self, id: &str, answer: &Answer) {
        let said = String::from_utf8_lossy(&answer.bytes);
        let all = operations(&self.contract);
        let (.., operation) = all.iter().find(|(known, ..)| known == id).expect("an operationId");
        let response = &operation["responses"][answer.status.to_string()];
        assert!(
            !response.is_null(),
            "{id} answers {} which is not documented: {said}",
            answer.status
        );
        let response = resolved(&self.contract, response);
        for name in response["headers"].as_object().into_iter().flatten().map(|(name, _)| name) {
            answer.header(name);
        }
        if let Some(content) = response["content"].as_object() {
            let kind = answer.header(header::CONTENT_TYPE.as_str());
            let content = content.get(kind);
            let content = content.unwrap_or_else(|| panic!("{id} answers in {kind}: {said}"));
            if kind == "application/json" {
                let at = format!("{id} {}", answer.status);
                check(&self.contract, &content["schema"], &answer.json(), &at).expect("it fits");
            }
        }
        self.few_trips();
        let seen = (id.to_owned(), answer.status);
        self.seen.lock().expect("nobody panics while holding it").insert(seen);
    }

    fn few_trips(&self) {
        for depth in self.machine.ctx.store.seam().depths() {
            let few = depth.most <= TRIPS_MAX || ASIDE.contains(&depth.label);
            assert!(few || self.face != "market", "{} took {} trips", depth.label, depth.most);
        }
    }

    /// Documented answers that no call has brought about.
    pub(crate) fn unseen(&self) -> BTreeSet<(String, u16)> {
        let seen = self.seen.lock().expect("nobody panics while holding it");
        let documented =
            operations(&self.contract).into_iter().flat_map(|(id, _, _, operation)| {
                let responses = operation["responses"].as_object().expect("responses").clone();
                responses
                    .into_iter()
                    .map(move |(status, _)| (id.clone(), status.parse().expect("a status")))
            });
        documented.filter(|answer| !seen.contains(answer)).collect()
    }
}

/// Looks until there is something to see.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, look: impl Fn() -> F) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("in vain: {what}"))
}
