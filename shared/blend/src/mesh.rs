//! Wavefront .obj and .stl, told from other files by a strict look at their first lines. Knows no geometry: whether
//! the faces make sense is Blender's to find out.

use crate::{Format, Head, Scene, SceneRefused};

/// Lines of an .obj that are looked at; files of millions are common, and a fake shows itself at once.
const LINES_LOOKED_AT: usize = 256;
const LINE_BYTES_MAX: usize = 4096;

/// Every statement of the Wavefront format that exporters write.
const OBJ_WORDS: &[&[u8]] = &[
    b"v",
    b"vt",
    b"vn",
    b"vp",
    b"f",
    b"l",
    b"p",
    b"o",
    b"g",
    b"s",
    b"mg",
    b"mtllib",
    b"usemtl",
    b"usemap",
    b"maplib",
    b"cstype",
    b"deg",
    b"bmat",
    b"step",
    b"curv",
    b"curv2",
    b"surf",
    b"parm",
    b"trim",
    b"hole",
    b"scrv",
    b"sp",
    b"end",
    b"con",
    b"bevel",
    b"c_interp",
    b"d_interp",
    b"lod",
    b"shadow_obj",
    b"trace_obj",
    b"ctech",
    b"stech",
    b"fo",
];

pub(crate) fn obj(head: Head<'_>) -> Result<Scene, SceneRefused> {
    let not = || SceneRefused::NotWhatItsNameSays { format: Format::Obj, found: sniff(head.bytes) };
    let (mut vertices, mut continued) = (0, false);
    let lines: Vec<&[u8]> =
        head.bytes.split(|byte| *byte == b'\n').take(LINES_LOOKED_AT + 1).collect();
    // The last piece may be cut by the end of the head: only a whole file's is a line.
    let checked = if head.whole() { lines.len() } else { lines.len().saturating_sub(1) };
    for line in &lines[..checked.min(LINES_LOOKED_AT)] {
        if line.len() > LINE_BYTES_MAX || line.iter().any(|byte| is_binary(*byte)) {
            return Err(not());
        }
        let was_continued =
            std::mem::replace(&mut continued, line.trim_ascii_end().ends_with(b"\\"));
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii();
        if was_continued || line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let statement = words.next().unwrap_or_default();
        if !OBJ_WORDS.contains(&statement) {
            return Err(not());
        }
        if statement == b"v" {
            if words.clone().count() < 3 || !words.take(3).all(is_number) {
                return Err(not());
            }
            vertices += 1;
        }
    }
    if checked == 0 || (checked <= LINES_LOOKED_AT && head.whole() && vertices == 0) {
        return Err(SceneRefused::NothingInside {
            format: Format::Obj,
            what: "no vertex is in it",
        });
    }
    Ok(Scene::mesh(Format::Obj))
}

/// Binary .stl is told by its exact size, since exporters put any text, even `solid`, into its first 80 bytes.
pub(crate) fn stl(head: Head<'_>) -> Result<Scene, SceneRefused> {
    let triangles = head
        .bytes
        .get(80..84)
        .and_then(|count| count.try_into().ok())
        .map(|count| u64::from(u32::from_le_bytes(count)));
    let size = triangles.map(|triangles| 84 + 50 * triangles);
    if size == Some(head.file_size) {
        return match triangles {
            Some(0) | None => Err(SceneRefused::NothingInside {
                format: Format::Stl,
                what: "no triangle is in it",
            }),
            Some(_) => Ok(Scene::mesh(Format::Stl)),
        };
    }
    if head.bytes.trim_ascii_start().starts_with(b"solid")
        && !head.bytes.iter().any(|b| is_binary(*b))
    {
        return ascii_stl(head);
    }
    match sniff(head.bytes) {
        // 80 bytes of anything and a count: a size that nearly fits is a cut file, others are no .stl.
        "unknown data"
            if size.is_some_and(|size| size > head.file_size && size < 4 * head.file_size) =>
        {
            Err(SceneRefused::Truncated { format: Format::Stl, missing: "triangles it announces" })
        }
        found => Err(SceneRefused::NotWhatItsNameSays { format: Format::Stl, found }),
    }
}

fn ascii_stl(head: Head<'_>) -> Result<Scene, SceneRefused> {
    let mut lines = head
        .bytes
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
        .skip(1);
    match lines.next() {
        Some(line) if line.starts_with(b"facet normal") => {}
        Some(line) if line.starts_with(b"endsolid") => {
            return Err(SceneRefused::NothingInside {
                format: Format::Stl,
                what: "no triangle is in it",
            });
        }
        Some(_) => {
            return Err(SceneRefused::NotWhatItsNameSays {
                format: Format::Stl,
                found: "some other text",
            });
        }
        None => {
            return Err(SceneRefused::Truncated { format: Format::Stl, missing: "its triangles" });
        }
    }
    let last = lines.last().unwrap_or_default();
    if head.whole() && !last.starts_with(b"endsolid") {
        return Err(SceneRefused::Truncated {
            format: Format::Stl,
            missing: "its last line, `endsolid`",
        });
    }
    Ok(Scene::mesh(Format::Stl))
}

fn is_number(word: &[u8]) -> bool {
    std::str::from_utf8(word).is_ok_and(|word| word.parse::<f64>().is_ok_and(f64::is_finite))
}

/// Control characters have no place in a text file; bytes of 0x80 and above are letters in some encoding.
pub(crate) fn is_binary(byte: u8) -> bool {
    byte == 0x7f || (byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c))
}

/// What bytes look like, for a message to someone who sent the wrong file.
pub(crate) fn sniff(bytes: &[u8]) -> &'static str {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    let known: &[(&[u8], &str)] = &[
        (b"BLENDER", "a Blender file"),
        (b"\x28\xb5\x2f\xfd", "zstd-compressed data"),
        (b"\x1f\x8b", "gzip-compressed data"),
        (b"glTF", "a binary glTF (.glb) file"),
        (b"Kaydara FBX Binary", "an FBX file"),
        (b"; FBX", "an FBX file"),
        (b"\x89PNG", "a PNG picture"),
        (b"\xff\xd8\xff", "a JPEG picture"),
        (b"\x76\x2f\x31\x01", "an OpenEXR picture"),
        (b"GIF8", "a GIF picture"),
        (b"PK\x03\x04", "a zip archive: unpack it first"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it first"),
        (b"Rar!", "a RAR archive: unpack it first"),
        (b"%PDF", "a PDF document"),
        (b"\x7fELF", "a program"),
        (b"MZ", "a program"),
    ];
    if let Some((_, name)) = known.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return name;
    }
    let start = &text[..text.len().min(256)];
    if start.starts_with(b"<") {
        let lower = start.to_ascii_lowercase();
        let has = |word: &[u8]| lower.windows(word.len()).any(|window| window == word);
        return if has(b"<collada") {
            "a COLLADA (.dae) file"
        } else if has(b"<html") || has(b"<!doctype html") {
            "a web page"
        } else {
            "some other XML"
        };
    }
    if start.starts_with(b"{") {
        return "JSON text";
    }
    if start.iter().any(|byte| is_binary(*byte)) { "unknown data" } else { "some other text" }
}
