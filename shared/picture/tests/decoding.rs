//! One picture: what decodes, what its hash depends on, and each reason to refuse it.

mod paint;

use std::io::Write;

use framefair_picture::{Depth, Expect, Format, Limits, PictureRefused, decode};
use image::DynamicImage;
use paint::{
    EXR, JPEG, PNG, decoded, flat, pack, png, png_chunk, png_of, rgb8, rgba_float, rgba8, rgba16,
};

fn read(bytes: &[u8], expect: Expect) -> Result<framefair_picture::Frame, PictureRefused> {
    decode(bytes, expect, &Limits::default())
}

#[test]
fn every_ordered_format_decodes() {
    let table = [
        (png(&rgba8(24, 16, 1)), PNG, Depth::U8),
        (png(&rgb8(24, 16)), PNG, Depth::U8),
        (png(&rgba16(24, 16)), PNG, Depth::U16),
        (png(&rgba8(24, 16, 1).into_luma8().into()), PNG, Depth::U8),
        (png(&DynamicImage::from(rgba16(24, 16).into_luma_alpha16())), PNG, Depth::U16),
        (pack(&rgb8(24, 16), Format::Jpeg), JPEG, Depth::U8),
        (pack(&DynamicImage::from(rgb8(24, 16).into_luma8()), Format::Jpeg), JPEG, Depth::U8),
        (pack(&rgba_float(24, 16), Format::Exr), EXR, Depth::F32),
        (pack(&DynamicImage::from(rgba_float(24, 16).into_rgb32f()), Format::Exr), EXR, Depth::F32),
    ];
    for (number, (bytes, expect, depth)) in table.iter().enumerate() {
        let frame = read(bytes, *expect).unwrap_or_else(|refused| panic!("{number}: {refused}"));
        assert_eq!(
            (frame.width, frame.height, frame.format, frame.depth),
            (24, 16, expect.format, *depth)
        );
        assert!(!frame.uniform);
    }
}

/// Recomputed here from the documented layout, so that a change of the layout cannot pass unseen.
#[test]
fn the_hash_is_what_its_documentation_says() {
    use sha2::{Digest, Sha256};
    let start = |bits: u8| {
        [b"framefair-pixels-1\n".as_slice(), &24_u32.to_be_bytes(), &16_u32.to_be_bytes(), &[bits]]
            .concat()
    };
    let expected = [start(8), rgba8(24, 16, 1).into_rgba8().into_raw()].concat();
    assert_eq!(
        read(&png(&rgba8(24, 16, 1)), PNG).unwrap().pixels_sha256,
        *Sha256::digest(expected)
    );

    let samples = rgba16(24, 16).into_rgba16().into_raw();
    let expected =
        [start(16), samples.iter().flat_map(|sample| sample.to_be_bytes()).collect()].concat();
    assert_eq!(read(&png(&rgba16(24, 16)), PNG).unwrap().pixels_sha256, *Sha256::digest(expected));

    let samples = rgba_float(24, 16).into_rgba32f().into_raw();
    let expected =
        [start(32), samples.iter().flat_map(|sample| sample.to_be_bytes()).collect()].concat();
    let exr = pack(&rgba_float(24, 16), Format::Exr);
    assert_eq!(read(&exr, EXR).unwrap().pixels_sha256, *Sha256::digest(expected));
}

#[test]
fn the_hash_sees_pixels_and_nothing_else() {
    let picture = rgba8(24, 16, 1);
    let plain = png(&picture);
    let text = png_chunk(b"tEXt", b"Date\x002026-11-22 08:00:00");
    let dated = [&plain[..33], &text, &plain[33..]].concat();
    let hash = read(&plain, PNG).unwrap().pixels_sha256;
    assert_ne!(plain, dated);
    assert_eq!(read(&dated, PNG).unwrap().pixels_sha256, hash);

    let opaque = read(&png(&rgb8(24, 16)), PNG).unwrap().pixels_sha256;
    assert_eq!(read(&png(&rgb8(24, 16).into_rgba8().into()), PNG).unwrap().pixels_sha256, opaque);

    let mut other = picture.into_rgba8();
    other.get_pixel_mut(23, 15).0[2] ^= 1;
    assert_ne!(read(&png(&other.into()), PNG).unwrap().pixels_sha256, hash);
    // The same samples in another shape are another picture.
    let turned = Expect { width: 16, height: 24, ..PNG };
    let flat_hash = decoded(&flat(24, 16, [1, 2, 3, 4])).pixels_sha256;
    assert_ne!(
        decode(&png(&flat(16, 24, [1, 2, 3, 4])), turned, &Limits::default())
            .unwrap()
            .pixels_sha256,
        flat_hash
    );
}

