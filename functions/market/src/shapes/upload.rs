//! Uploads: parts as they are declared, links as they are given, and an upload in the place of a
//! file.

use std::collections::BTreeMap;

use framefair_app::Refusal;
use framefair_app::uploads::{Links, PART_BYTES, PartWanted, Pass};
use framefair_domain::id::UploadId;
use framefair_domain::time::Timestamp;
use framefair_http::{Api, Caller, Form, Whole};
use serde::{Deserialize, Serialize};

/// No file has more parts than this.
const PARTS_MAX: usize = 1_000;

/// A part as a client declares it.
#[derive(Debug, Deserialize)]
pub(crate) struct Declared {
    number: Whole<u16>,
    sha256: String,
}

/// The body of a question for links.
#[derive(Debug, Deserialize)]
pub(crate) struct Parts {
    pub(crate) parts: Option<Vec<Declared>>,
}

/// An upload that goes on.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Upload {
    upload_id: UploadId,
    /// Only when it begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    upload_token: Option<String>,
    part_size: u64,
    parts: Vec<Link>,
    /// Numbers of the parts that are there.
    received: Vec<u16>,
    complete: bool,
    expires_at: Timestamp,
}

#[derive(Debug, Serialize)]
struct Link {
    number: u16,
    size: u64,
    url: String,
    /// To be sent exactly so.
    headers: BTreeMap<String, String>,
}

impl Upload {
    pub(crate) fn new(links: Links, upload_token: Option<String>) -> Upload {
        let parts = links.links.into_iter().map(|link| Link {
            number: link.number,
            size: link.bytes,
            url: link.put.url,
            headers: link.put.headers.into_iter().collect(),
        });
        Upload {
            upload_id: links.upload.id,
            upload_token,
            part_size: PART_BYTES,
            parts: parts.collect(),
            received: links.received.iter().map(|part| part.number).collect(),
            complete: links.upload.done.is_some(),
            expires_at: links.upload.expires,
        }
    }
}

/// The parts that a client declares, in the order of their numbers.
pub(crate) fn read_parts(declared: Vec<Declared>) -> Result<Vec<PartWanted>, Refusal> {
    if declared.len() > PARTS_MAX {
        return Err(Refusal::invalid("parts: no file has more than 1000"));
    }
    let each = declared
        .into_iter()
        .map(|part| Ok((part.number.0, read_sha256(&part.sha256, "parts.sha256")?)));
    each.map(|part| part.map(|(number, hash)| PartWanted { number, sha256: Some(hash) })).collect()
}

pub(crate) fn read_sha256(text: &str, member: &str) -> Result<[u8; 32], Refusal> {
    let plain = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let bytes = hex::decode(text).ok().filter(|_| plain).and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| Refusal::Invalid(format!("{member}: 64 hex digits, lower case")))
}

/// The upload that a form names in the place of its file, with the caller's right to it.
pub(crate) async fn uploaded(
    api: &Api,
    form: &Form,
    caller: &Caller,
    file_part: &str,
) -> Result<Option<(UploadId, Pass)>, Refusal> {
    let Some(id) = form.text("uploadId") else { return Ok(None) };
    if form.file.is_some() {
        return Err(Refusal::Invalid(format!("`{file_part}` and `uploadId`: send one of both")));
    }
    let id = id.trim().parse().map_err(|_| Refusal::NotFound)?;
    Ok(Some((id, caller.pass(api).await?)))
}
