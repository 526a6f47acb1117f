//! The header and blocks of an uncompressed .blend: version, frame range, scene name, thumbnail. Knows nothing of
//! compression, and nothing of what the blocks after those hold.
//!
//! Source: a file is a header, then blocks, each with a head of code, length, old address, struct index and count.
//! The header has 12 bytes (`BLENDER-v304`) and since 5.0 17 (`BLENDER17-01v0500`); a block head has 20, 24 or 32.

use crate::{BlenderVersion, Compression, Format, FrameRange, Scene, SceneRefused};

const FORMAT: Format = Format::Blend;
/// Blender keeps frames within these bounds, so that a frame number fits a float exactly.
const FRAME_MAX: i32 = 1_048_574;
/// Before 5.0 a scene's name has up to 63 bytes, since then up to 255.
const SCENE_NAME_MAX: usize = 255;
/// Two frame numbers and the name field; it has grown twice and may again.
const REND_BYTES_MAX: u64 = 4096;
const THUMBNAIL_SIDE_MAX: u32 = 512;
/// Files older than this carry no frame range at a known place.
const RANGE_SINCE: BlenderVersion = BlenderVersion { major: 2, minor: 50 };

/// The small picture that Blender saves with a file: RGBA, 8 bits each, first row on top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thumbnail {
    pub width: u32,
    pub height: u32,
    pub rgba: Vec<u8>,
}

/// How the words of a file are stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    heads: Heads,
    big_endian: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heads {
    Pointers32,
    Pointers64,
    Large,
}

impl Heads {
    fn bytes(self) -> usize {
        match self {
            Self::Pointers32 => 20,
            Self::Pointers64 => 24,
            Self::Large => 32,
        }
    }
}

impl Layout {
    pub(crate) fn head_len(self) -> usize {
        self.heads.bytes()
    }

    fn i32_at(self, bytes: &[u8], at: usize) -> Option<i32> {
        let word: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if self.big_endian { i32::from_be_bytes(word) } else { i32::from_le_bytes(word) })
    }

    /// The length field of a block head; negative ones are damage.
    pub(crate) fn block_len(self, head: &[u8]) -> Option<u64> {
        match self.heads {
            Heads::Pointers32 | Heads::Pointers64 => u64::try_from(self.i32_at(head, 4)?).ok(),
            // Always little-endian: 5.0, which brought large heads, dropped big-endian files.
            Heads::Large => {
                u64::try_from(i64::from_le_bytes(head.get(16..24)?.try_into().ok()?)).ok()
            }
        }
    }
}

/// Reads `bytes`, the first of a file that has `size` bytes; `size` is None where the rest is compressed and unseen.
pub(crate) fn read(
    bytes: &[u8],
    size: Option<u64>,
    compression: Compression,
) -> Result<Scene, SceneRefused> {
    let (version, layout, header_len) = header(bytes)?;
    let mut scene = Scene { blender: Some(version), compression, ..Scene::mesh(FORMAT) };
    let whole = size == Some(bytes.len() as u64);
    let cut = |missing| {
        if whole { Err(SceneRefused::Truncated { format: FORMAT, missing }) } else { Ok(()) }
    };

    let mut at = header_len;
    let mut saw_structures = false;
    let mut in_preamble = true;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        if rest.starts_with(b"ENDB") {
            require_scene(&scene, version)?;
            return if saw_structures {
                Ok(scene)
            } else {
                Err(damaged("its structure table is missing"))
            };
        }
        if rest.len() < layout.head_len() {
            cut("its end mark is missing")?;
            break;
        }
        let (head, body) = rest.split_at(layout.head_len());
        if !is_code(&head[..4]) {
            return Err(damaged("a block has no valid name"));
        }
        let len = layout.block_len(head).ok_or_else(|| damaged("a block has a negative length"))?;
        let end = (at as u64).saturating_add(head.len() as u64).saturating_add(len);
        if size.is_some_and(|size| end > size) {
            return Err(SceneRefused::Truncated {
                format: FORMAT,
                missing: "a block reaches past its end",
            });
        }
        let body = usize::try_from(len).ok().and_then(|len| body.get(..len));
        match &head[..4] {
            b"REND" if in_preamble && scene.frames.is_none() => {
                if !(8..=REND_BYTES_MAX).contains(&len) {
                    return Err(damaged("its frame range block has an impossible length"));
                }
                let Some(body) = body else { break };
                let (frames, name) = rend(layout, body)?;
                (scene.frames, scene.scene_name) = (Some(frames), name);
            }
            b"REND" => {}
            b"TEST" if in_preamble => {
                scene.thumbnail = body.and_then(|body| thumbnail(layout, body))
            }
            code => {
                if in_preamble {
                    require_scene(&scene, version)?;
                }
                in_preamble = false;
                saw_structures |= code == b"DNA1";
            }
        }
        match usize::try_from(end) {
            Ok(end) if end <= bytes.len() => at = end,
            _ => break,
        }
    }
    if in_preamble && scene.frames.is_none() {
        return Err(SceneRefused::Truncated {
            format: FORMAT,
            missing: "its frame range is missing",
        });
    }
    Ok(scene)
}

