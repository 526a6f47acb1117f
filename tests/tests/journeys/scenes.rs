//! The scenes of the journeys, written once by real Blender, and files that are none.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};

/// What the malicious scene writes to if it ever runs: one place on this machine, one in its sandbox.
pub(crate) const MARK_INSIDE: &str = "MARK_INSIDE";

pub(crate) struct Scenes {
    pub(crate) folder: PathBuf,
    /// Held as long as this process lives: two runs at once would write the same scenes.
    _lock: File,
}

impl Scenes {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The same scene, which marks the folder that it is rendered in.
    pub(crate) fn inside(&self) -> PathBuf {
        self.folder.join("inside").join("malicious.blend")
    }

    /// Files on this machine that the malicious scene was told to make.
    pub(crate) fn marks(&self) -> Vec<String> {
        let names = fs::read_dir(&self.folder)
            .expect("the scenes' folder")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with("mark_outside")).collect()
    }
}

pub(crate) fn scenes() -> &'static Scenes {
    static SCENES: OnceLock<Scenes> = OnceLock::new();
    SCENES.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("journeys");
        fs::create_dir_all(&folder).expect("a folder for the scenes");
        let lock = File::create(folder.join("lock")).expect("a lock");
        lock.lock().expect("another run of the journeys ends");
        for entry in fs::read_dir(&folder).expect("the scenes' folder") {
            let path = entry.expect("an entry").path();
            if path.file_name().is_some_and(|name| name != "lock") {
                if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
                    .expect("an old scene can be removed");
            }
        }
        write(&folder, &folder.join("mark_outside").to_string_lossy(), &[]);
        write(&folder.join("inside"), MARK_INSIDE, &["--only", "malicious"]);
        fs::write(folder.join("noise.blend"), noise(40_000)).expect("noise");
        let headed = [b"BLENDER-v304".as_slice(), &noise(40_000)].concat();
        fs::write(folder.join("headed-noise.blend"), headed).expect("noise with a head");
        // Sound as far as one can see without Blender; the description of its own structures is noise.
        let mut damaged = fs::read(folder.join("animation.blend")).expect("a scene");
        let described =
            damaged.windows(8).rposition(|it| it == b"SDNANAME").expect("a description");
        damaged[described..described + 4_000].copy_from_slice(&noise(4_000));
        fs::write(folder.join("damaged.blend"), damaged).expect("a damaged scene");
        Scenes { folder, _lock: lock }
    })
}

fn write(folder: &Path, marker: &str, more: &[&str]) {
    fs::create_dir_all(folder).expect("a folder for the scenes");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenes/make_scenes.py");
    let made = Command::new("blender")
        .args(["-b", "--factory-startup", "-noaudio", "--python-exit-code", "9", "-P"])
        .arg(script)
        .arg("--")
        .arg(folder)
        .arg(marker)
        .args(more)
        .output()
        .expect("Blender starts");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// Bytes without a pattern, the same in every run.
pub(crate) fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..count).map(|_| next()).collect()
}

/// Journeys are heavy: two at once, whatever the machine says that it has.
pub(crate) struct Turn;

const AT_ONCE: u32 = 2;
static RUNNING: Mutex<u32> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

impl Turn {
    pub(crate) fn wait() -> Turn {
        let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |running: &mut u32| *running >= AT_ONCE;
        let mut running = ENDED.wait_while(running, full).unwrap_or_else(PoisonError::into_inner);
        *running += 1;
        Turn
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        ENDED.notify_one();
    }
}
