//! The hub's HTTP calls that a node makes, each signed for this once.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use framefair_domain::id::ProviderId;
use framefair_domain::money::Lamports;
use framefair_domain::signing::{self, Once};
use framefair_domain::time::Timestamp;
use reqwest::{Client, Method, Response, Url};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{AgentConfig, AgentError, Identity};
use crate::machine::Machine;

const TIMEOUT: Duration = Duration::from_secs(20);
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Offered file size, in MB of 1,048,576 bytes.
const FILE_MB_MAX: u32 = 2_048;

pub(crate) struct Hub {
    base: Url,
    client: Client,
}

impl Hub {
    pub(crate) fn new(base: &str) -> Result<Hub, AgentError> {
        let url = Url::parse(base.trim_end_matches('/')).ok();
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let base = url.ok_or_else(|| AgentError::Hub(base.to_owned()))?;
        let client = Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Hub { base, client })
    }

    /// Where the socket is.
    pub(crate) fn socket(&self) -> String {
        let base = self.base.as_str().trim_end_matches('/');
        format!("ws{}/ws", base.strip_prefix("http").unwrap_or(base))
    }

    /// Where a creator's node has its own.
    pub(crate) fn crew_socket(&self, node: &str) -> String {
        let base = self.base.as_str().trim_end_matches('/');
        format!("ws{}/api/v1/relay/ws/{node}", base.strip_prefix("http").unwrap_or(base))
    }

    pub(crate) async fn register(
        &self,
        config: &AgentConfig,
        machine: &Machine,
    ) -> Result<ProviderId, AgentError> {
        let mut body = json!({
            "name": config.name,
            "wallet": config.identity.wallet,
            "endpoint": self.base.as_str().trim_end_matches('/'),
            "spec": spec(machine),
            "pricing": {
                "pricePerFrame": number(config.tariff.frame),
                "pricePerSecond": number(config.tariff.second),
                "pricePerGb": number(config.tariff.gb),
                "minimumPrice": number(config.tariff.minimum),
                "currency": "SOL",
            },
        });
        let text = signing::register(&config.identity.wallet, &config.name);
        sign_once(&mut body, &config.identity, text);
        let data = self.call(Method::POST, "/provider/register", body).await?;
        let id = data["providerId"].as_str().and_then(|id| id.parse().ok());
        id.ok_or_else(|| AgentError::Refused("its answer names no providerId".into()))
    }

    pub(crate) async fn set_status(
        &self,
        identity: &Identity,
        provider: ProviderId,
        status: &str,
    ) -> Result<(), AgentError> {
        let mut body = json!({ "providerId": provider, "status": status });
        sign_once(&mut body, identity, signing::status(provider, status));
        self.call(Method::PUT, "/provider/status", body).await.map(drop)
    }

    /// A call of the creator's face.
    pub(crate) async fn post(
        &self,
        path: &str,
        body: &Value,
        token: Option<&str>,
    ) -> Result<Response, AgentError> {
        let url = format!("{}{path}", self.base.as_str().trim_end_matches('/'));
        let post = self.client.post(url).json(body);
        let post = match token {
            Some(token) => post.bearer_auth(token),
            None => post,
        };
        Ok(post.send().await?)
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> Result<Value, AgentError> {
        let url = format!("{}{path}", self.base.as_str().trim_end_matches('/'));
        let answer = self.client.request(method, url).json(&body).send().await?;
        let status = answer.status();
        if status.is_server_error() {
            answer.error_for_status()?;
            return Err(AgentError::Refused(status.to_string()));
        }
        let mut answer: Value = whole(answer).await?;
        if status.is_success() {
            return Ok(answer["data"].take());
        }
        let error = answer["error"].as_str().unwrap_or("it gives no reason").to_owned();
        Err(AgentError::Refused(format!("{error} ({status})")))
    }
}

/// The JSON of an answer. A hub is believed no length.
pub(crate) async fn whole<T: DeserializeOwned>(mut answer: Response) -> Result<T, AgentError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(AgentError::Garbled("it is longer than 1 MiB".to_owned()));
        }
        bytes.extend_from_slice(&chunk);
    }
    let read = serde_json::from_slice(&bytes);
    read.map_err(|error| AgentError::Garbled(error.to_string()))
}

/// What this machine offers, in the contract's words.
fn spec(machine: &Machine) -> Value {
    let gpus: Vec<Value> =
        machine.gpus.iter().map(|gpu| json!({ "name": gpu.name, "vram": gpu.vram_gb })).collect();
    let vram: u32 = machine.gpus.iter().map(|gpu| gpu.vram_gb).sum();
    let engines: Vec<String> =
        machine.engines.iter().map(|engine| engine.word().to_lowercase()).collect();
    let (major, minor, patch) = machine.blender.version;
    json!({
        "gpus": gpus,
        "gpuCount": machine.gpus.len(),
        "totalVram": vram,
        "maxFileSize": FILE_MB_MAX,
        "supportedFormats": machine.formats,
        "blenderVersion": format!("{major}.{minor}.{patch}"),
        "renderEngines": engines,
        "features": ["frames", "relay"],
    })
}

fn number(price: Lamports) -> Box<serde_json::value::RawValue> {
    serde_json::value::RawValue::from_string(price.to_sol()).unwrap_or_default()
}

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn sign_once(body: &mut Value, identity: &Identity, short: String) {
    let once = Once { timestamp: now(), nonce: uuid::Uuid::new_v4().simple().to_string() };
    body["signature"] = identity.sign(&signing::text(short, Some(&once))).into();
    body["timestamp"] = once.timestamp.0.into();
    body["nonce"] = once.nonce.into();
}
