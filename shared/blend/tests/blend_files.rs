//! .blend files of every layout, by hand: what is read from them, and each reason to refuse one.

mod hand;

use framefair_blend::{
    BlenderVersion, Compression, Format, FrameRange, HEAD_BYTES, Scene, SceneRefused, inspect,
};
use hand::{Heads, Shape, gzip, zstd, zstd_in_frames};

fn read(file: &[u8]) -> Result<Scene, SceneRefused> {
    inspect("scene.blend", &file[..file.len().min(HEAD_BYTES)], file.len() as u64)
}

#[test]
fn every_layout_tells_version_range_and_name() {
    let table = [
        (Shape { heads: Heads::P32, big_endian: false, version: 249 }, (2, 49)),
        (Shape { heads: Heads::P32, big_endian: true, version: 249 }, (2, 49)),
        (Shape { heads: Heads::P64, big_endian: false, version: 279 }, (2, 79)),
        (Shape { heads: Heads::P64, big_endian: true, version: 279 }, (2, 79)),
        (Shape { heads: Heads::P64, big_endian: false, version: 280 }, (2, 80)),
        (Shape::V304, (3, 4)),
        (Shape { heads: Heads::P64, big_endian: false, version: 405 }, (4, 5)),
        (Shape::V500, (5, 0)),
        (Shape { heads: Heads::Large, big_endian: false, version: 502 }, (5, 2)),
    ];
    for (shape, (major, minor)) in table {
        let plain = shape.file(-3, 250, "Szene Ä");
        let packings = [
            (Compression::None, plain.clone()),
            (Compression::Zstd, zstd(&plain)),
            (Compression::Zstd, zstd_in_frames(&plain, 37)),
            (Compression::Gzip, gzip(&plain)),
        ];
        for (compression, file) in packings {
            let scene = read(&file)
                .unwrap_or_else(|refused| panic!("{shape:?} {compression:?}: {refused}"));
            assert_eq!(scene.format, Format::Blend);
            assert_eq!(scene.blender, Some(BlenderVersion { major, minor }), "{shape:?}");
            assert_eq!(scene.frames, Some(FrameRange { start: -3, end: 250 }), "{shape:?}");
            assert_eq!(scene.scene_name.as_deref(), Some("Szene Ä"), "{shape:?}");
            assert_eq!(scene.compression, compression);
            assert_eq!(scene.thumbnail, None);
        }
    }
}

#[test]
fn the_thumbnail_is_turned_the_right_way_up() {
    let shape = Shape::V304;
    let (bottom, top) = ([1, 2, 3, 4, 5, 6, 7, 8], [9, 10, 11, 12, 13, 14, 15, 16]);
    let thumbnail = shape.thumbnail(2, 2, &[bottom, top].concat());
    let file = [shape.header(), shape.rend(1, 8, "Scene"), thumbnail, shape.tail()].concat();
    let thumbnail = read(&file).unwrap().thumbnail.unwrap();
    assert_eq!((thumbnail.width, thumbnail.height), (2, 2));
    assert_eq!(thumbnail.rgba, [top, bottom].concat());
}

#[test]
fn a_thumbnail_that_lies_about_its_size_is_left_out() {
    let shape = Shape::V304;
    for (width, height, bytes) in
        [(2, 2, 15), (-1, 4, 16), (0, 0, 0), (i32::MAX, i32::MAX, 16), (600, 1, 2400)]
    {
        let thumbnail = shape.thumbnail(width, height, &vec![9; bytes]);
        let file = [shape.header(), shape.rend(1, 8, "Scene"), thumbnail, shape.tail()].concat();
        assert_eq!(read(&file).unwrap().thumbnail, None, "{width}x{height}");
    }
}

#[test]
fn of_a_big_file_the_head_is_enough() {
    let shape = Shape::V304;
    let body = [
        shape.header(),
        shape.rend(5, 9, "Big"),
        shape.block(b"GLOB", &[0; 64]),
        shape.block(b"DATA", &vec![5; 3 << 20]),
        shape.block(b"DNA1", b"SDNA"),
        shape.block(b"ENDB", b""),
    ]
    .concat();
    for file in [body.clone(), zstd_in_frames(&body, 1 << 20), gzip(&body)] {
        assert_eq!(read(&file).unwrap().frames, Some(FrameRange { start: 5, end: 9 }));
        // The same with the head cut shorter still, as a ranged read may deliver it.
        let scene = inspect("big.blend", &file[..file.len().min(2000)], file.len() as u64);
        if file == body {
            assert_eq!(scene.unwrap().frames, Some(FrameRange { start: 5, end: 9 }));
        }
    }
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    for shape in
        [Shape::V304, Shape::V500, Shape { heads: Heads::P32, big_endian: true, version: 250 }]
    {
        let plain = shape.file(1, 8, "Scene");
        // The end mark is told by its name alone; what follows it does not matter.
        let end = plain.len() - shape.block(b"ENDB", b"").len() + 4;
        for len in 1..end {
            let refused = read(&plain[..len]).expect_err("cut");
            assert!(
                matches!(
                    refused,
                    SceneRefused::Truncated { .. } | SceneRefused::NotWhatItsNameSays { .. }
                ),
                "{shape:?} cut to {len}: {refused:?}"
            );
        }
        for packed in [zstd(&plain), gzip(&plain)] {
            for len in 4..packed.len() {
                assert!(read(&packed[..len]).is_err(), "packed, cut to {len} of {}", packed.len());
            }
        }
    }
}