/// A file of a library only, written without a scene, has no frame range; neither have the oldest files.
fn require_scene(scene: &Scene, version: BlenderVersion) -> Result<(), SceneRefused> {
    if scene.frames.is_none() && version >= RANGE_SINCE {
        let what = "it has no active scene, as a library of assets has none";
        return Err(SceneRefused::NothingInside { format: FORMAT, what });
    }
    Ok(())
}

pub(crate) fn header(bytes: &[u8]) -> Result<(BlenderVersion, Layout, usize), SceneRefused> {
    let short = || SceneRefused::Truncated { format: FORMAT, missing: "its header is incomplete" };
    let old = bytes.get(..12).ok_or_else(short)?;
    if !old[7].is_ascii_digit() {
        let heads = match old[7] {
            b'_' => Heads::Pointers32,
            b'-' => Heads::Pointers64,
            _ => return Err(damaged("its header names no pointer size")),
        };
        let big_endian = match old[8] {
            b'v' => false,
            b'V' => true,
            _ => return Err(damaged("its header names no byte order")),
        };
        return Ok((version(&old[9..12])?, Layout { heads, big_endian }, 12));
    }
    let new = bytes.get(..17).ok_or_else(short)?;
    if &new[7..13] != b"17-01v" {
        return Err(unsupported(format!(
            "header layout {}",
            crate::file_name::shown(&String::from_utf8_lossy(&new[7..13]))
        )));
    }
    Ok((version(&new[13..17])?, Layout { heads: Heads::Large, big_endian: false }, 17))
}

fn version(digits: &[u8]) -> Result<BlenderVersion, SceneRefused> {
    let number = digits
        .iter()
        .try_fold(0_u16, |number, digit| {
            digit.is_ascii_digit().then(|| number * 10 + u16::from(digit - b'0'))
        })
        .ok_or_else(|| damaged("its header names no version"))?;
    let version = BlenderVersion::of_number(number);
    if !(2..=9).contains(&version.major) {
        Err(unsupported(format!("Blender {version}")))
    } else {
        Ok(version)
    }
}

/// Codes are two or four letters; the short ones are padded with zeros, before them in big-endian files.
fn is_code(code: &[u8]) -> bool {
    code.iter().any(|byte| *byte != 0)
        && code.iter().all(|byte| *byte == 0 || byte.is_ascii_alphanumeric() || *byte == b'_')
}

fn rend(layout: Layout, body: &[u8]) -> Result<(FrameRange, Option<String>), SceneRefused> {
    let (Some(start), Some(end)) = (layout.i32_at(body, 0), layout.i32_at(body, 4)) else {
        return Err(damaged("its frame range block has an impossible length"));
    };
    if end < start || start < -FRAME_MAX || end > FRAME_MAX {
        return Err(SceneRefused::BadFrameRange { start, end });
    }
    let name = body.get(8..).unwrap_or_default();
    let name =
        &name[..name.iter().position(|byte| *byte == 0).unwrap_or(name.len()).min(SCENE_NAME_MAX)];
    let name: String = String::from_utf8_lossy(name).chars().filter(|c| !c.is_control()).collect();
    Ok((FrameRange { start, end }, (!name.is_empty()).then_some(name)))
}

/// None for a thumbnail whose numbers do not agree: the scene is no worse for it.
fn thumbnail(layout: Layout, body: &[u8]) -> Option<Thumbnail> {
    let side = |at| {
        let side = u32::try_from(layout.i32_at(body, at)?).ok()?;
        (1..=THUMBNAIL_SIDE_MAX).contains(&side).then_some(side)
    };
    let (width, height) = (side(0)?, side(4)?);
    let (row, rows) = (width as usize * 4, height as usize);
    let pixels = body.get(8..)?;
    if pixels.len() != row * rows {
        return None;
    }
    // Blender's rows run from the bottom up.
    let rgba = pixels.chunks_exact(row).rev().flatten().copied().collect();
    Some(Thumbnail { width, height, rgba })
}

fn damaged(what: &'static str) -> SceneRefused {
    SceneRefused::Damaged { format: FORMAT, what }
}

fn unsupported(found: String) -> SceneRefused {
    SceneRefused::UnsupportedVersion {
        format: FORMAT,
        found,
        supported: "known are Blender 2.0 to 9.99 with headers of 12 bytes, or 17 bytes of format 01",
    }
}
