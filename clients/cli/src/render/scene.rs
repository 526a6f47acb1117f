//! The scene on this disk: that it is one, how large, its hash, and what its frames will be called.
//! Sends nothing.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use framefair_blend::{HEAD_BYTES, inspect, safe_file_name};
use sha2::{Digest, Sha256};

use crate::exit::{Exit, Failure};
use crate::settings::{Frames, Settings};

/// What hubs take at most before a payment.
const BYTES_MAX: u64 = 2 << 30;
/// The first frame of a scene that has no range of its own.
const FIRST_FRAME: i32 = 1;

#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) path: PathBuf,
    /// The name the hub is told.
    pub(crate) file_name: String,
    /// What result files are named after.
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    /// The frame range that the file names, for whoever did not ask for one.
    pub(crate) own_frames: Option<Frames>,
}

/// Looks at every scene of a command. One that cannot be rendered, or whose frames would have the
/// names of another's, is refused before anything is sent.
pub(crate) fn look_at_all(paths: &[PathBuf]) -> Result<Vec<Scene>, Failure> {
    let mut names = BTreeMap::new();
    for path in paths {
        // Some file systems do not tell capitals from small letters.
        let name = name(path).to_lowercase();
        if let Some(other) = names.insert(name, path) {
            let why = format!("{} and {}", other.display(), path.display());
            return Err(Failure::new(Exit::Usage, "two scenes would write the same frames", why)
                .hint("Nothing was sent. Rename one, or render it by itself into another --out."));
        }
    }
    paths.iter().map(|path| look(path)).collect()
}

/// What result files are named after: the scene's own name, as it is here.
fn name(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Looks at a scene as the hub will, so that a wrong file is refused before it is sent.
pub(crate) fn look(path: &Path) -> Result<Scene, Failure> {
    let what = || format!("{} is not a scene that can be rendered", path.display());
    let bad = |why: &dyn std::fmt::Display| Failure::new(Exit::BadScene, what(), why);
    let unreadable = |error: std::io::Error| {
        bad(&error).hint("Name an existing .blend, .obj, .fbx, .gltf, .glb, .stl or .dae file that you may read.")
    };
    let mut file = File::open(path).map_err(unreadable)?;
    let facts = file.metadata().map_err(unreadable)?;
    if !facts.is_file() {
        return Err(bad(&"it is not a file").hint("Name the scene's file itself."));
    }
    let bytes = facts.len();
    if bytes > BYTES_MAX {
        return Err(bad(&format!("it has {bytes} bytes, and hubs take at most {BYTES_MAX}"))
            .hint("Make it smaller: Blender's Compress option when saving, smaller textures, or fewer packed files."));
    }
    let given = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut head = Vec::new();
    file.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut head).map_err(unreadable)?;
    let scene = inspect(&given, &head, bytes).map_err(|refused| bad(&refused))?;
    let mut hash = Sha256::new_with_prefix(&head);
    let rest = std::io::copy(&mut file, &mut hash).map_err(unreadable)?;
    if head.len() as u64 + rest != bytes {
        return Err(
            bad(&"it changed while it was read").hint("Wait until it is saved, then try again.")
        );
    }
    Ok(Scene {
        path: path.to_owned(),
        file_name: safe_file_name(&given),
        name: name(path),
        bytes,
        sha256: hex::encode(hash.finalize()),
        own_frames: scene.frames.map(|range| Frames { start: range.start, end: range.end }),
    })
}

impl Scene {
    /// The frames that will come: those asked for, else the one that the file starts with.
    pub(crate) fn frames(&self, settings: &Settings) -> Frames {
        settings.frames.unwrap_or_else(|| {
            Frames::one(self.own_frames.map_or(FIRST_FRAME, |frames| frames.start))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const STL: &str = "solid a\nfacet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 0 1 0\nendloop\nendfacet\nendsolid a\n";

    #[test]
    fn a_scene_is_named_measured_and_hashed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("my té.stl");
        fs::write(&path, STL).unwrap();
        let scene = look(&path).unwrap();
        assert_eq!(scene.name, "my té");
        assert_eq!(scene.file_name, "my_t_.stl");
        assert_eq!(scene.bytes, STL.len() as u64);
        assert_eq!(scene.sha256, hex::encode(Sha256::digest(STL)));
        assert_eq!(scene.frames(&Settings::default()), Frames::one(1));
        let asked = Settings { frames: Some(Frames { start: 2, end: 3 }), ..Settings::default() };
        assert_eq!(scene.frames(&asked), Frames { start: 2, end: 3 });
    }

    #[test]
    fn what_is_no_scene_is_refused_with_its_own_exit_code() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            fs::write(folder.path().join(name), bytes).unwrap();
            folder.path().join(name)
        };
        for path in [
            folder.path().join("absent.blend"),
            folder.path().to_owned(),
            write("empty.blend", b""),
            write("noise.blend", &[7; 4096]),
            write("picture.blend", b"\x89PNG\r\n\x1a\n"),
            write("scene.txt", STL.as_bytes()),
            write("noextension", STL.as_bytes()),
        ] {
            let refused = look(&path).unwrap_err();
            assert_eq!(refused.exit, Exit::BadScene, "{}", path.display());
            assert!(refused.to_string().contains(&path.display().to_string()), "{refused}");
        }
    }

    #[test]
    fn a_file_beyond_what_hubs_take_is_refused_unread() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("huge.blend");
        File::create(&path).unwrap().set_len(BYTES_MAX + 1).unwrap();
        let refused = look(&path).unwrap_err();
        assert_eq!(refused.exit, Exit::BadScene);
        assert!(refused.to_string().contains("Compress"), "{refused}");
    }

    #[test]
    fn two_scenes_that_would_write_the_same_frames_are_refused_unread() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, STL).unwrap();
            path
        };
        let (a, b) = (write("a.stl"), write("b.stl"));
        let names: Vec<String> = look_at_all(&[a.clone(), b.clone()])
            .unwrap()
            .into_iter()
            .map(|scene| scene.name)
            .collect();
        assert_eq!(names, ["a", "b"]);
        for twin in [a.clone(), write("other/a.stl"), write("A.stl"), folder.path().join("a.obj")] {
            let refused = look_at_all(&[a.clone(), b.clone(), twin.clone()]).unwrap_err();
            assert_eq!(refused.exit, Exit::Usage, "{}", twin.display());
            assert!(refused.to_string().contains(&twin.display().to_string()), "{refused}");
        }
        let absent = folder.path().join("absent.stl");
        assert_eq!(look_at_all(&[a, absent]).unwrap_err().exit, Exit::BadScene);
    }
}
