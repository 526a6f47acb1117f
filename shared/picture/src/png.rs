//! PNG: its chunks checked to the last byte, then its pixels decoded. Knows nothing of what the picture is for.

use std::io::Cursor;

use flate2::Crc;
use image::{DynamicImage, codecs::png::PngDecoder};

use crate::{
    Expect, Format, Frame, Limits, PictureRefused,
    decode::{frame, refused},
};

const SIGNATURE_BYTES: usize = 8;
/// Blender writes about ten; each costs a decoder some memory.
const CHUNKS_MAX: usize = 1 << 20;

pub(crate) fn decode(
    bytes: &[u8],
    expect: Expect,
    limits: &Limits,
) -> Result<Frame, PictureRefused> {
    let (width, height) = chunks(bytes)?;
    expect.check(width, height, limits)?;
    let decoder = PngDecoder::with_limits(Cursor::new(bytes), limits.image()).map_err(refused)?;
    let bytes_per_pixel = u64::from(image::ImageDecoder::color_type(&decoder).bytes_per_pixel());
    let pixels = u64::from(width) * u64::from(height);
    if pixels.saturating_mul(bytes_per_pixel) > limits.decoded_bytes_max {
        return Err(PictureRefused::TooLarge { width, height });
    }
    Ok(frame(DynamicImage::from_decoder(decoder).map_err(refused)?, Format::Png))
}

/// Walks all chunks: the decoder stops at the last pixel, and would not miss what a cut took behind it.
fn chunks(bytes: &[u8]) -> Result<(u32, u32), PictureRefused> {
    let corrupt = |why| PictureRefused::Corrupt { why };
    let mut rest = bytes.get(SIGNATURE_BYTES..).unwrap_or_default();
    let (mut size, mut has_pixels) = (None, false);
    for _ in 0..CHUNKS_MAX {
        let cut = PictureRefused::Truncated { missing: "the end of a chunk" };
        let Some((head, after)) = rest.split_at_checked(8) else {
            return Err(if rest.is_empty() {
                PictureRefused::Truncated { missing: "its end chunk" }
            } else {
                cut
            });
        };
        let len = be32(head);
        if len > i32::MAX as u32 {
            return Err(corrupt("a chunk has an impossible length"));
        }
        let Some((data, after)) =
            usize::try_from(len).ok().and_then(|len| after.split_at_checked(len))
        else {
            return Err(cut);
        };
        let Some((sum, after)) = after.split_at_checked(4) else { return Err(cut) };
        let mut crc = Crc::new();
        crc.update(&head[4..]);
        crc.update(data);
        if crc.sum() != be32(sum) {
            return Err(corrupt("the checksum of a chunk is wrong"));
        }
        match (&head[4..8], size) {
            (b"IHDR", None) if data.len() == 13 => size = Some((be32(data), be32(&data[4..]))),
            (b"IHDR", _) | (_, None) => return Err(corrupt("its header is wrong")),
            (b"IDAT", _) => has_pixels = true,
            // What a viewer would play is not what is decoded and hashed here.
            (b"acTL", _) => return Err(PictureRefused::Unsupported { what: "an animated PNG" }),
            (b"IEND", Some(_)) if !has_pixels => return Err(corrupt("it has no pixels")),
            (b"IEND", Some(size)) => {
                return if after.is_empty() {
                    Ok(size)
                } else {
                    Err(corrupt("bytes follow after its end"))
                };
            }
            _ => {}
        }
        rest = after;
    }
    Err(corrupt("it has too many chunks"))
}

/// The first four bytes; callers have checked that they are there.
fn be32(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).fold(0, |number, byte| number << 8 | u32::from(*byte))
}
