//! Files that Blender itself wrote, with the scene writer of this repository.

use std::{fs::File, path::Path, process::Command};

use framefair_blend::{
    Compression, Format, FrameRange, HEAD_BYTES, Scene, SceneRefused, has_keyframes, inspect,
};

fn read(folder: &Path, name: &str) -> Result<Scene, SceneRefused> {
    let bytes = std::fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    inspect(name, &bytes[..bytes.len().min(HEAD_BYTES)], bytes.len() as u64)
}

/// Runs Blender, whose log is shown only where it fails.
fn blender(arguments: &[&str]) -> String {
    let output = Command::new("blender")
        .args(["-b", "--factory-startup", "-noaudio", "--python-exit-code", "9"])
        .args(arguments)
        .output()
        .expect("Blender is needed: apt-get install -y --no-install-recommends blender");
    let log = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{}\n{log}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    log
}

#[test]
fn scenes_that_blender_wrote_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let writer = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/scenes/make_scenes.py");
    let log = blender(&["-P", writer, "--", out]);
    let version = log.lines().find_map(|line| line.strip_prefix("Blender ")).unwrap().trim();
    let version = version.split_whitespace().next().unwrap().parse().unwrap();

    let scenes = [
        ("animation", 8, Compression::None),
        ("animation-zstd", 8, Compression::Zstd),
        ("demo", 8, Compression::None),
        ("eevee", 8, Compression::None),
        ("malicious", 8, Compression::None),
        ("missing-texture", 8, Compression::None),
        ("no-camera", 8, Compression::None),
        ("still", 3, Compression::None),
    ];
    for (name, end, compression) in scenes {
        let file = format!("{name}.blend");
        let scene =
            read(folder.path(), &file).unwrap_or_else(|refused| panic!("{file}: {refused}"));
        assert_eq!(scene.blender, Some(version), "{file}");
        assert_eq!(scene.frames, Some(FrameRange { start: 1, end }), "{file}");
        assert_eq!(scene.scene_name.as_deref(), Some("Scene"), "{file}");
        assert_eq!(scene.compression, compression, "{file}");
        let moves = has_keyframes(File::open(folder.path().join(&file)).unwrap());
        let expected = match name {
            "animation" | "animation-zstd" | "demo" => Some(true),
            "still" => Some(false),
            _ => moves.or(Some(false)),
        };
        assert_eq!(moves, expected, "{file}");
    }
    for (file, format) in
        [("mesh.obj", Format::Obj), ("mesh.stl", Format::Stl), ("mesh.glb", Format::Glb)]
    {
        assert_eq!(read(folder.path(), file).map(|scene| scene.format), Ok(format), "{file}");
    }

    // The same files cut at a few places, as a broken upload leaves them.
    for (name, ..) in scenes {
        let whole = std::fs::read(folder.path().join(format!("{name}.blend"))).unwrap();
        for share in [1, 50, 90, 99] {
            let cut = &whole[..whole.len() * share / 100];
            if cut.len() <= HEAD_BYTES {
                let answer = inspect("cut.blend", cut, cut.len() as u64);
                assert!(
                    matches!(answer, Err(SceneRefused::Truncated { .. })),
                    "{name} at {share} %: {answer:?}"
                );
            }
        }
    }
}

#[test]
fn a_library_that_blender_wrote_has_nothing_to_render() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("library.blend");
    let write = format!("import bpy; bpy.data.libraries.write({path:?}, set(bpy.data.objects))");
    blender(&["--python-expr", &write]);
    assert!(matches!(
        read(folder.path(), "library.blend"),
        Err(SceneRefused::NothingInside { .. })
    ));
}
