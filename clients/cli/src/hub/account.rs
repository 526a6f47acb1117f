//! The routes of a creator's account: login, credits, the ledger.

use framefair_domain::wallet::Wallet;
use reqwest::{Method, Url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::parts::{self, Sending, Uploaded};
use super::upload::Sent;
use super::{ANSWER_MAX, Hub, HubError, body, from_json, refusal, silent, unreachable};

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

#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Entry {
    #[serde(default)]
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) entry_id: Option<i64>,
    pub(crate) amount: String,
    pub(crate) direction: String,
    pub(crate) source: String,
    pub(crate) reference_id: String,
    pub(crate) balance_after: String,
    pub(crate) created_at: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Dispatched {
    pub(crate) job_id: String,
    pub(crate) node_id: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Job {
    pub(crate) node_id: Option<String>,
    pub(crate) status: String,
    pub(crate) error_message: Option<String>,
}

/// What the hub's nodes can take.
#[derive(Debug, Deserialize)]
pub(crate) struct Fleet {
    pub(crate) job_types: Vec<Capacity>,
    /// No number is larger: where there are more, it says so many.
    pub(crate) counted_up_to: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Capacity {
    pub(crate) job_type: String,
    /// Credits for one job.
    pub(crate) price: String,
    pub(crate) nodes: u64,
    pub(crate) free: u64,
    pub(crate) gpu_nodes: u64,
    pub(crate) gpu_free: u64,
    pub(crate) waiting: u64,
}

/// Where a result is for a while.
#[derive(Debug, Deserialize)]
pub(crate) struct Link {
    pub(crate) download_url: String,
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

/// A page of the anchors, newest first.
#[derive(Debug, Deserialize)]
pub(crate) struct Anchors {
    pub(crate) anchors: Vec<Listed>,
    pub(crate) count: u64,
    /// Who signs them, as the hub says.
    #[serde(default)]
    pub(crate) authority: Option<Wallet>,
}

/// What the hub says of an anchor.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Listed {
    pub(crate) batch: u64,
    pub(crate) merkle_root: String,
    pub(crate) previous_root: String,
    pub(crate) tx_hash: String,
    pub(crate) block_number: u64,
    pub(crate) entry_count: u64,
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
        self.creator(Method::POST, self.at(&["auth", "register"]), None, Some(&wish)).await
    }

    pub(crate) async fn login(&self, email: &str, password: &str) -> Result<Tokens, HubError> {
        let wish = json!({ "email": email, "password": password });
        self.creator(Method::POST, self.at(&["auth", "login"]), None, Some(&wish)).await
    }

    pub(crate) async fn refresh(&self, refresh_token: &str) -> Result<Tokens, HubError> {
        let wish = json!({ "refresh_token": refresh_token });
        self.creator(Method::POST, self.at(&["auth", "refresh"]), None, Some(&wish)).await
    }

    /// A question of somebody who is logged in.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        pieces: &[&str],
        query: &[(&str, u64)],
        access: &str,
    ) -> Result<T, HubError> {
        let mut url = self.at(pieces);
        for (name, value) in query {
            url.query_pairs_mut().append_pair(name, &value.to_string());
        }
        self.creator(Method::GET, url, Some(access), None).await
    }

    /// Sends a file, which is the hub's then under a number of its own.
    pub(crate) async fn upload(
        &self,
        file: &Sending<'_>,
        sent: &Sent,
    ) -> Result<Uploaded, HubError> {
        let uploaded = parts::upload(&self.moving, &self.url, file, sent).await?;
        uploaded.ok_or_else(|| HubError::Garbled("this hub takes no uploads".to_owned()))
    }

    /// A wish of somebody who is logged in, under a name by which it is done once; `upload` is the token of
    /// the upload that it speaks of.
    pub(crate) async fn tell<T: DeserializeOwned>(
        &self,
        pieces: &[&str],
        wish: &Value,
        name: &str,
        upload: Option<&str>,
        access: &str,
    ) -> Result<T, HubError> {
        let request = super::bearer(self.asking.post(self.at(pieces)), Some(access));
        let mut request = request.header("idempotency-key", name).json(wish);
        if let Some(token) = upload {
            request = request.header("x-upload-token", token);
        }
        let response = request.send().await.map_err(unreachable)?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        from_json(&body(response).await?)
    }

    /// What lies behind a link that needs no token.
    pub(crate) async fn fetch(&self, link: &str) -> Result<reqwest::Response, HubError> {
        let asked = tokio::time::timeout(ANSWER_MAX, self.moving.get(link).send());
        let response = asked.await.map_err(|_| silent(ANSWER_MAX))?.map_err(unreachable)?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        Ok(response)
    }

    fn at(&self, pieces: &[&str]) -> Url {
        self.url.route(&[&["api", "v1"], pieces].concat())
    }

    async fn creator<T: DeserializeOwned>(
        &self,
        method: Method,
        url: Url,
        access: Option<&str>,
        wish: Option<&Value>,
    ) -> Result<T, HubError> {
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
