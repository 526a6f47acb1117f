//! The routes of a creator's account: login, credits, the ledger.

use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Hub, HubError, body, from_json, refusal, unreachable};

/// Tokens of a session, as the hub gives them.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Tokens {
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Balance {
    pub(crate) balance: String,
    #[serde(default)]
    pub(crate) available: Option<String>,
    #[serde(default)]
    pub(crate) held: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct History {
    pub(crate) entries: Vec<Entry>,
    pub(crate) count: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Entry {
    #[serde(default)]
    pub(crate) entry_id: Option<i64>,
    pub(crate) amount: String,
    pub(crate) direction: String,
    pub(crate) source: String,
    pub(crate) reference_id: String,
    pub(crate) balance_after: String,
    pub(crate) created_at: String,
}

/// The way from an entry to an anchored root.
#[derive(Debug, Deserialize)]
pub(crate) struct Proof {
    pub(crate) entry_id: i64,
    pub(crate) merkle_root: String,
    pub(crate) proof_hashes: Vec<String>,
    pub(crate) directions: Vec<String>,
    pub(crate) anchor_tx_hash: String,
    pub(crate) leaf: String,
}

impl Hub {
    pub(crate) async fn register(
        &self,
        email: &str,
        name: Option<&str>,
        password: &str,
    ) -> Result<Tokens, HubError> {
        let mut wish = json!({ "email": email, "password": password });
        if let Some(name) = name {
            wish["name"] = name.into();
        }
        self.creator(Method::POST, &["auth", "register"], None, Some(&wish)).await
    }

    pub(crate) async fn login(&self, email: &str, password: &str) -> Result<Tokens, HubError> {
        let wish = json!({ "email": email, "password": password });
        self.creator(Method::POST, &["auth", "login"], None, Some(&wish)).await
    }

    pub(crate) async fn refresh(&self, refresh_token: &str) -> Result<Tokens, HubError> {
        let wish = json!({ "refresh_token": refresh_token });
        self.creator(Method::POST, &["auth", "refresh"], None, Some(&wish)).await
    }

    /// A question of somebody who is logged in.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        pieces: &[&str],
        access: &str,
    ) -> Result<T, HubError> {
        self.creator(Method::GET, pieces, Some(access), None).await
    }

    async fn creator<T: DeserializeOwned>(
        &self,
        method: Method,
        pieces: &[&str],
        access: Option<&str>,
        wish: Option<&Value>,
    ) -> Result<T, HubError> {
        let url = self.url.route(&[&["api", "v1"], pieces].concat());
        let mut request = super::bearer(self.asking.request(method, url), access);
        if let Some(wish) = wish {
            request = request.json(wish);
        }
        let response = request.send().await.map_err(unreachable)?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        from_json(&body(response).await?)
    }
}
