//! glTF as text and as .glb: version, wholeness, and that nothing it needs lies outside the file. Knows no meshes.

use std::borrow::Cow;

use serde::Deserialize;

use crate::{Format, Head, Scene, SceneRefused, file_name::shown, mesh};

const GLB_HEADER: usize = 12;
const CHUNK_HEADER: usize = 8;

/// The members that decide whether the file can be rendered as it stands; all others are skipped unread.
#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    asset: Asset<'a>,
    #[serde(borrow, default)]
    buffers: Vec<Part<'a>>,
    #[serde(borrow, default)]
    images: Vec<Part<'a>>,
}

#[derive(Deserialize)]
struct Asset<'a> {
    #[serde(borrow)]
    version: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow)]
    uri: Option<Cow<'a, str>>,
}

pub(crate) fn gltf(head: Head<'_>) -> Result<Scene, SceneRefused> {
    let format = Format::Gltf;
    let not = || SceneRefused::NotWhatItsNameSays { format, found: mesh::sniff(head.bytes) };
    let text = head.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head.bytes).trim_ascii_start();
    let inside = text.strip_prefix(b"{").ok_or_else(not)?.trim_ascii_start();
    if !inside.starts_with(b"\"") || head.bytes.iter().any(|byte| mesh::is_binary(*byte)) {
        return Err(not());
    }
    if head.whole() {
        document(format, text)?;
    }
    Ok(Scene::mesh(format))
}

pub(crate) fn glb(head: Head<'_>) -> Result<Scene, SceneRefused> {
    let format = Format::Glb;
    let rest = head.bytes.strip_prefix(b"glTF").ok_or_else(|| {
        SceneRefused::NotWhatItsNameSays { format, found: mesh::sniff(head.bytes) }
    })?;
    let word = |at: usize| -> Option<u32> {
        Some(u32::from_le_bytes(rest.get(at..at + 4)?.try_into().ok()?))
    };
    let cut = |missing| SceneRefused::Truncated { format, missing };
    let (Some(version), Some(length)) = (word(0), word(4)) else {
        return Err(cut("its header is incomplete"));
    };
    if version != 2 {
        let found = format!("binary glTF {version}");
        return Err(SceneRefused::UnsupportedVersion {
            format,
            found,
            supported: "glTF 2 is read",
        });
    }
    if u64::from(length) > head.file_size {
        return Err(cut("bytes that its header announces"));
    }
    if u64::from(length) < head.file_size {
        return Err(SceneRefused::Damaged { format, what: "bytes follow after its announced end" });
    }
    let Some(chunk) = word(8) else { return Err(cut("its first chunk")) };
    let start = GLB_HEADER + CHUNK_HEADER;
    if rest.get(12..16).is_some_and(|kind| kind != b"JSON") {
        return Err(SceneRefused::Damaged { format, what: "its first chunk is not JSON" });
    }
    if start as u64 + u64::from(chunk) > head.file_size {
        return Err(cut("the end of its first chunk"));
    }
    let json = head.bytes.get(start..).unwrap_or_default();
    match usize::try_from(chunk).ok().and_then(|chunk| json.get(..chunk)) {
        Some(json) => document(format, json)?,
        // The chunk goes on beyond the head: its beginning must do.
        None if json.trim_ascii_start().starts_with(b"{") => {}
        None => return Err(SceneRefused::Damaged { format, what: "its first chunk is not JSON" }),
    }
    Ok(Scene::mesh(format))
}

fn document(format: Format, json: &[u8]) -> Result<(), SceneRefused> {
    let document: Document<'_> = serde_json::from_slice(json).map_err(|error| {
        if error.is_eof() {
            SceneRefused::Truncated { format, missing: "the end of its JSON" }
        } else {
            SceneRefused::Damaged { format, what: "its JSON is no glTF document" }
        }
    })?;
    let version = &document.asset.version;
    if !version.starts_with("2.") {
        let found = format!("glTF {}", shown(version));
        return Err(SceneRefused::UnsupportedVersion {
            format,
            found,
            supported: "glTF 2 is read",
        });
    }
    let outside = document
        .buffers
        .iter()
        .chain(&document.images)
        .filter_map(|part| part.uri.as_deref())
        .find(|uri| !uri.starts_with("data:"));
    match outside {
        Some(uri) => Err(SceneRefused::MissingParts { format, part: shown(uri) }),
        None => Ok(()),
    }
}
