//! JSON-RPC over HTTP: the only function that talks to a node. Knows no method's meaning.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use solana_hash::Hash;
use tokio::sync::OnceCell;

use crate::error::ChainError;
use crate::seam::{Fault, Seam};

/// A full page of signatures with long memos stays below this.
const ANSWER_MAX_BYTES: usize = 4 << 20;
/// Whatever the configuration says, no call waits longer.
const TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// One node.
pub(crate) struct Rpc {
    url: Uri,
    authorization: Option<HeaderValue>,
    timeout: Duration,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    seam: Seam,
    /// The cluster that it must belong to, where it has not been asked yet.
    cluster: Option<String>,
    vetted: OnceCell<()>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<NodeError>,
}

#[derive(Deserialize)]
struct NodeError {
    code: i64,
    #[serde(default)]
    message: String,
}

impl Rpc {
    pub(crate) fn new(url: &str, timeout_ms: u64, seam: Seam) -> Result<Rpc, ChainError> {
        let url: Uri = url.parse().map_err(|_| ChainError::BadUrl)?;
        if !matches!(url.scheme_str(), Some("http" | "https")) || url.host().is_none() {
            return Err(ChainError::BadUrl);
        }
        let timeout = Duration::from_millis(timeout_ms.max(1)).min(TIMEOUT_MAX);
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(timeout));
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())
            .map_err(|_| ChainError::Unreachable("TLS could not be set up"))?
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Rpc {
            authorization: authorization(&url)?,
            url,
            timeout,
            client,
            seam,
            cluster: None,
            vetted: OnceCell::new(),
        })
    }

    /// Before its first answer counts, the node is asked whether it belongs to this cluster.
    pub(crate) fn of_cluster(self, genesis_hash: String) -> Rpc {
        Rpc { cluster: Some(genesis_hash), ..self }
    }

    /// Calls a method and reads its result as `T`; a null result is read like any other.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Value,
    ) -> Result<T, ChainError> {
        if let Some(cluster) = &self.cluster {
            let vetting = || async { same_cluster(cluster, &self.genesis_hash().await?) };
            self.vetted.get_or_try_init(vetting).await?;
        }
        self.ask(method, params).await
    }

    /// Which cluster it belongs to, whichever is meant.
    pub(crate) async fn genesis_hash(&self) -> Result<String, ChainError> {
        let found: String = self.ask("getGenesisHash", json!([])).await?;
        match found.parse::<Hash>() {
            Ok(hash) => Ok(hash.to_string()),
            Err(_) => Err(ChainError::untrustworthy("its genesis hash is no hash")),
        }
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Value,
    ) -> Result<T, ChainError> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let fault = self.seam.enter(method);
        match fault {
            Some(Fault::Unreachable) => {
                return Err(ChainError::Unreachable("a fault was injected"));
            }
            Some(Fault::Answer(value)) => {
                return serde_json::from_value(value).map_err(|_| unreadable(method));
            }
            Some(Fault::Refusal(code, message)) => return Err(ChainError::rpc(code, message)),
            Some(Fault::Delay(_) | Fault::TimeoutAfter) | None => {}
        }
        let exchange = async {
            if let Some(Fault::Delay(time)) = fault {
                tokio::time::sleep(time).await;
            }
            self.exchange(body.to_string()).await
        };
        let answer =
            tokio::time::timeout(self.timeout, exchange).await.map_err(|_| ChainError::Timeout)?;
        if fault == Some(Fault::TimeoutAfter) {
            return Err(ChainError::Timeout);
        }
        let (status, answer) = answer?;
        let Ok(envelope) = serde_json::from_slice::<Envelope<'_>>(&answer) else {
            return Err(match status {
                200 => unreadable(method),
                _ => ChainError::rpc(i64::from(status), "the node answered with this HTTP status"),
            });
        };
        if let Some(error) = envelope.error {
            return Err(ChainError::rpc(error.code, &error.message));
        }
        let result = envelope.result.map_or("null", RawValue::get);
        serde_json::from_str(result).map_err(|_| unreadable(method))
    }

    async fn exchange(&self, body: String) -> Result<(u16, Bytes), ChainError> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.url.clone())
            .header(CONTENT_TYPE, "application/json");
        if let Some(value) = &self.authorization {
            request = request.header(AUTHORIZATION, value);
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(|_| ChainError::BadUrl)?;
        let response = self
            .client
            .request(request)
            .await
            .map_err(|_| ChainError::Unreachable("the connection failed"))?;
        let status = response.status().as_u16();
        let answer = Limited::new(response.into_body(), ANSWER_MAX_BYTES)
            .collect()
            .await
            .map_err(|_| ChainError::untrustworthy("an answer broke off, or is over 4 MiB"))?;
        Ok((status, answer.to_bytes()))
    }
}

pub(crate) fn same_cluster(expected: &str, found: &str) -> Result<(), ChainError> {
    if expected == found {
        return Ok(());
    }
    Err(ChainError::WrongCluster { expected: expected.to_owned(), found: found.to_owned() })
}

fn unreadable(method: &'static str) -> ChainError {
    ChainError::untrustworthy(format!("the answer to {method} does not have the form it must have"))
}

/// Some providers give out URLs of the form `https://user:password@host`.
fn authorization(url: &Uri) -> Result<Option<HeaderValue>, ChainError> {
    let Some((user, _)) = url.authority().and_then(|all| all.as_str().rsplit_once('@')) else {
        return Ok(None);
    };
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(user)))
        .map_err(|_| ChainError::BadUrl)?;
    value.set_sensitive(true);
    Ok(Some(value))
}
