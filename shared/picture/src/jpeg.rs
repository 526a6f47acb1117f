//! JPEG, strictly. Knows nothing of what the picture is for, and cannot know whether a patch of one colour was meant: a
//! cut file whose end mark was put back decodes with its last rows grey.

use zune_jpeg::{
    JpegDecoder,
    errors::DecodeErrors,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

use crate::{Expect, Format, Frame, Limits, PictureRefused, frame::Pixels};

/// Renderers write one scan, or about ten for a progressive file; each costs a pass over the picture.
const SCANS_MAX: usize = 32;

pub(crate) fn decode(
    bytes: &[u8],
    expect: Expect,
    limits: &Limits,
) -> Result<Frame, PictureRefused> {
    // The end mark cannot occur within the scans: its first byte is always escaped there.
    if !bytes.ends_with(&[0xff, 0xd9]) {
        return Err(PictureRefused::Truncated { missing: "its end mark" });
    }
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(limits.width_max as usize)
        .set_max_height(limits.height_max as usize)
        .jpeg_set_max_scans(SCANS_MAX)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(refused)?;
    let (width, height) =
        decoder.dimensions().ok_or(PictureRefused::Corrupt { why: "it declares no size" })?;
    let (Ok(width), Ok(height)) = (u32::try_from(width), u32::try_from(height)) else {
        return Err(PictureRefused::Corrupt { why: "it declares an impossible size" });
    };
    expect.check(width, height, limits)?;
    let rgb = decoder.decode().map_err(refused)?;
    let pixels = width as usize * height as usize;
    if rgb.len() != pixels * 3 {
        return Err(PictureRefused::Corrupt { why: "it has too few pixels" });
    }
    let mut rgba = Vec::with_capacity(pixels * 4);
    for pixel in rgb.chunks_exact(3) {
        rgba.extend_from_slice(&[pixel[0], pixel[1], pixel[2], u8::MAX]);
    }
    Ok(Frame::new(width, height, Format::Jpeg, Pixels::U8(rgba)))
}

fn refused(error: DecodeErrors) -> PictureRefused {
    match error {
        DecodeErrors::ExhaustedData => PictureRefused::Truncated { missing: "pixels" },
        DecodeErrors::LargeDimensions(_) => {
            PictureRefused::Corrupt { why: "it declares a size over the limits" }
        }
        DecodeErrors::Unsupported(_) => PictureRefused::Unsupported { what: "a rare kind of JPEG" },
        _ => PictureRefused::Corrupt { why: "its pixels do not decode" },
    }
}
