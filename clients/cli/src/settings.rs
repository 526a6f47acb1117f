//! What a render is asked to be: frames, size, engine, samples, format; read from the command line,
//! written as the hub's settings. Knows no scene and no price.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Blender keeps frame numbers within these bounds.
const FRAME_MAX: i32 = 1_048_574;
/// The contract's bounds.
const FRAMES_MAX: i64 = 100_000;
const SIDE_MAX: u32 = 16_384;

/// First and last frame, both rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Frames {
    pub(crate) start: i32,
    pub(crate) end: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotFrames {
    #[error("frames are one number or two with a hyphen between, as in 5 or 1-8")]
    Form,
    #[error("the last frame lies before the first")]
    Reversed,
    #[error("a frame number lies outside of -1048574 to 1048574")]
    OutOfRange,
    #[error("a job has at most 100000 frames")]
    TooMany,
}

impl Frames {
    pub(crate) fn one(frame: i32) -> Frames {
        Frames { start: frame, end: frame }
    }

    pub(crate) fn count(self) -> u64 {
        u64::try_from(i64::from(self.end) - i64::from(self.start) + 1).unwrap_or(0)
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = i32> {
        self.start..=self.end
    }

    pub(crate) fn contains(self, frame: i32) -> bool {
        (self.start..=self.end).contains(&frame)
    }
}

impl FromStr for Frames {
    type Err = NotFrames;

    /// `5`, `1-8`, `-5`, `-5-3` or `-5--1`: the hyphen that divides is the first that is not a sign.
    fn from_str(text: &str) -> Result<Frames, NotFrames> {
        let divider = text.char_indices().skip(1).find(|(_, c)| *c == '-').map(|(at, _)| at);
        let (start, end) = match divider {
            Some(at) => (frame(&text[..at])?, frame(&text[at + 1..])?),
            None => (frame(text)?, frame(text)?),
        };
        if end < start {
            return Err(NotFrames::Reversed);
        }
        if i64::from(end) - i64::from(start) >= FRAMES_MAX {
            return Err(NotFrames::TooMany);
        }
        Ok(Frames { start, end })
    }
}

fn frame(text: &str) -> Result<i32, NotFrames> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(NotFrames::Form);
    }
    match text.parse::<i32>() {
        Ok(frame) if (-FRAME_MAX..=FRAME_MAX).contains(&frame) => Ok(frame),
        _ => Err(NotFrames::OutOfRange),
    }
}

impl fmt::Display for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.start == self.end {
            write!(f, "{}", self.start)
        } else {
            write!(f, "{}-{}", self.start, self.end)
        }
    }
}

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Size {
    pub(crate) width: u32,
    pub(crate) height: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotASize {
    #[error("a size is width x height in pixels, as in 1920x1080")]
    Form,
    #[error("each side has 1 to 16384 pixels")]
    OutOfRange,
}

impl FromStr for Size {
    type Err = NotASize;

    fn from_str(text: &str) -> Result<Size, NotASize> {
        let (width, height) = text.split_once(['x', 'X']).ok_or(NotASize::Form)?;
        Ok(Size { width: side(width)?, height: side(height)? })
    }
}

fn side(text: &str) -> Result<u32, NotASize> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(NotASize::Form);
    }
    match text.parse::<u32>() {
        Ok(side) if (1..=SIDE_MAX).contains(&side) => Ok(side),
        _ => Err(NotASize::OutOfRange),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Engine {
    Cycles,
    Eevee,
}

/// The picture's format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
pub(crate) enum Picture {
    #[default]
    #[value(name = "PNG")]
    #[serde(rename = "PNG")]
    Png,
    #[value(name = "JPEG")]
    #[serde(rename = "JPEG")]
    Jpeg,
    #[value(name = "EXR")]
    #[serde(rename = "EXR")]
    Exr,
}

impl Picture {
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Picture::Png => "png",
            Picture::Jpeg => "jpg",
            Picture::Exr => "exr",
        }
    }

    /// What every file of the format begins with.
    pub(crate) fn magic(self) -> &'static [u8] {
        match self {
            Picture::Png => b"\x89PNG\r\n\x1a\n",
            Picture::Jpeg => b"\xff\xd8\xff",
            Picture::Exr => b"\x76\x2f\x31\x01",
        }
    }
}

/// The hub's settings. What is absent here is the file's own choice, and for the size the hub's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Settings {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) resolution: Option<Size>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) frames: Option<Frames>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) engine: Option<Engine>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) samples: Option<u32>,
    #[serde(default)]
    pub(crate) output_format: Picture,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_one_number_or_two() {
        for (text, start, end) in [
            ("5", 5, 5),
            ("1-8", 1, 8),
            ("-5", -5, -5),
            ("-5-3", -5, 3),
            ("-5--1", -5, -1),
            ("007", 7, 7),
        ] {
            assert_eq!(text.parse(), Ok(Frames { start, end }), "{text}");
        }
        assert_eq!(Frames { start: -5, end: 3 }.count(), 9);
        assert_eq!(
            Frames { start: 1, end: 8 }.to_string().parse(),
            Ok(Frames { start: 1, end: 8 })
        );
    }

    #[test]
    fn what_is_not_a_frame_range_is_refused_with_its_reason() {
        for text in [
            "", "-", "a", "1-", "-", "--1", "1-b", "1..8", "1 - 8", "+1", "1-8-9", "1x2",
            "\u{0661}", "é-1",
        ] {
            assert_eq!(text.parse::<Frames>(), Err(NotFrames::Form), "{text}");
        }
        assert_eq!("8-1".parse::<Frames>(), Err(NotFrames::Reversed));
        assert_eq!("1-100001".parse::<Frames>(), Err(NotFrames::TooMany));
        assert!("1-100000".parse::<Frames>().is_ok());
        for text in ["1048575", "-1048575", "99999999999"] {
            assert_eq!(text.parse::<Frames>(), Err(NotFrames::OutOfRange), "{text}");
        }
    }

    #[test]
    fn a_size_has_two_sides_within_bounds() {
        assert_eq!("320x180".parse(), Ok(Size { width: 320, height: 180 }));
        assert_eq!("1X16384".parse(), Ok(Size { width: 1, height: 16_384 }));
        for text in ["", "x", "320", "320x", "x180", "320*180", "320x180x2", "-1x2", "+1x2", " 1x2"]
        {
            assert_eq!(text.parse::<Size>(), Err(NotASize::Form), "{text}");
        }
        for text in ["0x1", "1x0", "16385x1", "99999999999x1"] {
            assert_eq!(text.parse::<Size>(), Err(NotASize::OutOfRange), "{text}");
        }
    }

    #[test]
    fn settings_name_only_what_was_asked() {
        let bare = serde_json::to_string(&Settings::default()).unwrap();
        assert_eq!(bare, r#"{"outputFormat":"PNG"}"#);
        let full = Settings {
            resolution: Some(Size { width: 320, height: 180 }),
            frames: Some(Frames { start: 1, end: 8 }),
            engine: Some(Engine::Cycles),
            samples: Some(16),
            output_format: Picture::Exr,
        };
        let text = serde_json::to_string(&full).unwrap();
        assert_eq!(
            text,
            r#"{"resolution":{"width":320,"height":180},"frames":{"start":1,"end":8},"engine":"cycles","samples":16,"outputFormat":"EXR"}"#
        );
        assert_eq!(serde_json::from_str::<Settings>(&text).unwrap(), full);
    }
}
