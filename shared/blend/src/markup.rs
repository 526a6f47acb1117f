//! .fbx by its signature and .dae by its first elements. Knows no more of either: their trees are Blender's to read.

use crate::{BlenderVersion, Format, Head, Scene, SceneRefused, mesh};

const FBX_BINARY: &[u8] = b"Kaydara FBX Binary  \0\x1a\0";
/// Blender's importers refuse older binary files; newer ones than 7.7 are not known yet.
const FBX_VERSIONS: std::ops::Range<u32> = 7100..8000;
/// The first Blender whose importer reads FBX written as text.
const FBX_TEXT_SINCE: BlenderVersion = BlenderVersion { major: 4, minor: 5 };
/// Where the root element of a .dae must have shown itself: past a declaration and a comment or two.
const ROOT_WITHIN: usize = 16 << 10;

pub(crate) fn fbx(head: Head<'_>) -> Result<Scene, SceneRefused> {
    let format = Format::Fbx;
    if let Some(rest) = head.bytes.strip_prefix(FBX_BINARY) {
        let Some(version) =
            rest.get(..4).and_then(|word| word.try_into().ok()).map(u32::from_le_bytes)
        else {
            return Err(SceneRefused::Truncated { format, missing: "its header is incomplete" });
        };
        if !FBX_VERSIONS.contains(&version) {
            let supported = "binary FBX of 7.1 (2011) or newer is read";
            return Err(SceneRefused::UnsupportedVersion {
                format,
                found: format!("FBX {version}"),
                supported,
            });
        }
        if rest.len() <= 4 {
            return Err(SceneRefused::Truncated { format, missing: "its objects" });
        }
        return Ok(Scene::mesh(format));
    }
    let text = head.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head.bytes);
    if text.starts_with(b"; FBX") && !text.iter().any(|byte| mesh::is_binary(*byte)) {
        if head.whole() && !text.contains(&b'{') {
            return Err(SceneRefused::Truncated { format, missing: "its objects" });
        }
        return Ok(Scene { blender: Some(FBX_TEXT_SINCE), ..Scene::mesh(format) });
    }
    Err(SceneRefused::NotWhatItsNameSays { format, found: mesh::sniff(head.bytes) })
}

pub(crate) fn dae(head: Head<'_>) -> Result<Scene, SceneRefused> {
    let format = Format::Dae;
    let not = || SceneRefused::NotWhatItsNameSays { format, found: mesh::sniff(head.bytes) };
    let text = head.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head.bytes);
    if text.iter().take(ROOT_WITHIN).any(|byte| mesh::is_binary(*byte)) {
        return Err(not());
    }
    let root = root_element(&text[..text.len().min(ROOT_WITHIN)]).ok_or_else(not)?;
    let name_end =
        root.iter().position(|b| b.is_ascii_whitespace() || *b == b'>').unwrap_or(root.len());
    // A prefix (`c:COLLADA`) would be lawful XML, but Blender's importer and every exporter use none.
    if &root[..name_end] != b"COLLADA" {
        return Err(not());
    }
    let version = attribute(&root[name_end..], b"version").unwrap_or_default();
    if !matches!(version, b"1.4.0" | b"1.4.1" | b"1.5.0") {
        let found =
            format!("COLLADA {}", crate::file_name::shown(&String::from_utf8_lossy(version)));
        let supported = "COLLADA 1.4.0, 1.4.1 and 1.5.0 are read";
        return Err(SceneRefused::UnsupportedVersion { format, found, supported });
    }
    if head.whole() && !text.trim_ascii_end().ends_with(b"</COLLADA>") {
        return Err(SceneRefused::Truncated { format, missing: "its closing </COLLADA>" });
    }
    Ok(Scene::mesh(format))
}

/// The text after the `<` of the first element. None where there is none, or a document type stands before it: those
/// declare entities, which is how XML bombs are made, and no exporter writes one.
fn root_element(mut text: &[u8]) -> Option<&[u8]> {
    loop {
        text = text.trim_ascii_start();
        let skip_past: &[u8] = if text.starts_with(b"<?") {
            b"?>"
        } else if text.starts_with(b"<!--") {
            b"-->"
        } else {
            let root = text.strip_prefix(b"<")?;
            return root.first()?.is_ascii_alphabetic().then_some(root);
        };
        let end = text.windows(skip_past.len()).position(|window| window == skip_past)?;
        text = &text[end + skip_past.len()..];
    }
}

/// The value of an attribute within an element that `element` continues.
fn attribute<'a>(element: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let element =
        &element[..element.iter().position(|byte| *byte == b'>').unwrap_or(element.len())];
    let mut rest = element;
    while let Some(at) = rest.windows(name.len()).position(|window| window == name) {
        let starts = at > 0 && rest[at - 1].is_ascii_whitespace();
        let after = rest[at + name.len()..].trim_ascii_start();
        if let (true, Some(value)) = (starts, after.strip_prefix(b"=")) {
            let value = value.trim_ascii_start();
            let quote = *value.first().filter(|byte| matches!(byte, b'"' | b'\''))?;
            let value = &value[1..];
            return Some(&value[..value.iter().position(|byte| *byte == quote)?]);
        }
        rest = &rest[at + name.len()..];
    }
    None
}
