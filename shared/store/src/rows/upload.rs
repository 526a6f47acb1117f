//! Files that are coming in, what lies here unpaid, and what a repeated request is answered.

use std::collections::BTreeMap;

use framefair_domain::id::{JobId, UploadId, UserId};
use framefair_domain::time::{MINUTE_MS, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Entity, Indexes, Key, keys};

/// What a file is for, which says where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UploadKind {
    Scene,
    Result,
    /// Whatever else, such as a creator's payload.
    Asset,
}

/// A file that is coming in, or that nobody has used yet. Written when it begins and when it is
/// complete; the sweeper removes it, with the file unless a job has taken that over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadRow {
    pub id: UploadId,
    pub kind: UploadKind,
    /// Reduced to harmless characters.
    pub name: String,
    /// As declared; what was reserved, where the length is not known beforehand.
    pub bytes: u64,
    /// The store's name for the parts.
    pub parts: String,
    /// Whose quota it fills.
    pub from: String,
    /// The account that it is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<UserId>,
    /// Of the whole file, as its client says, lower-case hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
    /// Its parts come without their hashes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub plain: bool,
    pub created: Timestamp,
    /// From then on it can be neither continued nor used.
    pub expires: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<UploadDone>,
    /// A job needs it until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadDone {
    /// SHA-256 over the hashes of the parts, lower-case hex.
    pub tree: String,
    /// Of the whole file, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// Links to parts, and requests that use the upload, end within this time after it expires.
const SWEPT_AFTER_MS: i64 = 70 * MINUTE_MS;

impl UploadRow {
    pub fn object(&self) -> String {
        match self.kind {
            UploadKind::Scene => keys::object::scene(JobId(self.id.0), &self.name),
            UploadKind::Result | UploadKind::Asset => keys::object::upload(self.id),
        }
    }

    /// What it is, once it is here as a whole; if that is what its client said that it would be.
    pub fn whole(&self) -> Option<&UploadDone> {
        let as_said = |done: &&UploadDone| match (&self.said, &done.sha256) {
            (Some(said), Some(sha256)) => said == sha256,
            _ => true,
        };
        self.done.as_ref().filter(as_said)
    }

    /// When what is left of it is removed.
    pub fn swept(&self) -> Timestamp {
        let unused = self.expires.plus_ms(SWEPT_AFTER_MS);
        self.kept.map_or(unused, |kept| kept.max(unused))
    }
}

impl Entity for UploadRow {
    fn key(&self) -> Key {
        keys::upload(self.id)
    }

    fn indexes(&self) -> Indexes {
        Indexes { due: Some(keys::upload_due(self.id, self.swept())), ..Indexes::default() }
    }
}

/// What an address or a wallet has lying here unpaid. By name, not as a sum: adding or removing
/// one twice changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaRow {
    pub account: String,
    pub rev: u64,
    pub live: BTreeMap<String, Live>,
}

/// One file, and the unix second after which it does not count any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    pub bytes: u64,
    pub until_s: i64,
}

impl Entity for QuotaRow {
    fn key(&self) -> Key {
        keys::quota(&self.account)
    }

    fn expires(&self) -> Option<i64> {
        self.live.values().map(|live| live.until_s).max()
    }
}

/// An idempotency key that was used: with which input, and for which job or upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdempotencyRow {
    #[serde(skip)]
    pub key: Option<Key>,
    /// SHA-256 over the input, lower-case hex.
    pub input: String,
    /// The number of what it made.
    pub made: String,
    /// Unix seconds after which it may be taken again.
    pub expires: i64,
}

impl Entity for IdempotencyRow {
    fn key(&self) -> Key {
        self.key.clone().unwrap_or_else(|| Key { pk: "IDEM".into(), sk: "CLAIM".into() })
    }

    fn expires(&self) -> Option<i64> {
        Some(self.expires)
    }
}
