//! What a scene file says about itself, read from its first bytes without Blender. Knows file formats; refuses to
//! know prices, providers, and what a scene looks like.
//!
//! Everything here is fed by strangers: every length is checked before it is used, decompression stops after a fixed
//! prefix, and no input may panic.

mod blocks;
mod file_name;
mod format;
mod gltf;
mod keyframes;
mod markup;
mod mesh;
mod refused;
mod unpack;

pub use blocks::Thumbnail;
pub use file_name::{FILE_NAME_MAX, safe_file_name};
pub use format::{BlenderVersion, Compression, Format, FrameRange, UnknownFormat};
pub use keyframes::has_keyframes;
pub use refused::SceneRefused;

/// How much of a file [`inspect`] needs: its first bytes, up to this many.
pub const HEAD_BYTES: usize = 1 << 20;

/// What a scene file says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scene {
    pub format: Format,
    /// The oldest Blender that is sure to read the file: the version that saved a `.blend`, or the first whose importer
    /// knows the dialect (ASCII `.fbx`). None where every Blender that reads the format at all will do.
    pub blender: Option<BlenderVersion>,
    pub compression: Compression,
    /// Start and end frame of the scene that was active when a `.blend` was saved; None for mesh formats.
    pub frames: Option<FrameRange>,
    pub scene_name: Option<String>,
    pub thumbnail: Option<Thumbnail>,
}

impl Scene {
    /// A file of a format that holds no frames, engine or thumbnail of its own.
    pub(crate) fn mesh(format: Format) -> Self {
        Self {
            format,
            blender: None,
            compression: Compression::None,
            frames: None,
            scene_name: None,
            thumbnail: None,
        }
    }
}

/// The first bytes of a file and what is known of the rest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) file_size: u64,
}

impl Head<'_> {
    /// Whether nothing of the file lies beyond `bytes`.
    pub(crate) fn whole(&self) -> bool {
        self.bytes.len() as u64 == self.file_size
    }
}

/// Reads what a file says about itself from its name, its first bytes and its size.
///
/// `head` is the first [`HEAD_BYTES`] of the file, or all of a smaller one. Where a smaller file is whole it is
/// checked to its end; of a bigger one only what `head` shows is vouched for. Costs at most a few MiB of memory,
/// whatever the file claims.
pub fn inspect(file_name: &str, head: &[u8], file_size: u64) -> Result<Scene, SceneRefused> {
    let format = Format::of_file_name(file_name)?;
    if file_size == 0 || head.is_empty() {
        return Err(SceneRefused::Empty);
    }
    let seen = head.len().min(HEAD_BYTES).min(usize::try_from(file_size).unwrap_or(usize::MAX));
    let head = Head { bytes: &head[..seen], file_size };
    match format {
        Format::Blend => unpack::blend(head),
        Format::Obj => mesh::obj(head),
        Format::Stl => mesh::stl(head),
        Format::Fbx => markup::fbx(head),
        Format::Dae => markup::dae(head),
        Format::Gltf => gltf::gltf(head),
        Format::Glb => gltf::glb(head),
    }
}
