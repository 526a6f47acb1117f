//! Whether anything in a .blend is animated: a walk over the heads of all its blocks, from end to end, in constant
//! memory. Knows where actions lie; refuses to know what they move.

use std::io::{self, BufReader, Read};

use flate2::read::GzDecoder;
use zstd::stream::read::Decoder as ZstdDecoder;

use crate::blocks;
use crate::unpack::WINDOW_LOG_MAX;

/// A file that unpacks to more than this is not walked to its end.
const UNPACKED_MAX: u64 = 8 << 30;
/// The longest of all headers.
const HEADER_BYTES: usize = 17;

/// Whether a `.blend` holds keyframes. None where its end was not reached: it is another format, damaged or too big.
pub fn has_keyframes(mut file: impl Read) -> Option<bool> {
    let mut magic = [0; 4];
    file.read_exact(&mut magic).ok()?;
    let whole = BufReader::with_capacity(64 << 10, magic.as_slice().chain(file));
    match magic {
        [0x28, 0xb5, 0x2f, 0xfd] => {
            let mut plain = ZstdDecoder::with_buffer(whole).ok()?;
            plain.window_log_max(WINDOW_LOG_MAX).ok()?;
            walk(plain)
        }
        [0x1f, 0x8b, ..] => walk(GzDecoder::new(whole)),
        _ => walk(whole),
    }
}

fn walk(plain: impl Read) -> Option<bool> {
    let mut plain = plain.take(UNPACKED_MAX);
    let mut start = [0; HEADER_BYTES];
    plain.read_exact(&mut start).ok()?;
    let (_, layout, header_len) =
        start.starts_with(b"BLENDER").then(|| blocks::header(&start).ok())??;
    let mut rest = start[header_len..].chain(plain);
    let mut head = vec![0; layout.head_len()];
    loop {
        // The end mark may be shorter than a head.
        rest.read_exact(&mut head[..4]).ok()?;
        match &head[..4] {
            b"ENDB" => return Some(false),
            b"AC\0\0" | b"\0\0AC" => return Some(true),
            _ => {}
        }
        rest.read_exact(&mut head[4..]).ok()?;
        let len = layout.block_len(&head)?;
        if io::copy(&mut rest.by_ref().take(len), &mut io::sink()).ok()? != len {
            return None;
        }
    }
}
