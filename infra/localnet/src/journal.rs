//! The chain's memory on disk: an append-only file of framed records, and the newest slot.
//! Knows framing, checksums and durability; nothing of what a record means to the chain.
//!
//! A frame is `length | checksum | records`. Records of one frame take effect together: what a
//! rollback undoes and what replaces it can never be read back one without the other.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufReader, Read},
    os::unix::fs::FileExt,
    path::Path,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use solana_sdk::transaction::TransactionError;
use solana_sdk::{account::Account, pubkey::Pubkey, signature::Signature};

use crate::clock::Segment;

const LOG_FILE: &str = "journal";
const SLOT_FILE: &str = "slot";
const LOCK_FILE: &str = "lock";

const HEADER_BYTES: usize = 12;
/// Room for the largest account (10 MiB) beside its record.
const FRAME_BYTES_MAX: usize = 32 << 20;
/// About five million transfers. A chain for one machine that outgrows this is being misused.
const JOURNAL_BYTES_MAX: u64 = 8 << 30;
/// The slot file is synced this often; between syncs it survives the process, not the machine.
const SLOTS_PER_SYNC: u64 = 256;

#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("the chain in {0} is already running: only one process may own a data folder")]
    Locked(String),
    #[error("the chain's journal is damaged at byte {0}: remove the data folder to start anew")]
    Damaged(u64),
    #[error("the chain's journal is of another version: remove the data folder to start anew")]
    Version,
    #[error("the chain's journal is full ({JOURNAL_BYTES_MAX} bytes)")]
    Full,
    #[error("the chain's data folder: {0}")]
    Io(#[from] io::Error),
}

/// What is told of the chain, in the order it happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Record {
    /// Always the first record. All that is random about this chain follows from `seed`.
    Genesis { version: u32, seed: [u8; 32] },
    /// From here on slots tick like this.
    Segment(Segment),
    /// A transaction that is in a block, failed or not, and what it changed.
    Landed(Landed),
    /// An account that a test set.
    AccountSet { slot: u64, change: Change },
    /// Everything in `slot` and later did not happen.
    RolledBack { slot: u64 },
    /// A transaction that was accepted and waits outside of every block (tests only).
    Held {
        #[serde(with = "serde_bytes")]
        wire: Vec<u8>,
    },
    /// A held transaction was released, or expired.
    Freed { signature: Signature },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Landed {
    pub(crate) slot: u64,
    pub(crate) signature: Signature,
    pub(crate) err: Option<TransactionError>,
    pub(crate) memo: Option<String>,
    /// Every account the transaction named, looked-up ones included.
    pub(crate) keys: Vec<Pubkey>,
    pub(crate) changes: Vec<Change>,
    /// The transaction and its metadata, opaque here so that a restart need not decode it.
    #[serde(with = "serde_bytes")]
    pub(crate) body: Vec<u8>,
}

/// An account after a change; `None` when it no longer exists.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Change {
    pub(crate) address: Pubkey,
    pub(crate) account: Option<Account>,
}

/// Where a record lies: its frame's offset and its place in the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) offset: u64,
    pub(crate) index: u32,
}

pub(crate) struct Journal {
    log: File,
    slot: File,
    end: u64,
    /// Held for as long as the journal lives: the operating system lets go when the process dies.
    _lock: File,
}

impl Journal {
    /// Opens or creates the journal in `folder` and gives every record, oldest first, to `replay`.
    /// Returns the journal and the newest slot noted, if any.
    pub(crate) fn open(
        folder: &Path,
        mut replay: impl FnMut(Location, Record) -> Result<(), JournalError>,
    ) -> Result<(Self, Option<u64>), JournalError> {
        fs::create_dir_all(folder)?;
        let open = |name: &str| {
            OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(folder.join(name))
        };
        let lock = open(LOCK_FILE)?;
        lock.try_lock().map_err(|cause| match cause {
            TryLockError::WouldBlock => JournalError::Locked(folder.display().to_string()),
            TryLockError::Error(cause) => JournalError::Io(cause),
        })?;
        let log = open(LOG_FILE)?;
        let end = read_frames(&log, &mut replay)?;
        if log.metadata()?.len() != end {
            // A frame that the last process did not finish: nobody was told that it was accepted.
            log.set_len(end)?;
            log.sync_all()?;
        }
        let slot = open(SLOT_FILE)?;
        File::open(folder)?.sync_all()?;
        let newest = read_slot(&slot)?;
        Ok((Self { log, slot, end, _lock: lock }, newest))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.end == 0
    }

