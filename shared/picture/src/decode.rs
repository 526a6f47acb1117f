//! From the bytes of a file to a frame, with every limit checked before memory is taken. Knows which decoder reads
//! what; refuses to guess a format.

use std::panic::{AssertUnwindSafe, catch_unwind};

use image::{DynamicImage, ImageError, error::LimitErrorKind};

use crate::{Format, Frame, PictureRefused, exr, frame::Pixels, jpeg, png};

/// What one picture may cost. The defaults admit the largest size a job can order at 8 bits a sample up to 8K and
/// beyond, within 512 MiB of pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Of the file.
    pub bytes_max: u64,
    pub width_max: u32,
    pub height_max: u32,
    pub pixels_max: u64,
    /// Of the decoded samples, before they are brought to RGBA.
    pub decoded_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes_max: 256 << 20,
            width_max: 16_384,
            height_max: 16_384,
            pixels_max: 64 << 20,
            decoded_bytes_max: 512 << 20,
        }
    }
}

impl Limits {
    /// Whether a picture of this size can be verified at all; a job that orders a bigger one should be refused before
    /// it is paid.
    pub fn check_size(
        &self,
        format: Format,
        width: u32,
        height: u32,
    ) -> Result<(), PictureRefused> {
        let pixels = u64::from(width) * u64::from(height);
        let bytes_per_pixel = match format {
            Format::Png => 4,
            Format::Jpeg => 3,
            Format::Exr => 16,
        };
        if width == 0
            || height == 0
            || width > self.width_max
            || height > self.height_max
            || pixels > self.pixels_max
            || pixels.saturating_mul(bytes_per_pixel) > self.decoded_bytes_max
        {
            return Err(PictureRefused::TooLarge { width, height });
        }
        Ok(())
    }

    pub(crate) fn image(&self) -> image::Limits {
        let mut limits = image::Limits::default();
        limits.max_image_width = Some(self.width_max);
        limits.max_image_height = Some(self.height_max);
        limits.max_alloc = Some(self.decoded_bytes_max);
        limits
    }
}

/// What was ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expect {
    pub format: Format,
    pub width: u32,
    pub height: u32,
}

impl Expect {
    /// Called with the size that a header declares, before anything is allocated for it.
    pub(crate) fn check(
        &self,
        width: u32,
        height: u32,
        limits: &Limits,
    ) -> Result<(), PictureRefused> {
        limits.check_size(self.format, width, height)?;
        if (width, height) != (self.width, self.height) {
            return Err(PictureRefused::WrongSize {
                width,
                height,
                expected_width: self.width,
                expected_height: self.height,
            });
        }
        Ok(())
    }
}

/// Decodes a whole picture, or says why it is not the one that was ordered.
///
/// A file that is cut anywhere is refused, and so is one with bytes after its end. A uniform picture is not: see
/// [`Frame::uniform`], which [`crate::Verifier`] acts on.
pub fn decode(bytes: &[u8], expect: Expect, limits: &Limits) -> Result<Frame, PictureRefused> {
    if bytes.is_empty() {
        return Err(PictureRefused::Empty);
    }
    let size = bytes.len() as u64;
    if size > limits.bytes_max {
        return Err(PictureRefused::TooManyBytes { bytes: size, bytes_max: limits.bytes_max });
    }
    let found = sniff(bytes);
    if found != Some(expect.format) {
        let found = match found {
            Some(Format::Png) => "a PNG",
            Some(Format::Jpeg) => "a JPEG",
            Some(Format::Exr) => "an EXR",
            None => "no picture format that can be ordered",
        };
        return Err(PictureRefused::WrongFormat { expected: expect.format, found });
    }
    // The decoders are other people's, and a stranger chose the bytes: should one panic, that picture is refused
    // and the process lives on.
    let decoded = catch_unwind(AssertUnwindSafe(|| match expect.format {
        Format::Png => png::decode(bytes, expect, limits),
        Format::Jpeg => jpeg::decode(bytes, expect, limits),
        Format::Exr => exr::decode(bytes, expect, limits),
    }));
    decoded.unwrap_or(Err(PictureRefused::Corrupt { why: "its decoder gave up" }))
}

fn sniff(bytes: &[u8]) -> Option<Format> {
    match bytes {
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => Some(Format::Png),
        [0xff, 0xd8, 0xff, ..] => Some(Format::Jpeg),
        [0x76, 0x2f, 0x31, 0x01, ..] => Some(Format::Exr),
        _ => None,
    }
}

/// Brings any picture to RGBA at its own depth.
pub(crate) fn frame(image: DynamicImage, format: Format) -> Frame {
    use DynamicImage as D;
    let (width, height) = (image.width(), image.height());
    let pixels = match image {
        D::ImageLuma16(_) | D::ImageLumaA16(_) | D::ImageRgb16(_) | D::ImageRgba16(_) => {
            Pixels::U16(image.into_rgba16().into_raw())
        }
        D::ImageRgb32F(_) | D::ImageRgba32F(_) => Pixels::F32(image.into_rgba32f().into_raw()),
        _ => Pixels::U8(image.into_rgba8().into_raw()),
    };
    Frame::new(width, height, format, pixels)
}

pub(crate) fn refused(error: ImageError) -> PictureRefused {
    match error {
        ImageError::Limits(error) if matches!(error.kind(), LimitErrorKind::InsufficientMemory) => {
            PictureRefused::Corrupt { why: "it needs more memory than its size explains" }
        }
        ImageError::Limits(_) => PictureRefused::Corrupt { why: "it goes over a limit" },
        ImageError::Unsupported(_) => {
            PictureRefused::Unsupported { what: "its decoder does not know its layout" }
        }
        ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            PictureRefused::Truncated { missing: "pixels" }
        }
        _ => PictureRefused::Corrupt { why: "its pixels do not decode" },
    }
}
