//! Any bytes under any name: no panic, no unsafe name.

mod hand;

use framefair_blend::{FILE_NAME_MAX, Format, inspect, safe_file_name};
use hand::{Shape, gzip, zstd};
use proptest::prelude::*;

fn format() -> impl Strategy<Value = Format> {
    prop::sample::select(Format::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn no_bytes_panic(format in format(), bytes in prop::collection::vec(any::<u8>(), 0..400), beyond in 0_u64..1 << 40) {
        let size = bytes.len() as u64;
        let _ = inspect(&format!("a{format}"), &bytes, size);
        let _ = inspect(&format!("a{format}"), &bytes, size + beyond);
        let _ = inspect(&format!("a{format}"), &bytes, beyond);
    }

    #[test]
    fn no_change_to_a_valid_file_panics(
        version in prop::sample::select(vec![Shape::V304, Shape::V500, Shape { big_endian: true, ..Shape::V304 }]),
        packing in 0..3,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let plain = version.file(1, 8, "Scene");
        let mut file = match packing { 0 => plain, 1 => zstd(&plain), _ => gzip(&plain) };
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        let _ = inspect("a.blend", &file, file.len() as u64);
        let _ = inspect("a.blend", &file[..cut.index(file.len())], file.len() as u64);
    }

    #[test]
    fn no_text_with_a_true_beginning_panics(
        start in prop::sample::select(vec![
            "", "v 1 2 3\n", "solid x\nfacet normal", "{\"asset\":", "<?xml?><COLLADA ", "<COLLADA version=", "; FBX",
            "Kaydara FBX Binary  \0\x1a\0", "glTF\x02\0\0\0", "BLENDER", "BLENDER-v304REND", "BLENDER17-01v0500REND",
        ]),
        rest in prop::collection::vec(any::<u8>(), 0..100),
        format in format(),
    ) {
        let file = [start.as_bytes(), &rest].concat();
        let _ = inspect(&format!("a{format}"), &file, file.len() as u64);
    }

    #[test]
    fn every_name_becomes_safe_and_stays_so(name in any::<String>()) {
        let safe = safe_file_name(&name);
        prop_assert!(!safe.is_empty() && safe.len() <= FILE_NAME_MAX);
        prop_assert!(safe.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)));
        prop_assert!(!safe.starts_with('.') && !safe.starts_with('-') && !safe.ends_with('.'));
        prop_assert_eq!(safe_file_name(&safe), safe);
    }

    #[test]
    fn a_safe_name_keeps_its_format(name in "\\PC{0,300}", format in format()) {
        let name = format!("{name}{format}");
        prop_assert_eq!(Format::of_file_name(&safe_file_name(&name)), Format::of_file_name(&name));
    }
}
