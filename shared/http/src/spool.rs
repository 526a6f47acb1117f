//! Multipart forms with one file: the file goes to disk while it is hashed, the other parts stay in
//! memory under a limit. Parts may come in any order.

use std::collections::BTreeMap;

use axum::extract::Multipart;
use framefair_app::{Broken, Refusal};
use sha2::{Digest, Sha256};
use tempfile::TempPath;
use tokio::io::AsyncWriteExt;

/// What a form may hold.
#[derive(Clone, Copy, Debug)]
pub struct FormLimits {
    pub file_part: &'static str,
    pub file_bytes_max: u64,
    /// How much of the file's beginning is kept in memory.
    pub head_bytes: usize,
}

/// A text part is at most this long, and there are at most this many.
const TEXT_BYTES_MAX: usize = 64 << 10;
const TEXTS_MAX: usize = 32;

#[derive(Debug, Default)]
pub struct Form {
    pub file: Option<Spooled>,
    texts: BTreeMap<String, String>,
}

/// The file part. It leaves the disk when this is dropped.
#[derive(Debug)]
pub struct Spooled {
    pub path: TempPath,
    pub name: String,
    pub bytes: u64,
    /// Lower-case hex.
    pub sha256: String,
    pub head: Vec<u8>,
}

impl Form {
    pub fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str)
    }

    /// A part that must be there.
    pub fn need(&self, name: &str) -> Result<&str, Refusal> {
        self.text(name).ok_or_else(|| Refusal::Invalid(format!("the part `{name}` is missing")))
    }
}

pub async fn read_form(mut parts: Multipart, limits: FormLimits) -> Result<Form, Refusal> {
    let malformed = |_| Refusal::invalid("the multipart body is cut short or malformed");
    let mut form = Form::default();
    while let Some(mut part) = parts.next_field().await.map_err(malformed)? {
        let name = part.name().unwrap_or_default().to_owned();
        if name == limits.file_part {
            if form.file.is_some() {
                return Err(Refusal::Invalid(format!("there is more than one part `{name}`")));
            }
            form.file = Some(spool(part, limits).await?);
            continue;
        }
        let mut text = Vec::new();
        while let Some(chunk) = part.chunk().await.map_err(malformed)? {
            text.extend_from_slice(&chunk);
            if text.len() > TEXT_BYTES_MAX {
                return Err(Refusal::Invalid(format!("the part `{name:.50}` is over 64 KiB")));
            }
        }
        let text = String::from_utf8(text)
            .map_err(|_| Refusal::Invalid(format!("the part `{name:.50}` is not UTF-8 text")))?;
        if form.texts.len() >= TEXTS_MAX {
            return Err(Refusal::invalid("the form has too many parts"));
        }
        if form.texts.insert(name.clone(), text).is_some() {
            return Err(Refusal::Invalid(format!("there is more than one part `{name:.50}`")));
        }
    }
    Ok(form)
}

async fn spool(
    mut part: axum::extract::multipart::Field<'_>,
    limits: FormLimits,
) -> Result<Spooled, Refusal> {
    let disk = |error: std::io::Error| Refusal::Broken(Broken(format!("spooling a file: {error}")));
    let (file, path) = tempfile::NamedTempFile::new().map_err(disk)?.into_parts();
    let mut file = tokio::fs::File::from_std(file);
    let name = part.file_name().unwrap_or_default().to_owned();
    let (mut hash, mut bytes, mut head) = (Sha256::new(), 0_u64, Vec::new());
    while let Some(chunk) =
        part.chunk().await.map_err(|_| Refusal::invalid("the file was cut off before its end"))?
    {
        bytes += chunk.len() as u64;
        if bytes > limits.file_bytes_max {
            let max = limits.file_bytes_max >> 20;
            return Err(Refusal::Invalid(format!("the file is larger than {max} MiB")));
        }
        let room = limits.head_bytes - head.len();
        head.extend_from_slice(&chunk[..chunk.len().min(room)]);
        hash.update(&chunk);
        file.write_all(&chunk).await.map_err(disk)?;
    }
    file.flush().await.map_err(disk)?;
    Ok(Spooled { path, name, bytes, sha256: hex::encode(hash.finalize()), head })
}
