//! The folder of one attempt. It outlives an agent that was killed: the next one finds in it the
//! scene, and which frames the hub has already, and goes on from there.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use framefair_wire::market::Attempt;

const PREFIX: &str = "task-";
/// One line for each frame that is stored.
const STORED: &str = "stored";
/// No lease lasts for so long: nobody comes back for what is older.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(2 * 24 * 60 * 60);

/// Removed when dropped, since the attempt is over then.
pub(super) struct Folder {
    path: PathBuf,
    list: File,
}

impl Folder {
    /// Opens the attempt's folder below `work`, and says which frames are stored.
    pub(super) fn open(work: &Path, attempt: &Attempt) -> io::Result<(Folder, HashSet<i32>)> {
        let path = work.join(format!("{PREFIX}{}-{}", attempt.job_id, attempt.epoch));
        fs::create_dir_all(&path)?;
        let known = match fs::read_to_string(path.join(STORED)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            known => known?,
        };
        // A line that was cut off in the middle is no frame.
        let whole = known.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        let stored = whole.filter_map(|line| line.parse().ok()).collect();
        let list = OpenOptions::new().create(true).append(true).open(path.join(STORED))?;
        Ok((Folder { path, list }, stored))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes down that the hub has this frame.
    pub(super) fn has_stored(&mut self, frame: i32) -> io::Result<()> {
        writeln!(self.list, "{frame}")?;
        self.list.sync_data()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(folder = %self.path.display(), %error, "A task's folder stays behind");
        }
    }
}

/// Removes what agents left behind that were killed and never came back.
pub(super) fn tidy(work: &Path) -> io::Result<()> {
    for entry in fs::read_dir(work)?.filter_map(Result::ok) {
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        let age = entry.metadata().and_then(|meta| meta.modified()).ok();
        let old = age.and_then(|at| at.elapsed().ok()).is_some_and(|age| age > FORGOTTEN_AFTER);
        if ours && old {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_agents_folder_tells_the_next_one_what_is_stored() {
        let work = tempfile::tempdir().unwrap();
        let job_id = "0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001".parse().unwrap();
        let attempt = Attempt { job_id, epoch: 2 };
        let (mut folder, stored) = Folder::open(work.path(), &attempt).unwrap();
        assert!(stored.is_empty());
        for frame in [-3, 7] {
            folder.has_stored(frame).unwrap();
        }
        // Killed while it wrote the next line.
        write!(folder.list, "1").unwrap();
        let path = folder.path().to_owned();
        std::mem::forget(folder);
        let (folder, stored) = Folder::open(work.path(), &attempt).unwrap();
        assert_eq!(stored, HashSet::from([-3, 7]));
        let later = Attempt { epoch: 3, ..attempt };
        assert!(Folder::open(work.path(), &later).unwrap().1.is_empty(), "another attempt");
        tidy(work.path()).unwrap();
        assert!(path.is_dir());
        drop(folder);
        assert!(!path.exists());
    }
}
