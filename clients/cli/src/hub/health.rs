//! `GET /health`: whether a hub is there, which one, and what its clock says.

use jiff::fmt::rfc2822;
use reqwest::header::DATE;
use serde::Deserialize;

use super::{Hub, HubError, body, from_json, refusal, unreachable};
use crate::clock;
use crate::exit::plain;

/// A hub that answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Health {
    pub(crate) service: String,
    pub(crate) version: String,
    /// How far the hub's clock is ahead of ours, in milliseconds; to a second or so, for the header
    /// tells no more. None where it did not say.
    pub(crate) ahead_ms: Option<i64>,
}

#[derive(Deserialize)]
struct Said {
    status: String,
    #[serde(default)]
    service: String,
    #[serde(default)]
    version: String,
}

impl Hub {
    pub(crate) async fn health(&self) -> Result<Health, HubError> {
        let asked = clock::now();
        let response =
            self.asking.get(self.url.route(&["health"])).send().await.map_err(unreachable)?;
        let answered = clock::now();
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        let date = response.headers().get(DATE).and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| rfc2822::parse(date).ok()).map(|date| date.timestamp());
        // The header cuts its second off; in the middle of it the clocks are compared.
        let between = asked.0 + (answered.0 - asked.0) / 2;
        let ahead_ms = date.map(|date| date.as_millisecond() + 500 - between);
        let said: Said = from_json(&body(response).await?)?;
        if !matches!(said.status.as_str(), "healthy" | "ok") {
            return Err(HubError::Garbled(format!("it calls itself {}", plain(&said.status, 40))));
        }
        let (service, version) = (plain(&said.service, 40), plain(&said.version, 40));
        Ok(Health { service, version, ahead_ms })
    }
}
