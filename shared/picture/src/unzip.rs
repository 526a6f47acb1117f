//! Unpacks a zip of frames that a stranger may have made: flat names only, every size limited. Knows no frames beyond
//! the number in a name, and writes no files.

use std::{
    collections::HashSet,
    io::{self, Read, Seek, SeekFrom},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use zip::{CompressionMethod, ZipArchive, result::ZipError};

use crate::frame_number;

const NAME_MAX: usize = 200;
/// Of the directory at the end of a zip, for each entry; longer ones carry things no frame needs.
const DIRECTORY_BYTES_PER_ENTRY: u64 = 512;
/// To find that directory.
const TAIL_BYTES: u64 = 128 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZipLimits {
    pub entries_max: usize,
    /// Unpacked, of one entry.
    pub entry_bytes_max: u64,
    /// Unpacked, of all entries.
    pub total_bytes_max: u64,
}

impl ZipLimits {
    /// For a zip of this many frames.
    pub fn for_frames(frames: usize) -> Self {
        let entry_bytes_max = 256 << 20;
        let total = entry_bytes_max * frames as u64;
        Self { entries_max: frames, entry_bytes_max, total_bytes_max: total.min(64 << 30) }
    }
}

/// Why a zip is refused.
#[derive(Debug, thiserror::Error)]
pub enum ZipRefused {
    #[error("the zip cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error("the file is no zip, or a damaged one")]
    Damaged,
    #[error("the zip has more than the {entries_max} files allowed")]
    TooManyEntries { entries_max: usize },
    #[error(
        "the zip unpacks to more bytes than allowed: it is a bomb, or holds something else than frames"
    )]
    TooLarge,
    #[error(
        "the zip holds a file whose name is unsafe: only letters, digits, `.`, `_` and `-` are taken"
    )]
    UnsafeName,
    #[error("the zip holds two files of one name")]
    DuplicateName,
    #[error(
        "the zip holds something else than plain files: a folder, a link, or an encrypted file"
    )]
    NotAFile,
}

impl From<ZipError> for ZipRefused {
    fn from(error: ZipError) -> Self {
        match error {
            ZipError::Io(error) => error.into(),
            _ => Self::Damaged,
        }
    }
}

/// One unpacked file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// A flat, safe file name.
    pub name: String,
    /// As [`frame_number`] reads it from the name.
    pub frame: Option<i32>,
    pub bytes: Vec<u8>,
}

/// Unpacks entry by entry, in the order of the zip's directory, so that one is in memory at a time.
///
/// As an iterator it ends after the first refusal.
pub struct Unzip<R: Read + Seek> {
    archive: ZipArchive<Budgeted<R>>,
    limits: ZipLimits,
    next: usize,
    bytes_left: u64,
    names: HashSet<String>,
}

impl<R: Read + Seek> Unzip<R> {
    pub fn open(from: R, limits: ZipLimits) -> Result<Self, ZipRefused> {
        let directory = TAIL_BYTES + limits.entries_max as u64 * DIRECTORY_BYTES_PER_ENTRY;
        let budget = Arc::new(AtomicU64::new(directory));
        // Opening reads the whole directory into memory, and its length is the sender's to choose: hence the budget.
        let archive = match ZipArchive::new(Budgeted { from, left: budget.clone() }) {
            Ok(archive) => archive,
            Err(_) if budget.load(Ordering::Relaxed) == 0 => {
                return Err(ZipRefused::TooManyEntries { entries_max: limits.entries_max });
            }
            Err(error) => return Err(error.into()),
        };
        if archive.len() > limits.entries_max {
            return Err(ZipRefused::TooManyEntries { entries_max: limits.entries_max });
        }
        budget.store(u64::MAX, Ordering::Relaxed);
        Ok(Self {
            archive,
            limits,
            next: 0,
            bytes_left: limits.total_bytes_max,
            names: HashSet::new(),
        })
    }

    /// How many files the zip holds.
    pub fn len(&self) -> usize {
        self.archive.len()
    }

    pub fn is_empty(&self) -> bool {
        self.archive.is_empty()
    }

    fn unpack(&mut self) -> Result<Entry, ZipRefused> {
        let mut file = self.archive.by_index(self.next).map_err(|error| match error {
            ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => ZipRefused::NotAFile,
            error => error.into(),
        })?;
        if file.encrypted() || file.is_symlink() || file.is_dir() {
            return Err(ZipRefused::NotAFile);
        }
        // A link may also hide behind the type bits of other systems.
        if file.unix_mode().is_some_and(|mode| !matches!(mode & 0o170_000, 0 | 0o100_000)) {
            return Err(ZipRefused::NotAFile);
        }
        if !matches!(file.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
            return Err(ZipRefused::Damaged);
        }
        let name = safe(file.name_raw()).ok_or(ZipRefused::UnsafeName)?;
        // Some file systems take `A.png` and `a.png` for one file.
        if !self.names.insert(name.to_ascii_lowercase()) {
            return Err(ZipRefused::DuplicateName);
        }
        // What the directory claims is not trusted: reading stops one byte past what is allowed.
        let allowed = self.limits.entry_bytes_max.min(self.bytes_left);
        if file.size() > allowed {
            return Err(ZipRefused::TooLarge);
        }
        let mut bytes = Vec::new();
        (&mut file).take(allowed.saturating_add(1)).read_to_end(&mut bytes).map_err(damaged)?;
        let len = bytes.len() as u64;
        self.bytes_left = self.bytes_left.checked_sub(len).ok_or(ZipRefused::TooLarge)?;
        if len > allowed {
            return Err(ZipRefused::TooLarge);
        }
        if len != file.size() {
            return Err(ZipRefused::Damaged);
        }
        Ok(Entry { frame: frame_number(&name), name, bytes })
    }
}

impl<R: Read + Seek> Iterator for Unzip<R> {
    type Item = Result<Entry, ZipRefused>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.archive.len() {
            return None;
        }
        let entry = self.unpack();
        self.next = if entry.is_ok() { self.next + 1 } else { usize::MAX };
        Some(entry)
    }
}

/// A wrong checksum or deflate stream reaches us as an I/O error.
fn damaged(error: io::Error) -> ZipRefused {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof => {
            ZipRefused::Damaged
        }
        _ => match error.get_ref() {
            Some(_) => ZipRefused::Damaged,
            None => error.into(),
        },
    }
}

fn safe(name: &[u8]) -> Option<String> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let ok = (1..=NAME_MAX).contains(&name.len())
        && name.iter().all(plain)
        && !matches!(name[0], b'.' | b'-')
        && !name.ends_with(b".");
    ok.then(|| String::from_utf8_lossy(name).into_owned())
}

/// A reader that fails once `left` bytes were read.
struct Budgeted<R> {
    from: R,
    left: Arc<AtomicU64>,
}

impl<R: Read> Read for Budgeted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 && !into.is_empty() {
            return Err(io::Error::other("the directory of the zip is too long"));
        }
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(into.len());
        let read = self.from.read(&mut into[..len])?;
        if left != u64::MAX {
            self.left.store(left - read as u64, Ordering::Relaxed);
        }
        Ok(read)
    }
}

impl<R: Seek> Seek for Budgeted<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.from.seek(to)
    }
}