#[test]
fn only_the_ordered_format_is_taken() {
    let all = [
        (png(&rgb8(24, 16)), Format::Png),
        (pack(&rgb8(24, 16), Format::Jpeg), Format::Jpeg),
        (pack(&rgba_float(24, 16), Format::Exr), Format::Exr),
        (b"GIF89a not ordered".to_vec(), Format::Png),
        (b"BLENDER-v304REND".to_vec(), Format::Png),
    ];
    for (bytes, is) in &all {
        for format in Format::ALL {
            let answer = read(bytes, Expect { format, ..PNG });
            if *is == format && !bytes.starts_with(b"GIF") && !bytes.starts_with(b"BLENDER") {
                assert!(answer.is_ok());
            } else {
                assert!(
                    matches!(answer, Err(PictureRefused::WrongFormat { expected, .. }) if expected == format)
                );
            }
        }
    }
    assert_eq!(read(b"", PNG).unwrap_err(), PictureRefused::Empty);
}

#[test]
fn only_the_ordered_size_is_taken() {
    for format in Format::ALL {
        let picture = if format == Format::Jpeg { rgb8(25, 16) } else { rgba_float(25, 16) };
        let picture = if format == Format::Png { rgba8(25, 16, 3) } else { picture };
        let refused = read(&pack(&picture, format), Expect { format, ..PNG }).unwrap_err();
        let expected = PictureRefused::WrongSize {
            width: 25,
            height: 16,
            expected_width: 24,
            expected_height: 16,
        };
        assert_eq!(refused, expected, "{format}");
    }
}

#[test]
fn a_picture_cut_anywhere_is_refused() {
    for (format, picture) in [
        (Format::Png, rgba8(24, 16, 1)),
        (Format::Jpeg, rgb8(24, 16)),
        (Format::Exr, rgba_float(24, 16)),
    ] {
        let whole = pack(&picture, format);
        assert!(read(&whole, Expect { format, ..PNG }).is_ok());
        for len in 0..whole.len() {
            assert!(
                read(&whole[..len], Expect { format, ..PNG }).is_err(),
                "{format} cut to {len} of {}",
                whole.len()
            );
        }
    }
}

#[test]
fn a_flipped_bit_in_a_png_is_refused() {
    let whole = png(&rgba8(24, 16, 1));
    for at in 8..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        assert!(read(&flipped, PNG).is_err(), "byte {at}");
    }
}

#[test]
fn declared_sizes_are_checked_before_memory_is_taken() {
    let limits = Limits::default();
    for (width, height) in [
        (u32::MAX, u32::MAX),
        (0x7fff_ffff, 1),
        (1, 0x7fff_ffff),
        (16_384, 16_384),
        (0, 16),
        (24, 0),
    ] {
        let bomb = png_of(width, height, &zlib(&[0; 64]));
        let expect = Expect { width, height, ..PNG };
        assert_eq!(
            decode(&bomb, expect, &limits).unwrap_err(),
            PictureRefused::TooLarge { width, height }
        );
        assert!(matches!(decode(&bomb, PNG, &limits), Err(PictureRefused::TooLarge { .. })));
    }
    let mut jpeg = pack(&rgb8(24, 16), Format::Jpeg);
    let frame = jpeg.windows(2).position(|mark| mark == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff; 4]);
    assert!(decode(&jpeg, JPEG, &limits).is_err());

    let exr = pack(&rgba_float(24, 16), Format::Exr);
    for name in [b"dataWindow".as_slice(), b"displayWindow"] {
        let mut exr = exr.clone();
        let at = exr.windows(name.len()).position(|window| window == name).unwrap()
            + name.len()
            + 1
            + 6
            + 4;
        exr[at + 8..at + 16].copy_from_slice(&[0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0x7f]);
        assert!(decode(&exr, EXR, &limits).is_err());
    }
}

