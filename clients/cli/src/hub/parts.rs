//! Sends a large file in parts, by links that the hub gives. A part that is there is not sent again,
//! by this try or by a later one: the order's own name finds its upload.

use std::io::{Read, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::AsyncSeekExt;

use super::upload::{Sent, moving, pieces};
use super::{HubError, data};
use crate::place::HubUrl;

/// Smaller scenes go with the order itself.
pub(super) const FROM_BYTES: u64 = 64 << 20;
/// Every part but the last, as the contract has it.
const PART_BYTES: u64 = 16 << 20;
/// How often the hub is asked for links while nothing gets through.
const TRIES_MAX: u32 = 6;
const PAUSE_FIRST: Duration = Duration::from_secs(1);

/// A file that is to be sent.
#[derive(Debug)]
pub(crate) struct Sending<'a> {
    pub(crate) path: &'a Path,
    /// The name the hub is told.
    pub(crate) name: &'a str,
    pub(crate) bytes: u64,
    /// `scene`, or `result` for what is none.
    pub(crate) purpose: &'static str,
    /// Makes a repeated upload the same upload.
    pub(crate) idempotency_key: &'a str,
}

/// A file that the hub has, and what entitles to it.
#[derive(Debug)]
pub(crate) struct Uploaded {
    pub(crate) id: String,
    pub(crate) token: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Begun {
    upload_id: String,
    upload_token: String,
    part_size: u64,
    #[serde(flatten)]
    links: Links,
}

#[derive(Debug, Deserialize)]
struct Links {
    parts: Vec<Link>,
    #[serde(default)]
    complete: bool,
}

#[derive(Debug, Deserialize)]
struct Link {
    number: u64,
    size: u64,
    url: String,
    headers: std::collections::BTreeMap<String, String>,
}

/// Sends what is not there yet. None where the hub knows no uploads, or has parts of its own size.
pub(super) async fn upload(
    client: &Client,
    hub: &HubUrl,
    file: &Sending<'_>,
    sent: &Sent,
) -> Result<Option<Uploaded>, HubError> {
    let declared = declared(file.path.to_owned(), file.bytes).await?;
    let body = json!({ "filename": file.name, "size": file.bytes, "purpose": file.purpose,
        "parts": declared });
    let key = format!("{}-{}", file.idempotency_key, file.purpose);
    let begin = client.post(hub.route(&["uploads"])).header("idempotency-key", key).json(&body);
    let begun: Begun = match data(begin).await {
        Err(HubError::Refused { status: 404 | 405, .. }) => return Ok(None),
        other => other?,
    };
    if begun.part_size != PART_BYTES {
        return Ok(None);
    }
    let ask = |what: &str| -> RequestBuilder {
        let url = hub.route(&["uploads", &begun.upload_id, what]);
        client.post(url).header("x-upload-token", &begun.upload_token)
    };
    let (mut links, mut tries) = (begun.links, 0);
    while !links.complete && !links.parts.is_empty() {
        let there = file.bytes.saturating_sub(links.parts.iter().map(|link| link.size).sum());
        sent.set(there);
        let Err(error) = put_all(client, file.path, &links.parts, sent).await else { break };
        tries += 1;
        if tries == TRIES_MAX || !error.may_pass() {
            return Err(error);
        }
        tokio::time::sleep(PAUSE_FIRST * 2_u32.pow(tries)).await;
        let before = links.parts.len();
        links = data(ask("parts").json(&json!({ "parts": declared }))).await?;
        if links.parts.len() < before {
            tries = 0;
        }
    }
    sent.set(file.bytes);
    data::<serde_json::Value>(ask("complete").json(&json!({ "parts": [] }))).await?;
    Ok(Some(Uploaded { id: begun.upload_id, token: begun.upload_token }))
}

async fn put_all(
    client: &Client,
    scene: &Path,
    links: &[Link],
    sent: &Sent,
) -> Result<(), HubError> {
    for link in links {
        put(client, scene, link, sent).await?;
    }
    Ok(())
}

async fn put(client: &Client, scene: &Path, link: &Link, sent: &Sent) -> Result<(), HubError> {
    let unreadable = |error: std::io::Error| {
        HubError::Unreachable(format!("the scene could not be read: {error}"))
    };
    let mut file = File::open(scene).await.map_err(unreadable)?;
    let at = link.number.saturating_sub(1) * PART_BYTES;
    file.seek(SeekFrom::Start(at)).await.map_err(unreadable)?;
    let mut put = client.put(&link.url);
    for (name, value) in &link.headers {
        if !name.eq_ignore_ascii_case("host") {
            put = put.header(name, value);
        }
    }
    let put = put.body(pieces(file, link.size, sent.clone())).send();
    let answer = moving(put, sent).await?;
    match answer.status() {
        status if status.is_success() => Ok(()),
        // A link that ran out is renewed by asking again, as is one whose store is in trouble.
        StatusCode::FORBIDDEN => Err(HubError::Unreachable("a link ran out".to_owned())),
        status => Err(HubError::Unreachable(format!("the store answered {}", status.as_u16()))),
    }
}

/// The hash of each part, as the hub is told. Reads the whole scene.
async fn declared(scene: PathBuf, bytes: u64) -> Result<Vec<serde_json::Value>, HubError> {
    let hashed = tokio::task::spawn_blocking(move || hashes(&scene, bytes)).await;
    let hashed = hashed.map_err(|error| HubError::Unreachable(error.to_string()))?;
    let hashed = hashed
        .map_err(|error| HubError::Unreachable(format!("the scene could not be read: {error}")))?;
    let each = hashed.into_iter().zip(1_u32..);
    Ok(each.map(|(sha256, number)| json!({ "number": number, "sha256": sha256 })).collect())
}

fn hashes(scene: &Path, bytes: u64) -> std::io::Result<Vec<String>> {
    let mut file = std::fs::File::open(scene)?;
    let mut hashes = Vec::new();
    for at in (0..bytes).step_by(usize::try_from(PART_BYTES).unwrap_or(usize::MAX)) {
        let mut hash = Sha256::new();
        let part = (bytes - at).min(PART_BYTES);
        if std::io::copy(&mut file.by_ref().take(part), &mut hash)? != part {
            return Err(std::io::Error::other("it became shorter"));
        }
        hashes.push(hex::encode(hash.finalize()));
    }
    Ok(hashes)
}