    /// Appends one frame; when `durable`, returns only once it is on the disk.
    pub(crate) fn append(
        &mut self,
        records: &[Record],
        durable: bool,
    ) -> Result<u64, JournalError> {
        let payload = bincode::serialize(records).map_err(io::Error::other)?;
        if payload.len() > FRAME_BYTES_MAX || self.end > JOURNAL_BYTES_MAX {
            return Err(JournalError::Full);
        }
        let mut frame = Vec::with_capacity(HEADER_BYTES + payload.len());
        frame.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        frame.extend_from_slice(&checksum(&payload));
        frame.extend_from_slice(&payload);
        let offset = self.end;
        self.log.write_all_at(&frame, offset)?;
        if durable {
            self.log.sync_data()?;
        }
        self.end = offset + frame.len() as u64;
        Ok(offset)
    }

    /// The record at `at`, read back from the disk.
    pub(crate) fn read(&self, at: Location) -> Result<Record, JournalError> {
        let mut header = [0; HEADER_BYTES];
        self.log.read_exact_at(&mut header, at.offset)?;
        let (length, sum) = split(&header);
        if length > FRAME_BYTES_MAX {
            return Err(JournalError::Damaged(at.offset));
        }
        let mut payload = vec![0; length];
        self.log.read_exact_at(&mut payload, at.offset + HEADER_BYTES as u64)?;
        let records = decode(&payload, sum).ok_or(JournalError::Damaged(at.offset))?;
        records.into_iter().nth(at.index as usize).ok_or(JournalError::Damaged(at.offset))
    }

    /// Notes the newest slot in place: sixteen bytes a tick, nothing that grows.
    pub(crate) fn note_slot(&mut self, slot: u64) -> Result<(), JournalError> {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&slot.to_le_bytes());
        bytes[8..].copy_from_slice(&(!slot).to_le_bytes());
        self.slot.write_all_at(&bytes, 0)?;
        if slot.is_multiple_of(SLOTS_PER_SYNC) {
            self.slot.sync_data()?;
        }
        Ok(())
    }

    pub(crate) fn sync(&self) -> Result<(), JournalError> {
        self.slot.sync_data()?;
        self.log.sync_data()?;
        Ok(())
    }
}

fn read_frames(
    log: &File,
    replay: &mut impl FnMut(Location, Record) -> Result<(), JournalError>,
) -> Result<u64, JournalError> {
    let length = log.metadata()?.len();
    let mut reader = BufReader::with_capacity(1 << 20, log);
    let mut offset = 0_u64;
    let mut payload = Vec::new();
    while length - offset >= HEADER_BYTES as u64 {
        let mut header = [0; HEADER_BYTES];
        reader.read_exact(&mut header)?;
        let (size, sum) = split(&header);
        let next = offset + (HEADER_BYTES + size) as u64;
        if next > length {
            break;
        }
        if size > FRAME_BYTES_MAX {
            return Err(JournalError::Damaged(offset));
        }
        payload.resize(size, 0);
        reader.read_exact(&mut payload)?;
        let Some(records) = decode(&payload, sum) else {
            // The last frame may be half written; one in the middle cannot.
            if next == length {
                break;
            }
            return Err(JournalError::Damaged(offset));
        };
        for (index, record) in records.into_iter().enumerate() {
            replay(Location { offset, index: index as u32 }, record)?;
        }
        offset = next;
    }
    Ok(offset)
}

fn read_slot(file: &File) -> Result<Option<u64>, JournalError> {
    let mut bytes = [0; 16];
    match file.read_exact_at(&mut bytes, 0) {
        Ok(()) => {}
        Err(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(cause) => return Err(cause.into()),
    }
    let half = |at: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[at..at + 8]);
        u64::from_le_bytes(word)
    };
    // A torn slot is no loss: the journal's own records bound it from below.
    Ok((half(0) == !half(8)).then(|| half(0)))
}

fn split(header: &[u8; HEADER_BYTES]) -> (usize, [u8; 8]) {
    let mut length = [0; 4];
    length.copy_from_slice(&header[..4]);
    let mut sum = [0; 8];
    sum.copy_from_slice(&header[4..]);
    (u32::from_le_bytes(length) as usize, sum)
}

fn checksum(payload: &[u8]) -> [u8; 8] {
    let mut sum = [0; 8];
    sum.copy_from_slice(&Sha256::digest(payload)[..8]);
    sum
}

fn decode(payload: &[u8], sum: [u8; 8]) -> Option<Vec<Record>> {
    (checksum(payload) == sum).then(|| bincode::deserialize(payload).ok()).flatten()
}
