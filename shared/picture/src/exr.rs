//! OpenEXR as renderers write it: one part, scan lines or plain tiles, RGB or RGBA. Its header is read here first, since
//! the decoder allocates by what it says; deep, multi-part and multi-level files are refused.

use std::io::Cursor;

use image::{DynamicImage, codecs::openexr::OpenExrDecoder};

use crate::{
    Expect, Format, Frame, Limits, PictureRefused,
    decode::{frame, refused},
};

const HEADER_BYTES_MAX: usize = 1 << 20;
const ATTRIBUTES_MAX: usize = 1024;
/// RGBA and a few more that Blender may add; a block is decoded with all of its channels.
const CHANNELS_MAX: usize = 8;
/// A tile is decoded whole.
const TILE_PIXELS_MAX: u64 = 1 << 20;
/// Numbers of the compressions that the decoder knows: none, RLE, ZIPS, ZIP, PIZ, PXR24, B44, B44A.
const COMPRESSION_MAX: u8 = 7;

pub(crate) fn decode(
    bytes: &[u8],
    expect: Expect,
    limits: &Limits,
) -> Result<Frame, PictureRefused> {
    let (width, height) = header(bytes)?;
    expect.check(width, height, limits)?;
    let decoder = OpenExrDecoder::new(Cursor::new(bytes)).map_err(refused)?;
    if image::ImageDecoder::dimensions(&decoder) != (width, height) {
        return Err(PictureRefused::Corrupt { why: "its header says two sizes" });
    }
    Ok(frame(DynamicImage::from_decoder(decoder).map_err(refused)?, Format::Exr))
}

/// The size, from a header that holds nothing surprising.
fn header(bytes: &[u8]) -> Result<(u32, u32), PictureRefused> {
    let cut = || PictureRefused::Truncated { missing: "the end of its header" };
    let wrong = || PictureRefused::Corrupt { why: "its header is wrong" };
    let mut rest = &bytes[..bytes.len().min(HEADER_BYTES_MAX)];
    let version = take(&mut rest, 8).ok_or_else(cut)?;
    // Version 2; of the flags those for tiles and long names may be set, those for depth and parts not.
    if version[4] != 2 || version[5] & !0x06 != 0 || version[6] != 0 || version[7] != 0 {
        return Err(PictureRefused::Unsupported {
            what: "an EXR with depth samples or several parts",
        });
    }
    let (mut data, mut display, mut has_channels, mut has_compression) = (None, None, false, false);
    for _ in 0..ATTRIBUTES_MAX {
        let name = text(&mut rest).ok_or_else(cut)?;
        if name.is_empty() {
            let (Some(data), Some(display), true, true) =
                (data, display, has_channels, has_compression)
            else {
                return Err(wrong());
            };
            // A border render would leave the rest of the picture empty.
            if data != display {
                return Err(PictureRefused::Unsupported {
                    what: "an EXR that fills only part of its picture",
                });
            }
            return size(data).ok_or_else(wrong);
        }
        let _kind = text(&mut rest).ok_or_else(cut)?;
        let len = take(&mut rest, 4).and_then(|word| word.try_into().ok()).map(i32::from_le_bytes);
        let len = usize::try_from(len.ok_or_else(cut)?).map_err(|_| wrong())?;
        let value = take(&mut rest, len).ok_or_else(cut)?;
        match name {
            b"dataWindow" => data = Some(window(value).ok_or_else(wrong)?),
            b"displayWindow" => display = Some(window(value).ok_or_else(wrong)?),
            b"channels" => {
                has_channels = true;
                if channels(value).ok_or_else(wrong)? > CHANNELS_MAX {
                    return Err(PictureRefused::Unsupported { what: "an EXR with many layers" });
                }
            }
            b"compression" => {
                has_compression = true;
                if value.first().is_none_or(|number| *number > COMPRESSION_MAX) {
                    return Err(PictureRefused::Unsupported {
                        what: "an EXR with DWA compression: use ZIP",
                    });
                }
            }
            b"tiles" => tiles(value).ok_or(PictureRefused::Unsupported {
                what: "an EXR with huge tiles or several levels",
            })?,
            _ => {}
        }
    }
    Err(wrong())
}

/// Corners of a window, both included: left, top, right, bottom.
fn window(value: &[u8]) -> Option<[i32; 4]> {
    let mut corners = [0; 4];
    if value.len() != 16 {
        return None;
    }
    for (corner, word) in corners.iter_mut().zip(value.chunks_exact(4)) {
        *corner = i32::from_le_bytes(word.try_into().ok()?);
    }
    Some(corners)
}

fn size([left, top, right, bottom]: [i32; 4]) -> Option<(u32, u32)> {
    let side = |from: i32, to: i32| u32::try_from(i64::from(to) - i64::from(from) + 1).ok();
    Some((side(left, right)?, side(top, bottom)?))
}

/// Width and height of a tile, and a byte that is zero where there is one level of resolution.
fn tiles(value: &[u8]) -> Option<()> {
    let side =
        |at: usize| Some(u64::from(u32::from_le_bytes(value.get(at..at + 4)?.try_into().ok()?)));
    (value.len() == 9
        && value[8] == 0
        && (1..=TILE_PIXELS_MAX).contains(&side(0)?.checked_mul(side(4)?)?))
    .then_some(())
}

/// How many channels are listed, each a name and 16 bytes whose last eight, the subsampling, must be 1 and 1.
fn channels(mut list: &[u8]) -> Option<usize> {
    let mut count = 0;
    loop {
        if text(&mut list)?.is_empty() {
            return Some(count);
        }
        let description = take(&mut list, 16)?;
        if description[8..] != [1, 0, 0, 0, 1, 0, 0, 0] {
            return None;
        }
        count += 1;
    }
}

fn take<'a>(from: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, rest) = from.split_at_checked(len)?;
    *from = rest;
    Some(taken)
}

/// A text up to its zero byte; names have at most 255 characters.
fn text<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = from.iter().take(256).position(|byte| *byte == 0)?;
    let (text, rest) = from.split_at(end);
    *from = &rest[1..];
    Some(text)
}
