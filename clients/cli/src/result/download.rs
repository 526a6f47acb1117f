//! A result on its way: what has come stays when the line breaks or the program ends, and only the rest
//! is asked for. Parts of two different files never come together. Knows no format.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use framefair_domain::id::JobId;
use reqwest::header::{CONTENT_RANGE, ETAG};
use reqwest::{Response, StatusCode};
use serde::{Deserialize, Serialize};

use crate::hub::{Hub, HubError, next_piece};
use crate::screen::Screen;

/// Beyond this a result is not one, whatever a hub says.
const BYTES_MAX: u64 = 1 << 40;
/// After so many bytes the disk is made to hold them, and a later run can count on that.
const SAFE_EVERY: u64 = 16 << 20;
const NOTE_BYTES_MAX: u64 = 4 << 10;

/// Why a download ended early.
#[derive(Debug)]
pub(super) enum Broken {
    Hub(HubError),
    Disk(io::Error),
    TooLarge,
}

/// The beginning of a file.
#[derive(Debug)]
pub(super) struct Part {
    file: File,
    bytes: u64,
    /// Of the whole file, where it is known.
    total: Option<u64>,
    /// Which file it is the beginning of. None where the store does not say it strongly enough, and
    /// then there is no going on.
    etag: Option<String>,
    /// None where another program has the file of this job; this one's is gone with it.
    place: Option<Place>,
    safe_every: u64,
}

/// The names of a part, and of what is known of it.
#[derive(Debug)]
struct Place {
    part: PathBuf,
    note: PathBuf,
}

/// What a later run may count on.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    etag: String,
    total: Option<u64>,
    /// So many bytes are on disk for certain.
    safe: u64,
}

