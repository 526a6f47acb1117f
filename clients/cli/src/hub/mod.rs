//! Talks to a hub: one function per route of the contracts that a client needs. Knows HTTP
//! and the envelope; decides nothing about money, and shows nothing.

pub(crate) mod account;
pub(crate) mod health;
pub(crate) mod parts;
pub(crate) mod said;
pub(crate) mod upload;

use std::time::Duration;

use framefair_domain::id::{JobId, ProviderId};
use framefair_domain::wallet::{TxSignature, Wallet};
use reqwest::header::{IF_RANGE, RANGE};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use self::said::{Cancelled, Envelope, Job, Provider, Providers};
pub(crate) use self::upload::{Offer, Order, Sent};
use crate::exit::{Exit, Failure, plain};
use crate::place::HubUrl;

const CONNECT_MAX: Duration = Duration::from_secs(10);
/// The hub itself looks for a payment for up to 6 s before it answers.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// A download that brings nothing for so long is broken.
const STALL_MAX: Duration = Duration::from_secs(60);
/// The longest answer is a list of 500 providers.
const ANSWER_BYTES_MAX: usize = 8 << 20;
const REDIRECTS_MAX: usize = 4;

/// A hub, and the connections to it.
#[derive(Clone, Debug)]
pub(crate) struct Hub {
    pub(crate) url: HubUrl,
    /// Short questions and answers.
    asking: Client,
    /// Long bodies: a time limit on the whole would cut slow lines off.
    moving: Client,
}

/// Why there is no answer to work with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HubError {
    #[error("{0}")]
    Unreachable(String),
    #[error("{error} (HTTP {status})")]
    Refused { status: u16, error: String, code: Option<String>, retry_after_s: Option<u64> },
    #[error("the answer was not the hub's: {0}")]
    Garbled(String),
}

impl HubError {
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            HubError::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// The hub's machine word for a refusal.
    pub(crate) fn code(&self) -> Option<&str> {
        match self {
            HubError::Refused { code, .. } => code.as_deref(),
            _ => None,
        }
    }

    /// Whether the same question may be answered later: the hub is away, busy or in trouble.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            HubError::Unreachable(_) => true,
            HubError::Refused { status, .. } => *status == 429 || *status >= 500,
            // Something between us and the hub answered in its stead while it was away.
            HubError::Garbled(_) => true,
        }
    }

    /// How long the hub asks to be left alone.
    pub(crate) fn pause(&self) -> Option<Duration> {
        match self {
            HubError::Refused { retry_after_s: Some(seconds), .. } => {
                Some(Duration::from_secs((*seconds).min(60)))
            }
            _ => None,
        }
    }

    /// The sentence a person reads.
    pub(crate) fn failure(&self, what: &str, hub: &HubUrl) -> Failure {
        match self {
            HubError::Unreachable(why) => Failure::new(Exit::Network, what, why).hint(format!(
                "Is {hub} the right hub, and running? `framefair up` starts one on this machine."
            )),
            HubError::Garbled(why) => Failure::new(Exit::Network, what, why).hint(format!(
                "Check that {hub} is a hub and not something else on the same address."
            )),
            HubError::Refused { status: 429, error, .. } => {
                Failure::new(Exit::Refused, what, error).hint("Wait a minute, then try again.")
            }
            HubError::Refused { status, .. } if *status >= 500 && *status != 503 => {
                Failure::new(Exit::Network, what, self)
                    .hint("The hub is in trouble; try again in a minute.")
            }
            HubError::Refused { error, .. } => Failure::new(Exit::Refused, what, error),
        }
    }
}

impl Hub {
    pub(crate) fn new(url: HubUrl) -> Result<Hub, Failure> {
        let failed = |error| {
            Failure::new(Exit::Network, "no HTTP client could be made", why(&error)).hint(
                "For https the system's certificates must be installed (package ca-certificates).",
            )
        };
        let asking = client(&url, |builder| builder.timeout(ANSWER_MAX)).map_err(failed)?;
        let moving = client(&url, |builder| builder).map_err(failed)?;
        Ok(Hub { url, asking, moving })
    }

    /// The job as the hub describes it, read and raw.
    pub(crate) async fn job(
        &self,
        job: JobId,
        token: Option<&str>,
    ) -> Result<(Job, Box<RawValue>), HubError> {
        let request =
            self.asking.request(Method::GET, self.url.route(&["render", &job.to_string()]));
        let raw: Box<RawValue> = data(bearer(request, token)).await?;
        let read: Job = from_json(raw.get().as_bytes())?;
        if read.id == job {
            Ok((read, raw))
        } else {
            Err(HubError::Garbled("it is about another job".to_owned()))
        }
    }

    /// Presents a payment; presenting it twice is no harm.
    pub(crate) async fn pay(&self, job: JobId, transaction: &str) -> Result<(), HubError> {
        let body = serde_json::json!({ "jobId": job, "txSignature": transaction });
        let request = self.asking.post(self.url.route(&["render", "pay"])).json(&body);
        data::<Box<RawValue>>(request).await.map(|_| ())
    }

    pub(crate) async fn providers(
        &self,
        status: Option<&str>,
    ) -> Result<(Providers, Box<RawValue>), HubError> {
        let mut url = self.url.route(&["providers"]);
        if let Some(status) = status {
            url.query_pairs_mut().append_pair("status", status);
        }
        let raw: Box<RawValue> = data(self.asking.get(url)).await?;
        Ok((from_json(raw.get().as_bytes())?, raw))
    }

    pub(crate) async fn provider(&self, id: ProviderId) -> Result<Provider, HubError> {
        data(self.asking.get(self.url.route(&["providers", &id.to_string()]))).await
    }

