//! Turns a downloaded result into picture files named by frame. The result is a stranger's: names in
//! a zip are only read for their number and never used, and every count and size has a limit.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::TempPath;
use zip::ZipArchive;

use crate::settings::{Frames, Picture};

/// An EXR of 16384 x 16384 with four 32-bit channels has 4 GiB; nothing sensible comes near.
const FRAME_BYTES_MAX: u64 = 4 << 30;
const ZIP_MAGIC: &[u8] = b"PK\x03\x04";

/// Where results go and what they are called.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The folder for the finished files.
    pub(crate) out: PathBuf,
    /// A folder of ours on the same file system.
    pub(crate) scratch: PathBuf,
    /// What files are named after.
    pub(crate) name: String,
    pub(crate) frames: Frames,
    pub(crate) picture: Picture,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum NotAResult {
    #[error("it is neither a {0:?} picture nor a zip of them")]
    Neither(Picture),
    #[error("one picture came for {0} frames")]
    OnePicture(u64),
    #[error("the zip is damaged: {0}")]
    Damaged(#[from] zip::result::ZipError),
    #[error("the zip holds something that is no plain file with a frame number in its name")]
    OddEntry,
    #[error("the zip holds frame {0}, which was not asked for")]
    Unasked(i32),
    #[error("the zip holds frame {0} twice")]
    Twice(i32),
    #[error("frame {0} is missing")]
    Missing(i32),
    #[error("frame {0} is not a picture of the format asked for")]
    WrongFormat(i32),
    #[error("frame {0} is larger than any picture may be")]
    TooLarge(i32),
    #[error("a file could not be written: {0}")]
    Io(#[from] io::Error),
}

/// The result's files, in the order of frames. All of them appear, or none.
pub(crate) fn unpack(mut result: File, target: &Target) -> Result<Vec<PathBuf>, NotAResult> {
    let mut magic = [0; 8];
    result.seek(SeekFrom::Start(0))?;
    let seen = read_up_to(&mut result, &mut magic)?;
    result.seek(SeekFrom::Start(0))?;
    let ready = if magic[..seen].starts_with(ZIP_MAGIC) {
        frames_of(result, target)?
    } else if !magic[..seen].starts_with(target.picture.magic()) {
        return Err(NotAResult::Neither(target.picture));
    } else if target.frames.count() != 1 {
        return Err(NotAResult::OnePicture(target.frames.count()));
    } else {
        let frame = target.frames.start;
        BTreeMap::from([(frame, copy_frame(&mut result, frame, target)?)])
    };
    let mut files = Vec::with_capacity(ready.len());
    for (frame, file) in ready {
        let path = target.out.join(file_name(&target.name, frame, target.picture));
        file.persist(&path).map_err(|error| error.error)?;
        files.push(path);
    }
    Ok(files)
}

/// `NAME_0001.png`; frame -3 is `NAME_-0003.png`.
pub(crate) fn file_name(name: &str, frame: i32, picture: Picture) -> String {
    let sign = if frame < 0 { "-" } else { "" };
    format!("{name}_{sign}{:04}.{}", frame.unsigned_abs(), picture.extension())
}

fn frames_of(zip: File, target: &Target) -> Result<BTreeMap<i32, TempPath>, NotAResult> {
    let mut zip = ZipArchive::new(io::BufReader::new(zip))?;
    let mut ready = BTreeMap::new();
    for at in 0..zip.len() {
        let mut entry = zip.by_index(at)?;
        if !entry.is_file() || entry.is_symlink() || entry.encrypted() {
            return Err(NotAResult::OddEntry);
        }
        let frame = frame_number(entry.name()).ok_or(NotAResult::OddEntry)?;
        if !target.frames.contains(frame) {
            return Err(NotAResult::Unasked(frame));
        }
        // Frames are within the range and differ, so there are never more than were asked for.
        if ready.contains_key(&frame) {
            return Err(NotAResult::Twice(frame));
        }
        ready.insert(frame, copy_frame(&mut entry, frame, target)?);
    }
    match target.frames.iter().find(|frame| !ready.contains_key(frame)) {
        Some(frame) => Err(NotAResult::Missing(frame)),
        None => Ok(ready),
    }
}

fn copy_frame(from: &mut impl Read, frame: i32, target: &Target) -> Result<TempPath, NotAResult> {
    let mut magic = [0; 8];
    let seen = read_up_to(from, &mut magic)?;
    if !magic[..seen].starts_with(target.picture.magic()) {
        return Err(NotAResult::WrongFormat(frame));
    }
    let mut file = public_file(&target.scratch)?;
    file.write_all(&magic[..seen])?;
    let copied = io::copy(&mut from.by_ref().take(FRAME_BYTES_MAX), file.as_file_mut())?;
    if copied >= FRAME_BYTES_MAX {
        return Err(NotAResult::TooLarge(frame));
    }
    Ok(file.into_temp_path())
}

/// A temporary file with the rights of an ordinary one: it is about to become one.
fn public_file(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    let builder = {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666))
    };
    builder.prefix("frame-").tempfile_in(folder)
}

fn read_up_to(from: &mut impl Read, buffer: &mut [u8; 8]) -> io::Result<usize> {
    let mut seen = 0;
    while seen < buffer.len() {
        match from.read(&mut buffer[seen..])? {
            0 => break,
            read => seen += read,
        }
    }
    Ok(seen)
}

/// The number at the end of an entry's name: 12 for `shot_0012.png`, -3 for `shot_-0003.png`. None
/// where the name could be a path.
fn frame_number(name: &str) -> Option<i32> {
    if name.len() > 255 || name.contains(['/', '\\', ':', '\0']) {
        return None;
    }
    let (stem, _) = name.rsplit_once('.')?;
    let digits = stem.len() - stem.bytes().rev().take_while(u8::is_ascii_digit).count();
    let (before, number) = stem.split_at(digits);
    let number: i32 = number.parse().ok()?;
    let negative =
        before.strip_suffix('-').is_some_and(|before| before.is_empty() || before.ends_with('_'));
    Some(if negative { -number } else { number })
}

#[cfg(test)]
#[path = "unpack_tests.rs"]
mod tests;
