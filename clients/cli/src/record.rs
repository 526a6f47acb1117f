//! What this machine remembers of a job: one small file, written before money moves, so that a
//! stopped command goes on instead of paying again. Knows no hub and no chain.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use framefair_domain::id::JobId;
use framefair_domain::money::Lamports;
use framefair_domain::wallet::{TxSignature, Wallet};
use serde::{Deserialize, Serialize};

use crate::exit::{Exit, Failure};
use crate::hub::Hub;
use crate::hub::said::JobStatus;
use crate::settings::{Frames, Settings};

/// The folder inside of `--out` that is ours.
const FOLDER: &str = ".framefair";
/// A record has about 2 KiB; what is far longer is none.
const BYTES_MAX: u64 = 64 << 10;
/// Looked through for a job to go on with.
const RECORDS_MAX: usize = 10_000;

/// How far a job has come, as this machine knows. The order is the order of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stage {
    /// An offer is there; nothing was signed.
    Offered,
    /// A payment was begun, and may be on its way or on chain.
    Paying,
    /// The hub has taken the payment.
    Paid,
    /// The frames are here.
    Done,
    /// It ended otherwise; nothing is left to do.
    Over,
}

/// A payment that was begun. It may have been sent, even where no signature is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Attempt {
    /// Written after signing and before sending.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) signature: Option<TxSignature>,
    /// The chain's slot before it was signed.
    pub(crate) slot: u64,
    /// A block height after which it certainly cannot land any more.
    pub(crate) last_valid_block_height: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    pub(crate) version: u32,
    pub(crate) stage: Stage,
    pub(crate) job: JobId,
    pub(crate) hub: String,
    pub(crate) wallet: Wallet,
    pub(crate) scene: PathBuf,
    pub(crate) scene_sha256: String,
    /// What result files are named after.
    pub(crate) name: String,
    pub(crate) settings: Settings,
    /// The frames that are to come.
    pub(crate) frames: Frames,
    pub(crate) pay_to: Wallet,
    pub(crate) lamports: Lamports,
    pub(crate) memo: String,
    pub(crate) expires_at: i64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) access_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) payment: Option<Attempt>,
    /// The jobs that one command ordered at once, this one included.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) together: Vec<JobId>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) files: Vec<PathBuf>,
}

pub(crate) const VERSION: u32 = 1;

/// What to do with a job found on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing was signed: ask for the price again.
    Forget,
    /// A payment may be under way: see it through, before any other.
    SeePaymentThrough,
    /// Paid: wait for the frames.
    Watch,
}

impl Record {
    /// What to do next, by what is written here and what the hub says; `None` where the hub knows
    /// no such job.
    pub(crate) fn next(&self, hub_says: Option<&JobStatus>) -> Next {
        let signed = self.payment.is_some();
        match (self.stage, hub_says) {
            (Stage::Done | Stage::Over, _) => Next::Forget,
            // The hub's word that it is paid counts more than ours that it is not: its watcher
            // finds payments by their memo.
            (
                _,
                Some(
                    JobStatus::Paid
                    | JobStatus::Queued
                    | JobStatus::Rendering
                    | JobStatus::Completed,
                ),
            ) => Next::Watch,
            (Stage::Paid, Some(_)) => Next::Watch,
            // Signed money is followed to its end even where the hub calls the job cancelled or
            // unknown: it may land late, and the answer tells what becomes of it.
            (Stage::Paying | Stage::Paid, _) if signed => Next::SeePaymentThrough,
            (_, Some(JobStatus::Failed)) => Next::Watch,
            _ => Next::Forget,
        }
    }

