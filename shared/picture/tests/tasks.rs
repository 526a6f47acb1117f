//! Whole tasks, comparisons and zips.

mod paint;

use std::io::{Cursor, Write};

use framefair_picture::{
    Expect, Format, FrameZip, Limits, PictureRefused, Region, Unzip, Verifier, ZipLimits,
    ZipRefused, all_alike, compare, frame_file_name, frame_number, verify_task, zip_frames,
};
use image::DynamicImage;
use paint::{PNG, decoded, flat, png, rgba8, rgba16};
use zip::{ZipWriter, write::SimpleFileOptions};

fn frames(numbers: &[i32]) -> Vec<(i32, Vec<u8>)> {
    numbers.iter().map(|number| (*number, png(&rgba8(24, 16, *number as u8)))).collect()
}

#[test]
fn exactly_the_ordered_frames_pass() {
    let expected = [1, 3, -5, 8];
    let verified = verify_task(frames(&[8, 1, -5, 3]), &expected, PNG, &Limits::default()).unwrap();
    assert_eq!(verified.iter().map(|frame| frame.frame).collect::<Vec<_>>(), [-5, 1, 3, 8]);
    assert_eq!(verified[1].pixels_sha256, decoded(&rgba8(24, 16, 1)).pixels_sha256);
    assert_eq!(verified[1].bytes, png(&rgba8(24, 16, 1)).len() as u64);

    let check = |numbers: &[i32]| {
        verify_task(frames(numbers), &expected, PNG, &Limits::default()).unwrap_err()
    };
    assert_eq!(check(&[1, 8]), PictureRefused::MissingFrames { first: -5, count: 2 });
    assert_eq!(check(&[]), PictureRefused::MissingFrames { first: -5, count: 4 });
    assert_eq!(check(&[1, 2]), PictureRefused::UnexpectedFrame { frame: 2 });
    assert_eq!(check(&[1, 3, 1]), PictureRefused::DuplicateFrame { frame: 1 });
    let none: [(i32, Vec<u8>); 0] = [];
    assert_eq!(
        verify_task(none, &[], PNG, &Limits::default()),
        Err(PictureRefused::NothingExpected)
    );
}

#[test]
fn a_refused_frame_names_itself_and_may_come_again() {
    let mut verifier = Verifier::new(&[1, 2], PNG, Limits::default()).unwrap();
    let good = png(&rgba8(24, 16, 9));
    verifier.push(1, &good).unwrap();
    let black = png(&flat(24, 16, [0, 0, 0, 255]));
    let small = png(&rgba8(23, 16, 1));
    for (bytes, word) in [
        (&black[..], "one colour"),
        (&small, "23x16"),
        (&good[..good.len() - 4], "cut short"),
        (b"", "empty"),
    ] {
        let refused = verifier.push(2, bytes).unwrap_err();
        assert!(matches!(refused, PictureRefused::InFrame { frame: 2, .. }));
        assert!(
            refused.to_string().starts_with("frame 2: ") && refused.to_string().contains(word),
            "{refused}"
        );
    }
    verifier.push(2, &png(&rgba8(24, 16, 10))).unwrap();
    assert_eq!(verifier.finish().unwrap().len(), 2);
}

#[test]
fn frames_that_show_one_picture_are_told_from_those_that_do_not() {
    let alike: Vec<_> = (1..=8).map(|number| (number, png(&rgba8(24, 16, 1)))).collect();
    let expected: Vec<i32> = (1..=8).collect();
    let look = |frames, expected: &[i32]| {
        all_alike(&verify_task(frames, expected, PNG, &Limits::default()).unwrap())
    };
    assert!(look(alike.clone(), &expected));
    assert!(!look(alike[..1].to_vec(), &[1]), "one frame alone is like no other");
    let mut one_differs = alike;
    one_differs[7].1 = png(&rgba8(24, 16, 2));
    assert!(!look(one_differs, &expected));
}

