//! The only way out to addresses that strangers chose, and beside it the way to our own API. Knows HTTP
//! and what must not be dialled; knows nothing of who is asked or why.
//!
//! - http and https, the ports and hosts that [`Reach`] allows, no credentials in the URL.
//! - A name is resolved once per request, every address of it must be allowed, and the connection
//!   goes to one of those very addresses: a name that answers differently the second time gains
//!   nothing. No connection outlives its request.
//! - No redirects, no proxy from the environment, no cookies, no decompression.
//! - A limit on connecting, on silence, on the whole exchange, and on the size of the answer.

mod exchange;
mod home;
mod lookup;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use framefair_domain::reach::Refused;
use futures::{Stream, TryStreamExt};
use reqwest::header::HeaderMap;
use reqwest::multipart::{Form, Part};
use reqwest::{Body, Client, Method, RequestBuilder, redirect};

pub use framefair_domain::reach::Reach;
pub use home::Home;
pub use lookup::{Lookup, SystemLookup};

use exchange::Progress;
use lookup::Vetted;

/// A name, a connection and its TLS must be there within this.
const CONNECT: Duration = Duration::from_secs(5);

/// How much of the other side's time and words one request takes.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Nothing moves in either direction for this long.
    pub idle: Duration,
    /// From the first step to the last byte of the answer.
    pub whole: Duration,
    pub answer_bytes_max: usize,
}

/// What came back, of any status but a redirect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Why there is no whole answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    /// Nothing was dialled.
    #[error("not dialled: {0}")]
    Refused(#[from] Refused),
    #[error("no connection: {0}")]
    Unreachable(String),
    #[error("cut off before everything was sent: {0}")]
    CutWhileSending(String),
    /// Everything was handed to the network, and what became of it is not known.
    #[error("no answer to what was sent: {0}")]
    NoAnswer(String),
    #[error("answered with {0}, a redirect, and those are not followed")]
    Redirect(u16),
    /// The status came, the body did not.
    #[error("answered with {status}, and the body is {why}")]
    Body { status: u16, why: String },
}

impl Failed {
    /// Whether the request may have taken effect on the other side although nothing says so.
    pub fn may_have_arrived(&self) -> bool {
        matches!(self, Failed::NoAnswer(_))
    }
}

/// The client could not be made: the system has no usable trust store.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client could not be made: {0}")]
pub struct NotReady(String);

/// A file to be sent in parts, read while it is sent.
pub struct Upload<S> {
    /// Name of the form part.
    pub part: &'static str,
    pub file_name: String,
    /// The stream must be exactly this long.
    pub bytes: u64,
    pub stream: S,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Outbound {
    client: Client,
    reach: Reach,
}

impl Outbound {
    pub fn new(reach: Reach) -> Result<Outbound, NotReady> {
        Outbound::with_lookup(reach, Arc::new(SystemLookup))
    }

    /// With another way to resolve names than the system's.
    pub fn with_lookup(reach: Reach, lookup: Arc<dyn Lookup>) -> Result<Outbound, NotReady> {
        // Once per process; whoever was first has installed the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .dns_resolver(Vetted { reach: reach.clone(), lookup })
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(CONNECT)
            // A kept connection would be one to an address that was vetted for another request.
            .pool_max_idle_per_host(0)
            .user_agent(concat!("framefair/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| NotReady(exchange::cause(&error)))?;
        Ok(Outbound { client, reach })
    }

    pub async fn get(&self, url: &str, bounds: Bounds) -> Result<Answer, Failed> {
        let request = self.request(Method::GET, url)?;
        exchange::exchange(request, bounds, Progress::of(0)).await
    }

    /// Sends `multipart/form-data`: the file first, then the texts in their order.
    pub async fn post_form<S>(
        &self,
        url: &str,
        upload: Upload<S>,
        texts: impl IntoIterator<Item = (&'static str, String)>,
        bounds: Bounds,
    ) -> Result<Answer, Failed>
    where
        S: Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    {
        let request = self.request(Method::POST, url)?;
        let progress = Progress::of(upload.bytes);
        let moving = progress.clone();
        let stream = upload.stream.inspect_ok(move |piece| moving.sent(piece.len()));
        let part = Part::stream_with_length(Body::wrap_stream(stream), upload.bytes)
            .file_name(upload.file_name)
            .mime_str("application/octet-stream")
            .map_err(|error| Failed::Unreachable(exchange::cause(&error)))?;
        let form = texts
            .into_iter()
            .fold(Form::new().part(upload.part, part), |form, text| form.text(text.0, text.1));
        exchange::exchange(request.multipart(form), bounds, progress).await
    }

    fn request(&self, method: Method, url: &str) -> Result<RequestBuilder, Failed> {
        // An address in the URL never passes the resolver, so it is looked at here.
        Ok(self.client.request(method, self.reach.url(url)?))
    }
}
