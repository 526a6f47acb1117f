//! Why a rendered picture is refused, in words a provider can act on. Knows no attempt, payment or face.

use crate::Format;

/// One variant per reason. Each message says what is wrong and why that counts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PictureRefused {
    #[error("the picture is empty: no bytes arrived")]
    Empty,
    #[error("the picture has {bytes} bytes, more than the {bytes_max} allowed")]
    TooManyBytes { bytes: u64, bytes_max: u64 },
    #[error("the picture is not {expected}: its first bytes are those of {found}")]
    WrongFormat { expected: Format, found: &'static str },
    #[error("a picture of {width}x{height} is over the limits for one picture")]
    TooLarge { width: u32, height: u32 },
    #[error("the picture is {width}x{height}, but {expected_width}x{expected_height} was ordered")]
    WrongSize { width: u32, height: u32, expected_width: u32, expected_height: u32 },
    #[error("the picture is cut short: {missing}")]
    Truncated { missing: &'static str },
    #[error("the picture is corrupt: {why}")]
    Corrupt { why: &'static str },
    #[error("the picture is of a kind that cannot be checked: {what}")]
    Unsupported { what: &'static str },
    #[error("the picture shows nothing: all its pixels have one colour")]
    Uniform,
    #[error("frame {frame} was not ordered")]
    UnexpectedFrame { frame: i32 },
    #[error("frame {frame} arrived twice")]
    DuplicateFrame { frame: i32 },
    #[error("{count} ordered frames are missing, the first is frame {first}")]
    MissingFrames { first: i32, count: usize },
    #[error("no frames were ordered, so none can be checked")]
    NothingExpected,
    #[error("frame {frame}: {reason}")]
    InFrame { frame: i32, reason: Box<PictureRefused> },
}

impl PictureRefused {
    /// The same refusal, with the frame it concerns.
    pub(crate) fn in_frame(self, frame: i32) -> Self {
        Self::InFrame { frame, reason: Box::new(self) }
    }
}