#[test]
fn pixel_data_that_inflates_past_its_size_is_harmless() {
    // 24x16 RGBA needs 1,552 bytes; here are 64 MiB.
    let mut rows: Vec<u8> = (0..16).flat_map(|row| [vec![0], vec![row * 9; 96]].concat()).collect();
    rows.resize(64 << 20, 0);
    let bomb = png_of(24, 16, &zlib(&rows));
    let began = std::time::Instant::now();
    let _ = read(&bomb, PNG);
    assert!(began.elapsed().as_secs() < 10);
}

#[test]
fn too_many_bytes_are_refused_unread() {
    let limits = Limits { bytes_max: 100, ..Limits::default() };
    let refused = decode(&[0; 101], PNG, &limits).unwrap_err();
    assert_eq!(refused, PictureRefused::TooManyBytes { bytes: 101, bytes_max: 100 });
}

#[test]
fn what_a_viewer_shows_is_what_was_checked() {
    let whole = png(&rgba8(24, 16, 1));
    let animated =
        [&whole[..33], &png_chunk(b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]), &whole[33..]].concat();
    assert!(matches!(read(&animated, PNG), Err(PictureRefused::Unsupported { .. })));
    for more in [b"x".as_slice(), &png_chunk(b"tEXt", b"after\0end"), &whole] {
        assert!(matches!(read(&[&whole, more].concat(), PNG), Err(PictureRefused::Corrupt { .. })));
    }
}

#[test]
fn one_colour_is_uniform_however_it_is_stored() {
    let uniform = |picture: DynamicImage| decoded(&picture).uniform;
    assert!(uniform(flat(24, 16, [0, 0, 0, 255])), "black");
    assert!(uniform(flat(24, 16, [255, 0, 255, 255])), "the pink of a missing texture, everywhere");
    assert!(uniform(flat(24, 16, [9, 9, 9, 0])), "transparent");
    let mut hidden = flat(24, 16, [0; 4]).into_rgba8();
    hidden.pixels_mut().enumerate().for_each(|(number, pixel)| pixel.0[0] = number as u8);
    assert!(uniform(hidden.into()), "colours that full transparency hides");
    let mut dithered = flat(24, 16, [20, 20, 20, 255]).into_rgba8();
    dithered.pixels_mut().step_by(3).for_each(|pixel| pixel.0[1] += 1);
    assert!(uniform(dithered.clone().into()), "one level of dither");
    dithered.get_pixel_mut(3, 3).0[1] += 2;
    assert!(!uniform(dithered.into()), "a thing that can be seen");
    let mut shape = flat(24, 16, [0, 0, 0, 0]).into_rgba8();
    shape.get_pixel_mut(5, 5).0[3] = 255;
    assert!(!uniform(shape.into()), "a black shape on nothing");
    let mut deep = rgba16(24, 16).into_rgba16();
    deep.pixels_mut().for_each(|pixel| pixel.0 = [300, 300, 300, 65535]);
    assert!(uniform(deep.into()), "16 bits");
    let mut float = rgba_float(24, 16).into_rgba32f();
    float.pixels_mut().for_each(|pixel| pixel.0 = [0.5, 0.0, 0.0, 1.0]);
    assert!(read(&pack(&float.clone().into(), Format::Exr), EXR).unwrap().uniform, "floats");
    float.get_pixel_mut(1, 1).0[0] = 0.5001;
    assert!(!read(&pack(&float.into(), Format::Exr), EXR).unwrap().uniform, "floats that differ");
}

#[test]
fn orders_that_cannot_be_checked_are_known_beforehand() {
    let limits = Limits::default();
    assert!(limits.check_size(Format::Png, 7680, 4320).is_ok());
    assert!(limits.check_size(Format::Exr, 4096, 2160).is_ok());
    assert!(limits.check_size(Format::Exr, 7680, 4320).is_ok());
    assert!(limits.check_size(Format::Png, 16_384, 16_384).is_err());
    assert!(limits.check_size(Format::Jpeg, 16_385, 1).is_err());
    assert!(limits.check_size(Format::Png, u32::MAX, u32::MAX).is_err());
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory is enough")
}