#[test]
fn impossible_frame_ranges_are_refused() {
    let table =
        [(8, 1), (0, -1), (i32::MIN, 0), (0, i32::MAX), (i32::MAX, i32::MIN), (-1_048_575, 1)];
    for (start, end) in table {
        for shape in [Shape::V304, Shape::V500] {
            let refused = read(&shape.file(start, end, "Scene")).unwrap_err();
            assert_eq!(refused, SceneRefused::BadFrameRange { start, end });
        }
    }
    assert_eq!(read(&Shape::V304.file(7, 7, "One")).unwrap().frames.unwrap().count(), 1);
}

#[test]
fn a_library_without_a_scene_has_nothing_to_render() {
    let shape = Shape::V304;
    let library = [shape.header(), shape.tail()].concat();
    assert!(matches!(read(&library), Err(SceneRefused::NothingInside { .. })));
    let ancient = Shape { version: 245, ..shape };
    let ancient = [ancient.header(), ancient.tail()].concat();
    assert_eq!(read(&ancient).unwrap().frames, None, "the oldest files hold their range elsewhere");
}

#[test]
fn unknown_versions_are_refused() {
    let mut table = vec![Shape { version: 104, ..Shape::V304 }.file(1, 2, "S")];
    for header in
        ["BLENDER18-01v0500", "BLENDER17-02v0500", "BLENDER17-01V0500", "BLENDER17_01v0500"]
    {
        table.push([header.as_bytes(), &Shape::V500.rend(1, 2, "S"), &Shape::V500.tail()].concat());
    }
    for file in table {
        assert!(
            matches!(read(&file), Err(SceneRefused::UnsupportedVersion { .. })),
            "{:?}",
            &file[..17]
        );
    }
}

#[test]
fn damage_is_named() {
    let shape = Shape::V304;
    let start = [shape.header(), shape.rend(1, 8, "Scene")].concat();
    let noise =
        [shape.header(), (0..4000_u32).map(|n| (n * n * 37 + 11) as u8 | 0x80).collect()].concat();
    let table = [
        ("noise after the header", noise),
        (
            "negative length",
            [start.clone(), shape.block_of(b"DATA", -5, &[]), shape.tail()].concat(),
        ),
        (
            "frame range too short",
            [shape.header(), shape.block(b"REND", &[0; 4]), shape.tail()].concat(),
        ),
        (
            "frame range too long",
            [shape.header(), shape.block(b"REND", &[0; 5000]), shape.tail()].concat(),
        ),
        (
            "no structures",
            [start, shape.block(b"GLOB", &[1; 40]), shape.block(b"ENDB", b"")].concat(),
        ),
        ("no pointer size", [b"BLENDERxv304".as_slice(), &shape.tail()].concat()),
        ("no byte order", [b"BLENDER-x304".as_slice(), &shape.tail()].concat()),
        ("no version", [b"BLENDER-v3.4".as_slice(), &shape.tail()].concat()),
    ];
    for (what, file) in table {
        assert!(
            matches!(read(&file), Err(SceneRefused::Damaged { .. })),
            "{what}: {:?}",
            read(&file)
        );
    }
}

#[test]
fn a_block_that_reaches_past_the_end_of_a_big_file_is_refused() {
    for shape in [Shape::V304, Shape::V500] {
        let huge = if shape.heads == Heads::Large { i64::MAX } else { i64::from(i32::MAX) };
        let file = [shape.header(), shape.rend(1, 8, "S"), shape.block_of(b"DATA", huge, &[0; 64])]
            .concat();
        let refused = inspect("a.blend", &file, 5 << 20).unwrap_err();
        assert!(matches!(refused, SceneRefused::Truncated { .. }), "{refused:?}");
    }
}

#[test]
fn scene_names_lose_control_characters_and_bad_bytes() {
    let shape = Shape::V304;
    let mut file = shape.file(1, 2, "ab");
    let name = file.windows(2).position(|two| two == b"ab").unwrap();
    file[name..name + 4].copy_from_slice(b"a\x1b\xffb");
    assert_eq!(read(&file).unwrap().scene_name.as_deref(), Some("a\u{fffd}b"));
    assert_eq!(read(&shape.file(1, 2, "")).unwrap().scene_name, None);
}
