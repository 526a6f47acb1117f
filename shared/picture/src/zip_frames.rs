//! Frames as files: their names, and a zip of them that is the same bytes for the same frames. Knows no storage.

use std::io::{self, Write};

use zip::{
    CompressionMethod, DateTime, ZipWriter,
    write::{SimpleFileOptions, StreamWriter},
};

use crate::Format;

/// The longest part of a name before the frame number.
const STEM_MAX: usize = 100;

/// `NAME_0001.png`, with at least four digits; frame -3 is `NAME_-0003.png`.
///
/// Of `name` only what is safe in a file name is kept.
pub fn frame_file_name(name: &str, frame: i32, format: Format) -> String {
    let safe =
        |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' };
    let stem: String =
        name.chars().map(safe).skip_while(|c| matches!(c, '.' | '-')).take(STEM_MAX).collect();
    let stem = if stem.is_empty() { "frame" } else { &stem };
    let sign = if frame < 0 { "-" } else { "" };
    format!("{stem}_{sign}{:04}.{}", frame.unsigned_abs(), format.extension())
}

/// The frame number at the end of a file name: 12 for `shot_0012.png`, `0012.png` and `shot0012.exr`.
///
/// A hyphen is a sign only at the start or after an underscore, so `shot-0012.png` is frame 12.
pub fn frame_number(file_name: &str) -> Option<i32> {
    let (stem, _) = file_name.rsplit_once('.')?;
    let digits = stem.len() - stem.bytes().rev().take_while(u8::is_ascii_digit).count();
    let (before, number) = stem.split_at(digits);
    let negative =
        before.strip_suffix('-').is_some_and(|before| before.is_empty() || before.ends_with('_'));
    let number: i64 = number.parse().ok()?;
    i32::try_from(if negative { -number } else { number }).ok()
}

/// Writes a zip of frames to any sink as they come, without seeking back: pictures are compressed already, so they are
/// stored as they are, all dated 1980-01-01.
pub struct FrameZip<W: Write> {
    zip: ZipWriter<StreamWriter<W>>,
    name: String,
    format: Format,
}

impl<W: Write> FrameZip<W> {
    pub fn new(to: W, name: &str, format: Format) -> Self {
        Self { zip: ZipWriter::new_stream(to), name: name.to_owned(), format }
    }

    /// A frame that is already in the zip is an error.
    pub fn add(&mut self, frame: i32, bytes: &[u8]) -> io::Result<()> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            .unix_permissions(0o644);
        self.zip.start_file(frame_file_name(&self.name, frame, self.format), options)?;
        self.zip.write_all(bytes)
    }

    pub fn finish(self) -> io::Result<W> {
        Ok(self.zip.finish()?.into_inner())
    }
}

/// Zips all frames of an iterator; see [`FrameZip`].
pub fn zip_frames<W: Write, B: AsRef<[u8]>>(
    to: W,
    name: &str,
    format: Format,
    frames: impl IntoIterator<Item = (i32, B)>,
) -> io::Result<W> {
    let mut zip = FrameZip::new(to, name, format);
    for (frame, bytes) in frames {
        zip.add(frame, bytes.as_ref())?;
    }
    zip.finish()
}
