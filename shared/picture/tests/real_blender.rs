//! Pictures that Blender itself rendered, from a scene of this repository's scene writer.

use std::{path::Path, process::Command};

use framefair_picture::{
    Depth, Expect, Format, Limits, PictureRefused, Region, Verified, all_alike, compare, decode,
    verify_task,
};

/// Runs Blender, whose log is shown only where it fails.
fn blender(arguments: &[&str]) {
    let output = Command::new("blender")
        .args(["-b", "--factory-startup", "-noaudio", "--python-exit-code", "9"])
        .args(arguments)
        .output()
        .expect("Blender is needed: apt-get install -y --no-install-recommends blender");
    let log = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{}\n{log}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Renders frames 1 to 3 of a scene at 64x36 into `folder`, as files that start with `name`.
fn render(folder: &Path, scene: &str, name: &str, format: &str, settings: &str, threads: &str) {
    let scene = folder.join(scene);
    let out = folder.join(format!("{name}_####"));
    let overrides = format!(
        "import bpy; scene = bpy.context.scene; scene.render.resolution_x, scene.render.resolution_y = 64, 36; \
         scene.cycles.samples = 2; image = scene.render.image_settings; image.file_format = '{format}'; {settings}"
    );
    let (scene, out) = (scene.to_string_lossy(), out.to_string_lossy());
    blender(&[
        "-Y",
        &scene,
        "-E",
        "CYCLES",
        "-t",
        threads,
        "--python-expr",
        &overrides,
        "-o",
        &out,
        "-F",
        format,
        "-x",
        "1",
        "-s",
        "1",
        "-e",
        "3",
        "-a",
    ]);
}

fn files(folder: &Path, name: &str, extension: &str) -> Vec<(i32, Vec<u8>)> {
    let read = |frame: i32| {
        std::fs::read(folder.join(format!("{name}_{frame:04}.{extension}")))
            .expect("Blender saved it")
    };
    (1..=3).map(|frame| (frame, read(frame))).collect()
}

fn check(frames: &[(i32, Vec<u8>)], format: Format) -> Result<Vec<Verified>, PictureRefused> {
    let expect = Expect { format, width: 64, height: 36 };
    verify_task(frames.iter().map(|(n, bytes)| (*n, bytes)), &[1, 2, 3], expect, &Limits::default())
}

#[test]
fn what_blender_renders_passes_in_every_format_and_depth() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let writer = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/scenes/make_scenes.py");
    for scene in ["animation", "still"] {
        blender(&["-P", writer, "--", folder.to_str().unwrap(), "--only", scene]);
    }
    let table = [
        ("png8", "PNG", "png", Format::Png, Depth::U8, "image.color_mode = 'RGBA'"),
        ("png16", "PNG", "png", Format::Png, Depth::U16, "image.color_depth = '16'"),
        ("grey", "PNG", "png", Format::Png, Depth::U8, "image.color_mode = 'BW'"),
        ("jpeg", "JPEG", "jpg", Format::Jpeg, Depth::U8, "image.quality = 90"),
        (
            "half",
            "OPEN_EXR",
            "exr",
            Format::Exr,
            Depth::F32,
            "image.color_depth = '16'; image.exr_codec = 'ZIP'",
        ),
        (
            "float",
            "OPEN_EXR",
            "exr",
            Format::Exr,
            Depth::F32,
            "image.color_depth = '32'; image.exr_codec = 'PIZ'",
        ),
    ];
    for (name, engine_word, extension, format, depth, settings) in table {
        render(folder, "animation.blend", name, engine_word, settings, "2");
        let frames = files(folder, name, extension);
        let verified = check(&frames, format).unwrap_or_else(|refused| panic!("{name}: {refused}"));
        assert!(verified.iter().all(|frame| frame.depth == depth), "{name}: {verified:?}");
        // Cut at every thirty-second of each file.
        for (number, bytes) in &frames {
            for cut in (0..32).map(|part| bytes.len() * part / 32).chain([bytes.len() - 1]) {
                let answer = check(&[(*number, bytes[..cut].to_vec())], format);
                assert!(
                    matches!(answer, Err(PictureRefused::InFrame { .. })),
                    "{name} cut to {cut}: {answer:?}"
                );
            }
        }
    }

    // The same pixels from another number of threads, in files that differ by their metadata.
    render(folder, "animation.blend", "again", "PNG", "image.color_mode = 'RGBA'", "1");
    let (first, again) = (files(folder, "png8", "png"), files(folder, "again", "png"));
    assert_ne!(first, again);
    let hashes =
        |frames| check(frames, Format::Png).unwrap().into_iter().map(|frame| frame.pixels_sha256);
    assert!(hashes(&first).eq(hashes(&again)));

    // Eight and sixteen bits of one frame are close, two frames of a moving scene are not.
    let expect = Expect { format: Format::Png, width: 64, height: 36 };
    let frame = |bytes: &[u8]| decode(bytes, expect, &Limits::default()).unwrap();
    let (one, two) = (frame(&first[0].1), frame(&first[2].1));
    let deep = frame(&files(folder, "png16", "png")[0].1);
    assert!(compare(&one, Region::whole(&one), &deep, (0, 0)).unwrap().psnr_db > 45.0);
    assert!(compare(&one, Region::whole(&one), &two, (0, 0)).unwrap().psnr_db < 40.0);

    render(folder, "still.blend", "still", "PNG", "image.color_mode = 'RGBA'", "2");
    let frames = files(folder, "still", "png");
    assert!(all_alike(&check(&frames, Format::Png).unwrap()));
}