    /// Whether this is the job that a command asks for.
    pub(crate) fn is_same(
        &self,
        hub: &str,
        wallet: &Wallet,
        scene_sha256: &str,
        settings: &Settings,
    ) -> bool {
        self.hub == hub
            && self.wallet == *wallet
            && self.scene_sha256 == scene_sha256
            && self.settings == *settings
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Paying | Stage::Paid)
    }

    /// Whether all frames were received and still lie where they were put.
    pub(crate) fn is_here(&self) -> bool {
        self.stage == Stage::Done
            && !self.files.is_empty()
            && self.files.iter().all(|file| file.is_file())
    }

    /// The token, for the hub that gave it and for no other.
    pub(crate) fn token_for(&self, hub: &Hub) -> Option<&str> {
        self.access_token.as_deref().filter(|_| self.hub == hub.url.to_string())
    }

    pub(crate) fn files_text(&self) -> Vec<String> {
        self.files.iter().map(|file| file.display().to_string()).collect()
    }
}

/// The records of one `--out` folder.
#[derive(Clone, Debug)]
pub(crate) struct Records {
    folder: PathBuf,
}

impl Records {
    pub(crate) fn of(out: &Path) -> Records {
        Records { folder: out.join(FOLDER) }
    }

    /// A place for half-written files, on the same file system as the finished ones.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn prepare(&self) -> Result<(), Failure> {
        fs::create_dir_all(&self.folder).map_err(|error| self.failure(&error))
    }

    /// Writes a record whole or not at all, and returns when it is on disk.
    pub(crate) fn save(&self, record: &Record) -> Result<(), Failure> {
        self.write(record).map_err(|error| self.failure(&error))
    }

    fn write(&self, record: &Record) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(record).map_err(io::Error::other)?;
        // Temporary files are readable by their owner alone: a record may hold an access token.
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(&text)?;
        file.as_file().sync_all()?;
        file.persist(self.path(record.job)).map_err(|error| error.error)?;
        File::open(&self.folder)?.sync_all()
    }

    /// The record of a job, if there is one.
    pub(crate) fn load(&self, job: JobId) -> Option<Record> {
        let record = read(&self.path(job))?;
        (record.job == job).then_some(record)
    }

    /// The newest unfinished record that `wanted` picks.
    pub(crate) fn find_open(&self, wanted: impl Fn(&Record) -> bool) -> Option<Record> {
        self.all().into_iter().find(|record| record.is_open() && wanted(record))
    }

    /// The newest record that `wanted` picks, if its frames are here and it was ordered together
    /// with a job that is unfinished: the command that ordered both was stopped between them.
    pub(crate) fn find_half_done(&self, wanted: impl Fn(&Record) -> bool) -> Option<Record> {
        let record = self.all().into_iter().find(|record| wanted(record))?;
        let mut others = record.together.iter().filter_map(|job| self.load(*job));
        (record.is_here() && others.any(|other| other.is_open())).then_some(record)
    }

    /// Every record, the newest first. What cannot be read is none.
    pub(crate) fn all(&self) -> Vec<Record> {
        let Ok(files) = fs::read_dir(&self.folder) else { return Vec::new() };
        let files = files.take(RECORDS_MAX).filter_map(Result::ok).map(|file| file.path());
        let named = files.filter(|path| path.extension().is_some_and(|e| e == "json"));
        let mut records: Vec<Record> = named.filter_map(|path| read(&path)).collect();
        // Job ids sort by birth.
        records.sort_by_key(|record| std::cmp::Reverse(record.job));
        records
    }

    fn path(&self, job: JobId) -> PathBuf {
        self.folder.join(format!("{job}.json"))
    }

    fn failure(&self, error: &io::Error) -> Failure {
        Failure::new(Exit::Files, format!("{} cannot be written", self.folder.display()), error)
            .hint("Choose another --out, or make room and give yourself the right to write there.")
    }
}

fn read(path: &Path) -> Option<Record> {
    let mut text = String::new();
    File::open(path).ok()?.take(BYTES_MAX).read_to_string(&mut text).ok()?;
    let record: Record = serde_json::from_str(&text).ok()?;
    (record.version == VERSION).then_some(record)
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
