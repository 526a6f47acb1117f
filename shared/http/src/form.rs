//! Multipart forms with one file, all of it in memory: what is larger than one request may carry
//! comes in by the ingest, which puts the number of an upload in the place of the file. Parts may
//! come in any order.

use std::collections::BTreeMap;

use axum::extract::Multipart;
use axum::extract::multipart::Field;
use bytes::Bytes;
use framefair_app::Refusal;

/// A text part is at most this long, and there are at most this many.
pub const TEXT_BYTES_MAX: usize = 64 << 10;
pub const TEXTS_MAX: usize = 32;

#[derive(Debug, Default)]
pub struct Form {
    pub file: Option<FormFile>,
    texts: BTreeMap<String, String>,
}

/// The file part.
#[derive(Debug)]
pub struct FormFile {
    /// The client's name for it; hostile.
    pub name: String,
    pub bytes: Bytes,
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

/// Reads a form whose file is in the part `file_part`.
pub async fn read_form(mut parts: Multipart, file_part: &str) -> Result<Form, Refusal> {
    let mut form = Form::default();
    while let Some(part) = parts.next_field().await.map_err(malformed)? {
        let name = part.name().unwrap_or_default().to_owned();
        if name == file_part {
            let file_name = part.file_name().unwrap_or_default().to_owned();
            let bytes = part.bytes().await.map_err(malformed)?;
            if form.file.replace(FormFile { name: file_name, bytes }).is_some() {
                return Err(twice(&name));
            }
            continue;
        }
        let text = text(part, &name).await?;
        if form.texts.len() >= TEXTS_MAX {
            return Err(Refusal::invalid("the form has too many parts"));
        }
        if form.texts.insert(name.clone(), text).is_some() {
            return Err(twice(&name));
        }
    }
    Ok(form)
}

async fn text(part: Field<'_>, name: &str) -> Result<String, Refusal> {
    let bytes = part.bytes().await.map_err(malformed)?;
    if bytes.len() > TEXT_BYTES_MAX {
        return Err(Refusal::Invalid(format!("the part `{name:.50}` is over 64 KiB")));
    }
    String::from_utf8(bytes.into())
        .map_err(|_| Refusal::Invalid(format!("the part `{name:.50}` is not UTF-8 text")))
}

fn malformed<E>(_: E) -> Refusal {
    Refusal::invalid("the multipart body is cut short or malformed")
}

fn twice(name: &str) -> Refusal {
    Refusal::Invalid(format!("there is more than one part `{name:.50}`"))
}
