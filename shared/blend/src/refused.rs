//! Why a scene file is refused, in words its sender can act on. Knows no HTTP and no codes of any face.

use crate::{Compression, Format};

/// One variant per reason. Each message says what is wrong, why that matters, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SceneRefused {
    #[error(
        "the scene file is empty: no bytes arrived. Save the scene again and send the new file."
    )]
    Empty,

    #[error(
        "files named `{found}` are not rendered here: the name must end in .blend, .obj, .fbx, .gltf, .glb, .stl or \
         .dae. Save or export the scene in one of these formats."
    )]
    UnknownExtension { found: String },

    #[error(
        "the file's name ends in {format}, but its content is {found}. Send the scene itself, under the extension of \
         its format."
    )]
    NotWhatItsNameSays { format: Format, found: &'static str },

    #[error(
        "the {format} file is cut short: {missing}. It was damaged while it was saved or sent: check that it opens in \
         Blender, then send it again."
    )]
    Truncated { format: Format, missing: &'static str },

    #[error(
        "the {format} file is damaged: {what}. No Blender would read it: check that it opens, save it again, and send \
         the new file."
    )]
    Damaged { format: Format, what: &'static str },

    #[error(
        "the {format} file is of a version that cannot be read: {found}; {supported}. Save it again from a supported \
         version."
    )]
    UnsupportedVersion { format: Format, found: String, supported: &'static str },

    #[error(
        "the scene's frame range {start} to {end} cannot be rendered: the end must not lie before the start, and both \
         within ±1048574. Set Start and End in Blender's output properties and save again."
    )]
    BadFrameRange { start: i32, end: i32 },

    #[error(
        "the scene's {} compression cannot be read: {why}. Save it again from Blender, with or without its Compress \
         option.", compression_name(*.compression)
    )]
    UnreadableCompression { compression: Compression, why: &'static str },

    #[error(
        "the {format} file holds nothing to render: {what}. Open it in Blender, and save or export the scene itself."
    )]
    NothingInside { format: Format, what: &'static str },

    #[error(
        "the {format} file refers to another file, `{part}`, that was not sent: a scene must be one file. Export it with \
         everything embedded (.glb does so)."
    )]
    MissingParts { format: Format, part: String },
}

fn compression_name(compression: Compression) -> &'static str {
    match compression {
        Compression::None => "absent",
        Compression::Zstd => "zstd",
        Compression::Gzip => "gzip",
    }
}
