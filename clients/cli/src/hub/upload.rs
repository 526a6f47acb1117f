//! Orders a job: the scene goes with it, multipart in the contract's order, streamed from disk with
//! its length known; or, when it is large, before it. The file is never in memory as a whole.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use framefair_domain::id::ProviderId;
use framefair_domain::money::Lamports;
use framefair_domain::wallet::Wallet;
use futures::stream;
use reqwest::multipart::{Form, Part};
use reqwest::{Body, Client, Response, StatusCode};
use tokio::fs::File;
use tokio::io::AsyncReadExt;

use super::said::{Envelope, Payment};
use super::{HubError, body, from_json, parts, refusal, unreachable};
use crate::place::HubUrl;
use crate::settings::Settings;

const PIECE_BYTES: usize = 64 << 10;
/// How long no byte may leave before the line counts as dead. After the last byte the same time is
/// the hub's for its answer.
const STALL_MAX: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_secs(1);

/// What is asked of the hub.
#[derive(Debug)]
pub(crate) struct Order<'a> {
    pub(crate) scene: &'a Path,
    /// The name the hub is told.
    pub(crate) file_name: &'a str,
    pub(crate) bytes: u64,
    pub(crate) settings: &'a Settings,
    pub(crate) provider: Option<ProviderId>,
    pub(crate) max_price: Option<Lamports>,
    /// Only who has the offer's token shall see the job.
    pub(crate) private: bool,
    /// Makes a repeated order the same order.
    pub(crate) idempotency_key: &'a str,
}

/// Bytes that have left so far; shared with whoever shows them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent(Arc<AtomicU64>);

impl Sent {
    pub(super) fn set(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The hub's answer to an order.
pub(crate) type Offer = Payment;

pub(super) async fn send(
    client: &Client,
    hub: &HubUrl,
    order: &Order<'_>,
    wallet: &Wallet,
    sent: &Sent,
) -> Result<Offer, HubError> {
    let settings = serde_json::to_string(order.settings)
        .map_err(|error| HubError::Garbled(error.to_string()))?;
    sent.set(0);
    let uploaded = match order.bytes >= parts::FROM_BYTES {
        true => {
            let scene = parts::Sending {
                path: order.scene,
                name: order.file_name,
                bytes: order.bytes,
                purpose: "scene",
                idempotency_key: order.idempotency_key,
            };
            parts::upload(client, hub, &scene, sent).await?
        }
        false => None,
    };
    let mut request =
        client.post(hub.route(&["render"])).header("idempotency-key", order.idempotency_key);
    let mut form = match uploaded {
        Some(uploaded) => {
            request = request.header("x-upload-token", uploaded.token);
            Form::new().text("uploadId", uploaded.id)
        }
        None => Form::new().part("file", whole(order, sent).await?),
    };
    form = form.text("clientWallet", wallet.to_string());
    if let Some(provider) = order.provider {
        form = form.text("providerId", provider.to_string());
    }
    form = form.text("settings", settings);
    if order.private {
        form = form.text("private", "true");
    }
    if let Some(max) = order.max_price {
        form = form.text("maxPrice", max.to_sol());
    }
    let response = moving(request.multipart(form).send(), sent).await?;
    if response.status() != StatusCode::PAYMENT_REQUIRED {
        return Err(refusal(response).await);
    }
    let envelope: Envelope = from_json(&body(response).await?)?;
    let Some(payment) = envelope.payment else {
        return Err(HubError::Garbled("it asks for a payment and names none".to_owned()));
    };
    from_json(payment.get().as_bytes())
}

/// The scene as a part of the form.
async fn whole(order: &Order<'_>, sent: &Sent) -> Result<Part, HubError> {
    let file = File::open(order.scene).await.map_err(|error| {
        HubError::Unreachable(format!("the scene could not be opened: {error}"))
    })?;
    let part = Part::stream_with_length(pieces(file, order.bytes, sent.clone()), order.bytes);
    let part = part.file_name(order.file_name.to_owned());
    part.mime_str("application/octet-stream").map_err(unreachable)
}

/// The answer to a request whose body is `sent`, as long as the line is alive.
pub(super) async fn moving(
    request: impl Future<Output = reqwest::Result<Response>>,
    sent: &Sent,
) -> Result<Response, HubError> {
    tokio::select! {
        response = request => response.map_err(unreachable),
        () = stalled(sent) => {
            let s = STALL_MAX.as_secs();
            Err(HubError::Unreachable(format!("nothing moved for {s} s while the scene was sent")))
        }
    }
}

/// The file's next `bytes`, or an error: the length was promised to the hub.
pub(super) fn pieces(file: File, bytes: u64, sent: Sent) -> Body {
    let start = (file.take(bytes), bytes, sent);
    Body::wrap_stream(stream::try_unfold(start, |(mut file, left, sent)| async move {
        if left == 0 {
            return Ok(None);
        }
        let mut piece = vec![0; PIECE_BYTES];
        let read = file.read(&mut piece).await?;
        if read == 0 {
            return Err(std::io::Error::other("the scene became shorter while it was sent"));
        }
        piece.truncate(read);
        sent.0.fetch_add(read as u64, Ordering::Relaxed);
        Ok(Some((bytes::Bytes::from(piece), (file, left - read as u64, sent))))
    }))
}

/// Ends when nothing has left for [`STALL_MAX`].
async fn stalled(sent: &Sent) {
    let mut seen = sent.bytes();
    let mut quiet = Duration::ZERO;
    while quiet < STALL_MAX {
        tokio::time::sleep(LOOK).await;
        let now = sent.bytes();
        quiet = if now == seen { quiet + LOOK } else { Duration::ZERO };
        seen = now;
    }
}
