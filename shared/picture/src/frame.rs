//! A decoded frame: its pixels in one canonical layout, their hash, and whether they show anything. Knows no file format
//! beyond its name.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};

/// A picture format that can be ordered; in text the market's word for it: `PNG`, `JPEG`, `EXR`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    Png,
    Jpeg,
    Exr,
}

impl Format {
    pub const ALL: [Self; 3] = [Self::Png, Self::Jpeg, Self::Exr];

    /// The file extension without a dot, as Blender writes it.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Exr => "exr",
        }
    }

    pub fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Exr => "image/x-exr",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::Exr => "EXR",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A text that names no picture format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a picture format: expected PNG, JPEG or EXR")]
pub struct UnknownFormat;

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        Self::ALL.into_iter().find(|format| format.word() == text).ok_or(UnknownFormat)
    }
}

/// How a sample of a pixel is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Depth {
    U8,
    U16,
    F32,
}

impl Depth {
    pub fn bits(self) -> u8 {
        match self {
            Self::U8 => 8,
            Self::U16 => 16,
            Self::F32 => 32,
        }
    }
}

/// RGBA samples, first row on top; the alpha of a file without one is opaque.
pub(crate) enum Pixels {
    U8(Vec<u8>),
    U16(Vec<u16>),
    F32(Vec<f32>),
}

/// A picture that decoded in full and has the ordered format and size.
pub struct Frame {
    pub width: u32,
    pub height: u32,
    pub format: Format,
    pub depth: Depth,
    /// SHA-256 of the decoded pixels, so the same for any two files that show the same picture, whatever their metadata
    /// and compression.
    ///
    /// Hashed are the text `framefair-pixels-1` and a line feed, width and height as big-endian u32, the bits of a
    /// sample as one byte (8, 16, or 32 for floats), then all samples as RGBA, row by row from the top, big-endian.
    /// A file without alpha counts as opaque, a grey one as RGB. Hashes of JPEGs compare only between decoders that
    /// round alike: within one build of this crate.
    pub pixels_sha256: [u8; 32],
    /// Whether the picture shows nothing: one colour within one 8-bit level, or nothing but transparency.
    pub uniform: bool,
    pub(crate) pixels: Pixels,
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("width", &self.width)
            .field("height", &self.height)
            .field("format", &self.format)
            .field("depth", &self.depth)
            .field("pixels_sha256", &hex::encode(self.pixels_sha256))
            .field("uniform", &self.uniform)
            .finish_non_exhaustive()
    }
}

impl Frame {
    /// `pixels` must hold `width * height` RGBA quadruples.
    pub(crate) fn new(width: u32, height: u32, format: Format, pixels: Pixels) -> Self {
        let (depth, uniform) = match &pixels {
            Pixels::U8(samples) => (Depth::U8, is_uniform(samples, 1, 0)),
            Pixels::U16(samples) => (Depth::U16, is_uniform(samples, 257, 0)),
            Pixels::F32(samples) => (Depth::F32, is_uniform_float(samples)),
        };
        let pixels_sha256 = hash(width, height, depth, &pixels);
        Self { width, height, format, depth, pixels_sha256, uniform, pixels }
    }

    pub fn pixels_sha256_hex(&self) -> String {
        hex::encode(self.pixels_sha256)
    }

    /// One sample from 0 to 1; floats beyond that range are clamped, and what is no number counts as 0.
    pub(crate) fn sample(&self, index: usize) -> f64 {
        match &self.pixels {
            Pixels::U8(samples) => f64::from(samples[index]) / 255.0,
            Pixels::U16(samples) => f64::from(samples[index]) / 65535.0,
            Pixels::F32(samples) if samples[index].is_nan() => 0.0,
            Pixels::F32(samples) => f64::from(samples[index].clamp(0.0, 1.0)),
        }
    }
}

/// Every channel stays within one 8-bit level over the whole picture (dithering spreads one colour over two), or every
/// pixel is fully transparent, whatever colour it hides.
fn is_uniform<T: Copy + Ord + Into<u32>>(samples: &[T], spread_max: u32, transparent: u32) -> bool {
    let Some(first) = samples.first_chunk::<4>() else { return true };
    let (mut low, mut high) = (*first, *first);
    for pixel in samples.chunks_exact(4) {
        for channel in 0..4 {
            low[channel] = low[channel].min(pixel[channel]);
            high[channel] = high[channel].max(pixel[channel]);
        }
    }
    high[3].into() == transparent
        || (0..4).all(|channel| high[channel].into() - low[channel].into() <= spread_max)
}

/// Scene-linear floats have no smallest visible step, so only equal pixels count as one colour.
fn is_uniform_float(samples: &[f32]) -> bool {
    let Some(first) = samples.first_chunk::<4>() else { return true };
    let same = |pixel: &[f32]| pixel.iter().zip(first).all(|(a, b)| a.to_bits() == b.to_bits());
    let mut pixels = samples.chunks_exact(4);
    pixels.clone().all(same)
        || pixels.clone().all(|pixel| pixel[3] <= 0.0 && pixel[..3].iter().all(|v| *v <= 0.0))
        || pixels.all(|pixel| pixel[..3].iter().all(|value| value.is_nan()))
}

fn hash(width: u32, height: u32, depth: Depth, pixels: &Pixels) -> [u8; 32] {
    let mut sha = Sha256::new();
    sha.update(b"framefair-pixels-1\n");
    sha.update(width.to_be_bytes());
    sha.update(height.to_be_bytes());
    sha.update([depth.bits()]);
    // Converted a piece at a time: a copy of all pixels would double the memory of a frame.
    let mut piece = Vec::with_capacity(64 << 10);
    match pixels {
        Pixels::U8(samples) => sha.update(samples),
        Pixels::U16(samples) => {
            for samples in samples.chunks(32 << 10) {
                piece.clear();
                samples.iter().for_each(|sample| piece.extend_from_slice(&sample.to_be_bytes()));
                sha.update(&piece);
            }
        }
        Pixels::F32(samples) => {
            for samples in samples.chunks(16 << 10) {
                piece.clear();
                samples.iter().for_each(|sample| piece.extend_from_slice(&sample.to_be_bytes()));
                sha.update(&piece);
            }
        }
    }
    sha.finalize().into()
}