#[test]
fn differences_are_measured_in_decibels() {
    let a = decoded(&flat(24, 16, [100, 100, 100, 255]));
    let b = decoded(&flat(24, 16, [101, 101, 101, 255]));
    let whole = Region::whole(&a);
    let difference = compare(&a, whole, &b, (0, 0)).unwrap();
    assert!((difference.psnr_db - 48.130_8).abs() < 0.001, "{difference:?}");
    assert!(compare(&a, whole, &a, (0, 0)).unwrap().psnr_db.is_infinite());
    // The same picture at 8 and 16 bits.
    let deep = decoded(&DynamicImage::from(flat(24, 16, [100, 100, 100, 255]).into_rgba16()));
    assert!(compare(&a, whole, &deep, (0, 0)).unwrap().psnr_db > 150.0);
    // Only alpha differs.
    let clear = decoded(&flat(24, 16, [100, 100, 100, 0]));
    assert!((compare(&a, whole, &clear, (0, 0)).unwrap().mean_squared_error - 0.25).abs() < 1e-9);
}

#[test]
fn a_tile_is_compared_with_its_place_in_the_frame() {
    let picture = rgba8(24, 16, 5);
    let frame = decoded(&picture);
    let tile = decoded(&picture.crop_imm(6, 4, 8, 8));
    let at = |x, y| compare(&tile, Region::whole(&tile), &frame, (x, y));
    assert!(at(6, 4).unwrap().psnr_db.is_infinite());
    assert!(at(7, 4).unwrap().psnr_db < 40.0);
    assert!(at(17, 4).is_err() && at(u32::MAX, 4).is_err());
    assert!(compare(&tile, Region { x: 0, y: 0, width: 0, height: 1 }, &frame, (0, 0)).is_err());
    assert!(compare(&decoded(&rgba16(8, 8)), Region::whole(&tile), &frame, (0, 0)).is_ok());
}

#[test]
fn frame_files_are_named_as_blender_names_them() {
    let table = [
        ("scene", 1, "scene_0001.png"),
        ("scene", 12_345, "scene_12345.png"),
        ("scene", -3, "scene_-0003.png"),
        ("../a b", 1, "_a_b_0001.png"),
        ("", 1, "frame_0001.png"),
    ];
    for (name, frame, file) in table {
        assert_eq!(frame_file_name(name, frame, Format::Png), file);
        assert_eq!(frame_number(file), Some(frame));
    }
    let table = [
        ("0012.png", Some(12)),
        ("shot0012.exr", Some(12)),
        ("shot-0012.png", Some(12)),
        ("-0012.png", Some(-12)),
        ("a_7.png", Some(7)),
        ("final.png", None),
        ("0012", None),
        ("99999999999.png", None),
        (".png", None),
    ];
    for (file, frame) in table {
        assert_eq!(frame_number(file), frame, "{file}");
    }
}

#[test]
fn a_zip_of_frames_is_deterministic_and_comes_back_whole() {
    let numbers: Vec<i32> = (-2..20).collect();
    let make = || zip_frames(Vec::new(), "My shot", Format::Png, frames(&numbers)).unwrap();
    let zip = make();
    assert_eq!(zip, make());
    let entries: Vec<_> = Unzip::open(Cursor::new(&zip), ZipLimits::for_frames(22))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let back: Vec<_> =
        entries.iter().map(|entry| (entry.frame.unwrap(), entry.bytes.clone())).collect();
    assert_eq!(back, frames(&numbers));
    assert_eq!(entries[3].name, "My_shot_0001.png");
    let unzipped = entries.into_iter().map(|entry| (entry.frame.unwrap(), entry.bytes));
    assert!(verify_task(unzipped, &numbers, PNG, &Limits::default()).is_ok());
}

#[test]
fn a_frame_goes_into_a_zip_once() {
    let mut zip = FrameZip::new(Vec::new(), "a", Format::Png);
    zip.add(1, b"one").unwrap();
    assert!(zip.add(1, b"two").is_err());
}

/// Any other unzip program must read what we write.
#[test]
fn python_reads_our_zip() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zip");
    std::fs::write(&path, zip_frames(Vec::new(), "a", Format::Png, frames(&[1, 2, 3])).unwrap())
        .unwrap();
    let output = std::process::Command::new("python3")
        .args(["-m", "zipfile", "-t"])
        .arg(&path)
        .output()
        .expect("Python is needed: apt-get install -y python3");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn zip_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, SimpleFileOptions::default()).expect("a name that zips allow");
        zip.write_all(bytes).expect("memory is enough");
    }
    zip.finish().expect("memory is enough").into_inner()
}

fn unzip(zip: &[u8], limits: ZipLimits) -> Result<usize, ZipRefused> {
    Unzip::open(Cursor::new(zip), limits)?
        .collect::<Result<Vec<_>, _>>()
        .map(|entries| entries.len())
}

