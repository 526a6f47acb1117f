//! Paints small pictures and packs them in each format. Knows nothing of the code under test.

#![allow(dead_code, reason = "each test file uses its own part of this one")]
#![allow(clippy::unwrap_used, reason = "only tests call this")]

use std::io::Cursor;

use framefair_picture::{Expect, Format};
use image::{DynamicImage, ImageBuffer, ImageFormat, Rgb, Rgba};

pub(crate) const PNG: Expect = Expect { format: Format::Png, width: 24, height: 16 };
pub(crate) const JPEG: Expect = Expect { format: Format::Jpeg, ..PNG };
pub(crate) const EXR: Expect = Expect { format: Format::Exr, ..PNG };

/// A picture in which no two pixels are alike; `seed` makes another one.
pub(crate) fn rgba8(width: u32, height: u32, seed: u8) -> DynamicImage {
    let paint = |x: u32, y: u32| Rgba([(x * 9) as u8, (y * 13) as u8, seed, 255 - (x + y) as u8]);
    DynamicImage::ImageRgba8(ImageBuffer::from_fn(width, height, paint))
}

pub(crate) fn rgb8(width: u32, height: u32) -> DynamicImage {
    let paint = |x: u32, y: u32| Rgb([(x * 9) as u8, (y * 13) as u8, 77]);
    DynamicImage::ImageRgb8(ImageBuffer::from_fn(width, height, paint))
}

pub(crate) fn rgba16(width: u32, height: u32) -> DynamicImage {
    let paint = |x: u32, y: u32| Rgba([(x * 2000) as u16, (y * 3000) as u16, 999, 65535]);
    DynamicImage::ImageRgba16(ImageBuffer::from_fn(width, height, paint))
}

pub(crate) fn rgba_float(width: u32, height: u32) -> DynamicImage {
    let paint = |x: u32, y: u32| Rgba([x as f32 * 0.3, y as f32 / 7.0, -0.25, 1.0]);
    DynamicImage::ImageRgba32F(ImageBuffer::from_fn(width, height, paint))
}

pub(crate) fn flat(width: u32, height: u32, colour: [u8; 4]) -> DynamicImage {
    DynamicImage::ImageRgba8(ImageBuffer::from_pixel(width, height, Rgba(colour)))
}

pub(crate) fn pack(picture: &DynamicImage, format: Format) -> Vec<u8> {
    let format = match format {
        Format::Png => ImageFormat::Png,
        Format::Jpeg => ImageFormat::Jpeg,
        Format::Exr => ImageFormat::OpenExr,
    };
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

pub(crate) fn png(picture: &DynamicImage) -> Vec<u8> {
    pack(picture, Format::Png)
}

pub(crate) fn png_chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(kind);
    crc.update(data);
    [&(data.len() as u32).to_be_bytes(), kind.as_slice(), data, &crc.sum().to_be_bytes()].concat()
}

/// A PNG of 8-bit RGBA by hand: it may declare any size over any pixel data.
pub(crate) fn png_of(width: u32, height: u32, pixels: &[u8]) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 6, 0, 0, 0]].concat();
    [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        png_chunk(b"IHDR", &header),
        png_chunk(b"IDAT", pixels),
        png_chunk(b"IEND", b""),
    ]
    .concat()
}

/// What a picture decodes to, or the panic that a test deserves.
pub(crate) fn decoded(picture: &DynamicImage) -> framefair_picture::Frame {
    let expect = Expect { format: Format::Png, width: picture.width(), height: picture.height() };
    framefair_picture::decode(&png(picture), expect, &Default::default()).unwrap()
}
