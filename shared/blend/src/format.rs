//! The scene formats, versions and frame ranges as values and as text. Knows no bytes of any file.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::SceneRefused;

/// A scene format the market knows, in text always its file extension with the dot: `.blend`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    Blend,
    Obj,
    Fbx,
    Gltf,
    Glb,
    Stl,
    Dae,
}

impl Format {
    pub const ALL: [Self; 7] =
        [Self::Blend, Self::Obj, Self::Fbx, Self::Gltf, Self::Glb, Self::Stl, Self::Dae];

    /// The file extension with its dot, in lower case.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Blend => ".blend",
            Self::Obj => ".obj",
            Self::Fbx => ".fbx",
            Self::Gltf => ".gltf",
            Self::Glb => ".glb",
            Self::Stl => ".stl",
            Self::Dae => ".dae",
        }
    }

    /// The format a file name claims; upper and lower case are the same.
    pub fn of_file_name(file_name: &str) -> Result<Self, SceneRefused> {
        let last = file_name.rsplit(['/', '\\']).next().unwrap_or(file_name);
        let extension = last.rfind('.').map_or("", |dot| &last[dot..]);
        extension.parse().map_err(|_| SceneRefused::UnknownExtension {
            found: crate::file_name::shown(extension),
        })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.extension())
    }
}

/// A text that names no scene format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a scene format: expected one of .blend .obj .fbx .gltf .glb .stl .dae")]
pub struct UnknownFormat;

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        Self::ALL
            .into_iter()
            .find(|format| format.extension().eq_ignore_ascii_case(text))
            .ok_or(UnknownFormat)
    }
}

impl Serialize for Format {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.extension())
    }
}

impl<'de> Deserialize<'de> for Format {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

/// A Blender release line. Patch releases share a file format, so they are not told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BlenderVersion {
    pub major: u16,
    pub minor: u16,
}

impl BlenderVersion {
    /// From the number in a file header: 279 is 2.79, 304 is 3.4, 500 is 5.0.
    pub(crate) fn of_number(number: u16) -> Self {
        Self { major: number / 100, minor: number % 100 }
    }
}

impl fmt::Display for BlenderVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A text that is no Blender version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a Blender version: expected digits and dots as in 3.4 or 4.5.1")]
pub struct UnknownVersion;

impl FromStr for BlenderVersion {
    type Err = UnknownVersion;

    /// `3.4` or `3.4.1`; the patch level is dropped.
    fn from_str(text: &str) -> Result<Self, UnknownVersion> {
        let number = |part: Option<&str>| {
            part.filter(|part| (1..=3).contains(&part.len()))
                .filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
                .and_then(|part| part.parse().ok())
                .ok_or(UnknownVersion)
        };
        let mut parts = text.split('.');
        let version = Self { major: number(parts.next())?, minor: number(parts.next())? };
        match (parts.next(), parts.next()) {
            (None, _) => Ok(version),
            (patch, None) => number(patch).map(|_| version),
            _ => Err(UnknownVersion),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    None,
    Zstd,
    Gzip,
}

/// First and last frame of a scene, both included; `end >= start` always holds for one that [`crate::inspect`] gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FrameRange {
    pub start: i32,
    pub end: i32,
}

impl FrameRange {
    /// How many frames the range holds; 0 if it is reversed.
    pub fn count(self) -> u64 {
        u64::try_from(i64::from(self.end) - i64::from(self.start) + 1).unwrap_or(0)
    }
}
