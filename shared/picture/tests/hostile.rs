//! Any bytes: no panic; any cut: refused.

mod paint;

use std::io::Cursor;

use framefair_picture::{Expect, Format, Limits, Unzip, ZipLimits, decode, zip_frames};
use paint::{PNG, pack, png, rgb8, rgba_float, rgba8, rgba16};
use proptest::prelude::*;

fn format() -> impl Strategy<Value = Format> {
    prop::sample::select(Format::ALL.to_vec())
}

fn valid(format: Format) -> Vec<u8> {
    match format {
        Format::Png => png(&rgba8(24, 16, 1)),
        Format::Jpeg => pack(&rgb8(24, 16), format),
        Format::Exr => pack(&rgba_float(24, 16), format),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_panic(format in format(), bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let magic: &[u8] = match format {
            Format::Png => b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x18\0\0\0\x10",
            Format::Jpeg => b"\xff\xd8\xff",
            Format::Exr => b"\x76\x2f\x31\x01\x02\0\0\0",
        };
        let _ = decode(&bytes, Expect { format, ..PNG }, &Limits::default());
        let _ = decode(&[magic, &bytes].concat(), Expect { format, ..PNG }, &Limits::default());
        let _ = decode(&[magic, &bytes, b"\xff\xd9"].concat(), Expect { format, ..PNG }, &Limits::default());
    }

    #[test]
    fn no_change_to_a_valid_picture_panics(
        format in format(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = valid(format);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = decode(&bytes, Expect { format, ..PNG }, &Limits::default());
    }

    #[test]
    fn any_cut_of_any_png_is_refused(
        width in 1_u32..40, height in 1_u32..40, seed in any::<u8>(), deep in any::<bool>(), cut in any::<prop::sample::Index>(),
    ) {
        let picture = if deep { rgba16(width, height) } else { rgba8(width, height, seed) };
        let bytes = png(&picture);
        let expect = Expect { format: Format::Png, width, height };
        prop_assert!(decode(&bytes, expect, &Limits::default()).is_ok());
        prop_assert!(decode(&bytes[..cut.index(bytes.len())], expect, &Limits::default()).is_err());
    }

    #[test]
    fn no_change_to_a_zip_panics_or_yields_an_unsafe_name(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut zip = zip_frames(Vec::new(), "a", Format::Png, [(1, &bytes), (2, &bytes)]).unwrap();
        for (at, byte) in changes {
            let at = at.index(zip.len());
            zip[at] = byte;
        }
        for file in [&zip, &bytes] {
            let Ok(unzip) = Unzip::open(Cursor::new(file), ZipLimits::for_frames(4)) else { continue };
            for entry in unzip.flatten() {
                prop_assert!(entry.name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)));
            }
        }
    }
}