impl Part {
    /// The part that an earlier run left of this job's result, else an empty one.
    pub(super) fn open(scratch: &Path, job: JobId) -> io::Result<Part> {
        let place = Place {
            part: scratch.join(format!("{job}.part")),
            note: scratch.join(format!("{job}.part.note")),
        };
        let new = |file, place| Part {
            file,
            bytes: 0,
            total: None,
            etag: None,
            place,
            safe_every: SAFE_EVERY,
        };
        let file = private(&place.part)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(new(tempfile::tempfile_in(scratch)?, None)),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let note = place.read();
        let mut part = new(file, Some(place));
        match note {
            Some(note) if part.file.metadata()?.len() >= note.safe => {
                part.file.set_len(note.safe)?;
                part.file.seek(SeekFrom::Start(note.safe))?;
                (part.bytes, part.total, part.etag) = (note.safe, note.total, Some(note.etag));
            }
            _ => part.restart(None)?,
        }
        Ok(part)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The whole file, at its start. From here on it has no name.
    pub(super) fn file(mut self) -> io::Result<File> {
        if let Some(place) = &self.place {
            place.forget();
            // Whoever took the name meanwhile keeps the file.
            let _ = fs::remove_file(&place.part);
        }
        self.file.rewind()?;
        Ok(self.file)
    }

    /// Downloads what is missing. Every call asks the hub for a link anew, so that one that expired in
    /// the meantime is no hindrance.
    pub(super) async fn download(
        &mut self,
        hub: &Hub,
        job: JobId,
        token: Option<&str>,
        screen: &Screen,
    ) -> Result<(), Broken> {
        let mut response = self.answer(hub, job, token).await?;
        let mut bar = screen.bytes("download", self.total);
        bar.at(self.bytes);
        while let Some(piece) = next_piece(&mut response).await.map_err(Broken::Hub)? {
            let bytes = self.bytes + piece.len() as u64;
            if bytes > BYTES_MAX {
                return Err(Broken::TooLarge);
            }
            // Pieces are small, and the page cache takes them at once.
            self.file.write_all(&piece).map_err(Broken::Disk)?;
            let safe = bytes / self.safe_every > self.bytes / self.safe_every;
            self.bytes = bytes;
            bar.at(bytes);
            if safe {
                self.make_safe().await.map_err(Broken::Disk)?;
            }
        }
        match self.total {
            Some(total) if total != self.bytes => {
                let (bytes, ended) = (self.bytes, "the file ended after");
                if bytes > total {
                    self.restart(None).map_err(Broken::Disk)?;
                }
                Err(broken(format!("{ended} {bytes} of {total} bytes")))
            }
            _ => Ok(()),
        }
    }

    /// A response whose body goes on where this part ends.
    async fn answer(
        &mut self,
        hub: &Hub,
        job: JobId,
        token: Option<&str>,
    ) -> Result<Response, Broken> {
        if let Some(etag) = self.etag.clone().filter(|_| self.bytes > 0) {
            match hub.result(job, token, Some((self.bytes, &etag))).await {
                Ok(response) if self.goes_on(&response) => return Ok(response),
                Ok(response) if response.status() == StatusCode::OK => return self.begin(response),
                // A part of another file, or of another place in it.
                Ok(_) => {}
                Err(HubError::Refused { status: 412 | 416, .. }) => {}
                Err(error) => return Err(Broken::Hub(error)),
            }
        }
        let response = hub.result(job, token, None).await.map_err(Broken::Hub)?;
        if response.status() == StatusCode::OK {
            return self.begin(response);
        }
        self.restart(None).map_err(Broken::Disk)?;
        Err(broken(format!("a part came where the whole was asked for ({})", response.status())))
    }

    fn goes_on(&self, response: &Response) -> bool {
        let range = response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
        let Some((start, end, total)) = range.and_then(content_range) else { return false };
        response.status() == StatusCode::PARTIAL_CONTENT
            && start == self.bytes
            && Some(total) == self.total
            && end.checked_add(1) == Some(total)
            && strong_etag(response) == self.etag
    }

    fn begin(&mut self, response: Response) -> Result<Response, Broken> {
        self.restart(Some(&response)).map_err(Broken::Disk)?;
        Ok(response)
    }

    /// Has the disk hold what came, then writes down that it does.
    async fn make_safe(&mut self) -> io::Result<()> {
        let (Some(place), Some(etag)) = (&self.place, &self.etag) else { return Ok(()) };
        let file = self.file.try_clone()?;
        tokio::task::spawn_blocking(move || file.sync_data()).await.map_err(io::Error::other)??;
        place.write(&Note { etag: etag.clone(), total: self.total, safe: self.bytes })
    }

    fn restart(&mut self, with: Option<&Response>) -> io::Result<()> {
        // The note first: it may never speak of another file's bytes.
        if let Some(place) = &self.place {
            place.forget();
        }
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.bytes = 0;
        self.total = with.and_then(Response::content_length);
        self.etag = with.and_then(strong_etag);
        Ok(())
    }
}

impl Place {
    fn read(&self) -> Option<Note> {
        let mut text = String::new();
        File::open(&self.note).ok()?.take(NOTE_BYTES_MAX).read_to_string(&mut text).ok()?;
        let note: Note = serde_json::from_str(&text).ok()?;
        is_strong(&note.etag).then_some(note)
    }

    /// Whole or not at all.
    fn write(&self, note: &Note) -> io::Result<()> {
        let folder = self.note.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&serde_json::to_vec(note)?)?;
        file.as_file().sync_all()?;
        file.persist(&self.note).map(drop).map_err(|error| error.error)
    }

    /// There is nothing to forget where nothing was noted.
    fn forget(&self) {
        let _ = fs::remove_file(&self.note);
    }
}

/// A file for its owner alone: the result may be that of a private job.
fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

fn broken(why: String) -> Broken {
    Broken::Hub(HubError::Unreachable(why))
}

/// An entity tag that stands for the very bytes; weak ones do not.
fn strong_etag(response: &Response) -> Option<String> {
    let etag = response.headers().get(ETAG)?.to_str().ok()?;
    is_strong(etag).then(|| etag.to_owned())
}

fn is_strong(etag: &str) -> bool {
    etag.len() > 2 && etag.starts_with('"') && etag.ends_with('"')
}

/// First byte, last byte and length of `bytes 5-9/10`.
fn content_range(text: &str) -> Option<(u64, u64, u64)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (start, end) = range.split_once('-')?;
    Some((start.parse().ok()?, end.parse().ok()?, total.parse().ok()?))
}

#[cfg(test)]
#[path = "download_tests.rs"]
mod tests;
