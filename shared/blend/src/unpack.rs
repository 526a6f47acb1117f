//! Takes the compression off the front of a .blend and hands the plain bytes on. Knows zstd and gzip; refuses to
//! unpack more than a fixed prefix, whatever a file promises.

use std::io::{ErrorKind, Read};

use flate2::bufread::GzDecoder;
use zstd::stream::read::Decoder as ZstdDecoder;

use crate::{Compression, Format, Head, Scene, SceneRefused, blocks, mesh};

/// Enough for the frame range and the thumbnail, many times over.
const PREFIX_BYTES: usize = 2 << 20;
/// zstd's own largest window short of its ultra levels: 8 MiB. Blender's needs less than a tenth.
pub(crate) const WINDOW_LOG_MAX: u32 = 23;

pub(crate) fn blend(head: Head<'_>) -> Result<Scene, SceneRefused> {
    let plain = |bytes: &[u8], size, compression| {
        if !bytes.starts_with(b"BLENDER") {
            let found = mesh::sniff(bytes);
            return Err(SceneRefused::NotWhatItsNameSays { format: Format::Blend, found });
        }
        blocks::read(bytes, size, compression)
    };
    let compression = match head.bytes {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
        [0x1f, 0x8b, ..] => Compression::Gzip,
        _ => return plain(head.bytes, Some(head.file_size), Compression::None),
    };
    let refused = |why| SceneRefused::UnreadableCompression { compression, why };
    let (bytes, ended) = match compression {
        Compression::Zstd => {
            let mut decoder = ZstdDecoder::with_buffer(head.bytes)
                .map_err(|_| refused("no decoder could be made"))?;
            decoder
                .window_log_max(WINDOW_LOG_MAX)
                .map_err(|_| refused("its window could not be limited"))?;
            prefix(decoder, head, compression)?
        }
        // One member, as Blender wrote it: thousands of empty ones would cost seconds.
        _ => prefix(GzDecoder::new(head.bytes), head, compression)?,
    };
    if bytes.is_empty() {
        return Err(refused("nothing is inside"));
    }
    let size = ended.then_some(bytes.len() as u64);
    plain(&bytes, size, compression)
}

/// The first [`PREFIX_BYTES`], and whether the stream ended within them.
fn prefix(
    mut from: impl Read,
    head: Head<'_>,
    compression: Compression,
) -> Result<(Vec<u8>, bool), SceneRefused> {
    let mut bytes = Vec::new();
    let mut chunk = vec![0; 64 << 10];
    while bytes.len() < PREFIX_BYTES {
        match from.read(&mut chunk) {
            Ok(0) => return Ok((bytes, head.whole())),
            Ok(read) => bytes.extend_from_slice(&chunk[..read]),
            // Of a big file only the head is here, so its stream must end too soon.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof && !head.whole() => break,
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                let missing = "its compressed data stops in the middle";
                return Err(SceneRefused::Truncated { format: Format::Blend, missing });
            }
            Err(_) => {
                let why = "its data is damaged, or needs more memory than a Blender file ever does";
                return Err(SceneRefused::UnreadableCompression { compression, why });
            }
        }
    }
    bytes.truncate(PREFIX_BYTES);
    Ok((bytes, false))
}
