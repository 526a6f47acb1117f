//! The way to our own API: an address that we chose ourselves, so no guard stands before it and its
//! connections are kept. Knows HTTP; nothing of what is asked.

use bytes::Bytes;
use reqwest::header::{HOST, HeaderMap};
use reqwest::{Client, Method, Url, redirect};

use crate::exchange::{self, Progress};
use crate::{Answer, Bounds, CONNECT, Failed, NotReady};

/// An origin of ours. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Home {
    client: Client,
    origin: Url,
}

impl Home {
    /// `origin`: scheme, host, and a path before every path if it has one.
    pub fn new(origin: &str) -> Result<Home, NotReady> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let parsed = Url::parse(origin).ok();
        let parsed = parsed.filter(|url| matches!(url.scheme(), "http" | "https"));
        let origin =
            parsed.ok_or_else(|| NotReady(format!("{origin:?} is no http or https URL")))?;
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(CONNECT)
            .build()
            .map_err(|error| NotReady(exchange::cause(&error)))?;
        Ok(Home { client, origin })
    }

    /// Asks for `path`, which begins with a slash and may have a query.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        mut headers: HeaderMap,
        body: Bytes,
        bounds: Bounds,
    ) -> Result<Answer, Failed> {
        headers.remove(HOST);
        let url = format!("{}{path}", self.origin.as_str().trim_end_matches('/'));
        let request = self.client.request(method, url).headers(headers).body(body);
        exchange::exchange(request, bounds, Progress::of(0)).await
    }
}