const SMALL: ZipLimits =
    ZipLimits { entries_max: 10, entry_bytes_max: 1000, total_bytes_max: 2500 };

#[test]
fn zips_with_path_tricks_are_refused() {
    for name in [
        "../a.png",
        "/etc/passwd",
        "a/b.png",
        "a\\b.png",
        "..",
        ".hidden",
        "C:a.png",
        "-rf",
        "a\0.png",
        "a\n.png",
        "ä.png",
        "a.",
    ] {
        assert!(
            matches!(unzip(&zip_of(&[(name, b"x")]), SMALL), Err(ZipRefused::UnsafeName)),
            "{name:?}"
        );
    }
    let same = zip_of(&[("A_0001.png", b"x"), ("a_0001.png", b"y")]);
    assert!(matches!(unzip(&same, SMALL), Err(ZipRefused::DuplicateName)));

    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.add_symlink("a_0001.png", "/etc/passwd", SimpleFileOptions::default()).unwrap();
    assert!(matches!(unzip(&zip.finish().unwrap().into_inner(), SMALL), Err(ZipRefused::NotAFile)));
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.add_directory("folder", SimpleFileOptions::default()).unwrap();
    assert!(matches!(unzip(&zip.finish().unwrap().into_inner(), SMALL), Err(ZipRefused::NotAFile)));
}

#[test]
fn zip_bombs_are_refused() {
    assert_eq!(unzip(&zip_of(&[("a", &[0; 1000]), ("b", &[0; 1000])]), SMALL).unwrap(), 2);
    assert!(
        matches!(unzip(&zip_of(&[("a", &[0; 1001])]), SMALL), Err(ZipRefused::TooLarge)),
        "one too big"
    );
    let three: Vec<(&str, &[u8])> = vec![("a", &[0; 900]), ("b", &[0; 900]), ("c", &[0; 900])];
    assert!(
        matches!(unzip(&zip_of(&three), SMALL), Err(ZipRefused::TooLarge)),
        "too much together"
    );

    // 10 MB of zeros whose directory claims 10 bytes.
    let zip = zip_of(&[("a", &[0; 10_000_000])]);
    let mut lying = zip.clone();
    let real = 10_000_000_u32.to_le_bytes();
    let places: Vec<usize> = (0..zip.len() - 4).filter(|at| zip[*at..at + 4] == real).collect();
    assert!(!places.is_empty());
    for at in places {
        lying[at..at + 4].copy_from_slice(&10_u32.to_le_bytes());
    }
    assert!(matches!(unzip(&lying, SMALL), Err(ZipRefused::TooLarge | ZipRefused::Damaged)));
}

#[test]
fn a_zip_with_an_endless_directory_is_refused_before_it_is_read() {
    let names: Vec<String> = (0..6_000).map(|number| format!("f{number}")).collect();
    let files: Vec<(&str, &[u8])> =
        names.iter().map(|name| (name.as_str(), b"".as_slice())).collect();
    let zip = zip_of(&files);
    assert!(matches!(unzip(&zip, SMALL), Err(ZipRefused::TooManyEntries { entries_max: 10 })));
    let eleven = zip_of(&files[..11]);
    assert!(matches!(unzip(&eleven, SMALL), Err(ZipRefused::TooManyEntries { entries_max: 10 })));
}

#[test]
fn a_damaged_zip_is_refused() {
    let zip = zip_frames(Vec::new(), "a", Format::Png, frames(&[1])).unwrap();
    let limits = ZipLimits::for_frames(1);
    let mut flipped = zip.clone();
    flipped[100] ^= 1;
    assert!(
        matches!(unzip(&flipped, limits), Err(ZipRefused::Damaged)),
        "{:?}",
        unzip(&flipped, limits)
    );
    for len in 0..zip.len() {
        assert!(unzip(&zip[..len], limits).is_err(), "cut to {len}");
    }
    assert!(unzip(&png(&rgba8(24, 16, 1)), limits).is_err());
}

#[test]
fn words_of_formats_are_those_of_the_contract() {
    for (format, word) in [(Format::Png, "PNG"), (Format::Jpeg, "JPEG"), (Format::Exr, "EXR")] {
        assert_eq!(format.to_string(), word);
        assert_eq!(word.parse::<Format>(), Ok(format));
        assert!(Expect { format, ..PNG } == Expect { format, width: 24, height: 16 });
    }
    assert!("png".parse::<Format>().is_err() && "GIF".parse::<Format>().is_err());
}