    pub(crate) async fn cancel(
        &self,
        job: JobId,
        signature: &str,
        timestamp: i64,
        nonce: &str,
    ) -> Result<Cancelled, HubError> {
        let body =
            serde_json::json!({ "signature": signature, "timestamp": timestamp, "nonce": nonce });
        let url = self.url.route(&["render", &job.to_string(), "cancel"]);
        data(self.asking.post(url).json(&body)).await
    }

    /// Where the result of a job is, for whoever may have it.
    pub(crate) fn result_url(&self, job: JobId) -> Url {
        self.url.route(&["render", &job.to_string(), "result"])
    }

    /// Opens the result; its body is then read piece by piece. `from` asks for what follows after so
    /// many bytes of the file with that entity tag; whether the answer is that, its head says.
    pub(crate) async fn result(
        &self,
        job: JobId,
        token: Option<&str>,
        from: Option<(u64, &str)>,
    ) -> Result<Response, HubError> {
        let url = self.result_url(job);
        let mut request = self.moving.get(url.clone());
        if let Some((bytes, etag)) = from {
            request = request.header(RANGE, format!("bytes={bytes}-")).header(IF_RANGE, etag);
        }
        let sent = tokio::time::timeout(ANSWER_MAX, bearer(request, token).send()).await;
        let response = sent.map_err(|_| silent(ANSWER_MAX))?.map_err(unreachable)?;
        match response.status() {
            status if status.is_success() => Ok(response),
            // The store's refusal, not the hub's: the next question gets a new link.
            StatusCode::FORBIDDEN if *response.url() != url => {
                Err(HubError::Unreachable("the link to the result had expired".to_owned()))
            }
            _ => Err(refusal(response).await),
        }
    }

    /// Sends a scene and reads the offer; see [`Order`].
    pub(crate) async fn order(
        &self,
        order: &Order<'_>,
        wallet: &Wallet,
        sent: &Sent,
    ) -> Result<Offer, HubError> {
        upload::send(&self.moving, &self.url, order, wallet, sent).await
    }
}

/// The next piece of a body that may be long.
pub(crate) async fn next_piece(response: &mut Response) -> Result<Option<bytes::Bytes>, HubError> {
    tokio::time::timeout(STALL_MAX, response.chunk())
        .await
        .map_err(|_| silent(STALL_MAX))?
        .map_err(unreachable)
}

/// The signature as it was written, when it is one at all.
pub(crate) fn signature_text(text: Option<&str>) -> Option<String> {
    text.and_then(|text| text.parse::<TxSignature>().ok()).map(|signature| signature.to_string())
}

fn client(
    hub: &HubUrl,
    limits: impl Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
) -> Result<Client, reqwest::Error> {
    let https = hub.route(&[]).scheme() == "https";
    let builder = || {
        let builder = Client::builder()
            .user_agent(concat!("framefair/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_MAX)
            .redirect(reqwest::redirect::Policy::custom(move |attempt| {
                if attempt.previous().len() > REDIRECTS_MAX {
                    attempt.error("too many redirects")
                } else if https && attempt.url().scheme() != "https" {
                    attempt.error("a redirect leaves https")
                } else {
                    attempt.follow()
                }
            }));
        limits(if hub.is_loopback() { builder.no_proxy() } else { builder })
    };
    match builder().build() {
        // A machine without certificates can still speak plain http with a hub of its own.
        Err(_) if !https => builder().tls_certs_only([]).build(),
        built => built,
    }
}

fn bearer(request: RequestBuilder, token: Option<&str>) -> RequestBuilder {
    match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    }
}

async fn data<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, HubError> {
    let response = request.send().await.map_err(unreachable)?;
    if !response.status().is_success() {
        return Err(refusal(response).await);
    }
    let envelope: Envelope = from_json(&body(response).await?)?;
    match envelope.data {
        Some(data) if envelope.success => from_json(data.get().as_bytes()),
        _ => Err(HubError::Garbled("it says neither yes nor no".to_owned())),
    }
}

async fn refusal(response: Response) -> HubError {
    let status = response.status().as_u16();
    let retry_after_s =
        response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
    let said = match body(response).await {
        Ok(bytes) => serde_json::from_slice::<Envelope>(&bytes).ok(),
        Err(error) => return error,
    };
    let (error, code) = said.map_or((None, None), |said| (said.error.or(said.detail), said.code));
    let reason = || {
        StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()).unwrap_or("refused")
    };
    let error = error.map_or_else(|| reason().to_owned(), |error| plain(&error, 500));
    HubError::Refused { status, error, code: code.map(|code| plain(&code, 60)), retry_after_s }
}

async fn body(mut response: Response) -> Result<Vec<u8>, HubError> {
    let mut bytes = Vec::new();
    while let Some(piece) = next_piece(&mut response).await? {
        if bytes.len() + piece.len() > ANSWER_BYTES_MAX {
            return Err(HubError::Garbled(format!("it is longer than {ANSWER_BYTES_MAX} bytes")));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, HubError> {
    serde_json::from_slice(bytes).map_err(|error| HubError::Garbled(plain(&error.to_string(), 200)))
}

fn silent(limit: Duration) -> HubError {
    HubError::Unreachable(format!("nothing came for {} s", limit.as_secs()))
}

fn unreachable(error: reqwest::Error) -> HubError {
    HubError::Unreachable(why(&error))
}

/// The innermost cause: "connection refused" says more than "error sending request". Without the
/// address, which may hold a signed query.
fn why(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    plain(&cause.to_string(), 200)
}
