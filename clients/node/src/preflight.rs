//! What the scripts inside Blender say, read with suspicion: a scene that took Blender over writes here too.

use serde::{Deserialize, Serialize};

/// The word that begins their lines; anything else is Blender talking.
const WORD: &str = "FRAMEFAIR ";

/// What a look at the open scene found, before anything was rendered. Texts and lists are cut there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub blender: String,
    /// Version of the Blender that saved the file; of this one for a mesh.
    pub saved_by: Vec<u32>,
    /// `CYCLES` or `EEVEE`: what will render.
    pub engine: String,
    /// The scene's own first and last frame, and step.
    pub frames: [i32; 3],
    pub fps: f64,
    pub resolution: [u32; 2],
    pub samples: u32,
    pub denoised: bool,
    pub cameras: Vec<String>,
    pub has_camera: bool,
    pub has_subject: bool,
    pub missing_count: u32,
    pub missing: Vec<Missing>,
    /// Texts that ask to run when the file opens. They never do.
    pub scripts: Vec<String>,
    /// Drivers that need Python. They stand still.
    pub scripted_drivers: u32,
}

/// A file that the scene names and that is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    pub kind: String,
    pub name: String,
    pub path: String,
    /// Whether the picture would be wrong without it.
    pub fatal: bool,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Said {
    Loading,
    Looking,
    Preflight { report: Report },
    Frame { frame: i32 },
    Saved { frame: i32 },
    Done,
    Fault { whose: String, reason: String, message: String },
    Abilities { formats: Vec<String>, denoiser: bool },
}

/// None for whatever is not one of our lines, a damaged one included.
pub(crate) fn said(line: &str) -> Option<Said> {
    serde_json::from_str(line.strip_prefix(WORD)?).ok()
}

/// `(sample, samples)` of a progress line of Cycles (`Sample 3/16`) or EEVEE (`Rendering 3 / 16 samples`).
pub(crate) fn samples(line: &str) -> Option<(u32, u32)> {
    let line = line.trim_start();
    if !line.contains("Fra:") {
        return None;
    }
    let at = ["Sample ", "Rendering "]
        .iter()
        .find_map(|word| line.rfind(word).map(|start| &line[start + word.len()..]))?;
    let (done, rest) = at.split_once('/')?;
    let all: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
    let (done, all) = (done.trim().parse().ok()?, all.parse().ok()?);
    (done <= all && all > 0).then_some((done, all))
}

#[cfg(test)]
mod tests {
    use super::{Said, said, samples};

    #[test]
    fn progress_of_both_engines_is_read() {
        let cycles = "Fra:1 Mem:9.96M (Peak 10M) | Time:00:00.02 | Scene, ViewLayer | Sample 4/16";
        assert_eq!(samples(cycles), Some((4, 16)));
        assert_eq!(
            samples("Fra:7 Mem:2M | Time:00:01 | Rendering 26 / 64 samples"),
            Some((26, 64))
        );
        assert_eq!(samples("Fra:1 Mem:9M | Scene | Updating Film"), None);
        assert_eq!(samples("Sample 4/16"), None);
        assert_eq!(samples("Fra:1 | Sample 5/4"), None);
        assert_eq!(samples("Fra:1 | Sample 99999999999/4"), None);
    }

    #[test]
    fn a_line_that_is_not_ours_says_nothing() {
        assert!(matches!(said("FRAMEFAIR {\"event\": \"done\"}"), Some(Said::Done)));
        assert!(said("Saved: FRAMEFAIR {\"event\": \"done\"}").is_none());
        assert!(said("FRAMEFAIR {\"event\": \"frame\", \"frame\": 1e99}").is_none());
        assert!(said("FRAMEFAIR ").is_none());
    }
}
