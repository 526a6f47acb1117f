//! That a stranger's zip yields the frames that were asked for, or nothing at all.

use std::fs;

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and the rest of a picture";

struct Place {
    folder: tempfile::TempDir,
    target: Target,
}

fn place(frames: Frames) -> Place {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let scratch = out.join(".framefair");
    fs::create_dir_all(&scratch).unwrap();
    Place {
        folder,
        target: Target { out, scratch, name: "scene".to_owned(), frames, picture: Picture::Png },
    }
}

impl Place {
    fn unpack(&self, bytes: &[u8]) -> Result<Vec<String>, NotAResult> {
        let path = self.folder.path().join("result");
        fs::write(&path, bytes).unwrap();
        let files = unpack(File::open(&path).unwrap(), &self.target)?;
        Ok(files
            .iter()
            .map(|file| file.file_name().unwrap().to_str().unwrap().to_owned())
            .collect())
    }

    /// Everything under the folder but the result itself.
    fn left_behind(&self) -> Vec<PathBuf> {
        let list = |folder: &Path| {
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect::<Vec<_>>()
        };
        let mut all = list(&self.target.out);
        all.extend(list(&self.target.scratch));
        all.extend(list(self.folder.path()));
        all.retain(|path| ![".framefair", "out", "result"].iter().any(|name| path.ends_with(name)));
        all
    }
}

fn zipped(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(io::Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn one_picture_becomes_one_file_named_by_its_frame() {
    let place = place(Frames::one(7));
    assert_eq!(place.unpack(PNG).unwrap(), ["scene_0007.png"]);
    let path = place.target.out.join("scene_0007.png");
    assert_eq!(fs::read(&path).unwrap(), PNG);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        let ordinary = place.folder.path().join("ordinary");
        fs::write(&ordinary, "").unwrap();
        assert_eq!(
            mode,
            fs::metadata(&ordinary).unwrap().permissions().mode(),
            "rights of any new file"
        );
    }
}

#[test]
fn a_zip_becomes_one_file_per_frame_whatever_it_calls_them() {
    let place = place(Frames { start: -1, end: 1 });
    let zip = zipped(&[("x_0001.png", PNG), ("0000.png", PNG), ("y_-0001.png", PNG)]);
    assert_eq!(
        place.unpack(&zip).unwrap(),
        ["scene_-0001.png", "scene_0000.png", "scene_0001.png"]
    );
    assert_eq!(place.left_behind().len(), 3, "no scaffolding stays");
}

#[test]
fn files_of_an_earlier_render_are_replaced() {
    let place = place(Frames::one(1));
    fs::write(place.target.out.join("scene_0001.png"), "old").unwrap();
    place.unpack(PNG).unwrap();
    assert_eq!(fs::read(place.target.out.join("scene_0001.png")).unwrap(), PNG);
}

#[test]
fn a_name_that_is_a_path_is_refused_and_leaves_no_mark() {
    for name in [
        "../a_0002.png",
        "/tmp/a_0002.png",
        "a/../../b_0002.png",
        "..\\a_0002.png",
        "C:a_0002.png",
        "a/0002.png",
        "0002",
        ".png",
        "a_.png",
        "a_99999999999.png",
        "a_0002.png/",
        "\0_0002.png",
    ] {
        let place = place(Frames { start: 1, end: 2 });
        let refused = place.unpack(&zipped(&[("a_0001.png", PNG), (name, PNG)])).unwrap_err();
        assert!(matches!(refused, NotAResult::OddEntry), "{name}: {refused:?}");
        assert_eq!(place.left_behind(), Vec::<PathBuf>::new(), "{name}");
    }
}

#[test]
fn a_zip_must_hold_exactly_the_frames_that_were_asked_for() {
    let two = Frames { start: 1, end: 2 };
    let refused = |entries: &[(&str, &[u8])]| place(two).unpack(&zipped(entries)).unwrap_err();
    assert!(matches!(refused(&[("1.png", PNG)]), NotAResult::Missing(2)));
    assert!(matches!(refused(&[]), NotAResult::Neither(_) | NotAResult::Missing(1)));
    assert!(matches!(
        refused(&[("1.png", PNG), ("2.png", PNG), ("3.png", PNG)]),
        NotAResult::Unasked(3)
    ));
    assert!(matches!(refused(&[("1.png", PNG), ("01.png", PNG)]), NotAResult::Twice(1)));
    assert!(matches!(
        refused(&[("1.png", PNG), ("2.png", b"\x7fELF")]),
        NotAResult::WrongFormat(2)
    ));
}

#[test]
fn links_and_folders_in_a_zip_are_refused() {
    let mut zip = ZipWriter::new(io::Cursor::new(Vec::new()));
    zip.add_symlink("a_0001.png", "/etc/passwd", SimpleFileOptions::default()).unwrap();
    let bytes = zip.finish().unwrap().into_inner();
    assert!(matches!(place(Frames::one(1)).unpack(&bytes), Err(NotAResult::OddEntry)));
    let mut zip = ZipWriter::new(io::Cursor::new(Vec::new()));
    zip.add_directory("a_0001.png", SimpleFileOptions::default()).unwrap();
    let bytes = zip.finish().unwrap().into_inner();
    assert!(matches!(place(Frames::one(1)).unpack(&bytes), Err(NotAResult::OddEntry)));
}

#[test]
fn what_is_no_picture_is_refused() {
    for bytes in
        [&b""[..], b"\x89PN", b"<html>", b"\xff\xd8\xff\xe0 a JPEG", b"PK\x03\x04 and no zip"]
    {
        let place = place(Frames::one(1));
        assert!(place.unpack(bytes).is_err(), "{bytes:?}");
        assert_eq!(place.left_behind(), Vec::<PathBuf>::new());
    }
    let lone = place(Frames { start: 1, end: 2 }).unpack(PNG).unwrap_err();
    assert!(matches!(lone, NotAResult::OnePicture(2)));
}
