//! Files that unpack to far more than they are, in a process of their own: memory is measured by its peak.

mod hand;

use std::time::{Duration, Instant};

use framefair_blend::{FrameRange, HEAD_BYTES, SceneRefused, inspect};
use hand::{Shape, gzip, zstd};

/// Files of at most [`HEAD_BYTES`] that unpack to gibibytes, and what is to be read from each: frames or nothing.
fn bombs() -> Vec<(&'static str, Vec<u8>, bool)> {
    let zeros = vec![0; 64 << 20];
    let (start, shape) = (Shape::V304.header(), Shape::V304);
    let data = shape.block_of(b"DATA", i64::from(i32::MAX), &zeros);
    let scene = [start, shape.rend(1, 8, "Bomb"), shape.block(b"GLOB", &[0; 8]), data].concat();
    let fill = |first: Vec<u8>, piece: &[u8]| {
        let mut bomb = first;
        while bomb.len() + piece.len() <= HEAD_BYTES {
            bomb.extend(piece);
        }
        bomb
    };
    vec![
        ("zstd", fill(zstd(&scene), &zstd(&zeros)), true),
        ("zstd of zeros", fill(Vec::new(), &zstd(&zeros)), false),
        ("gzip", fill(gzip(&scene), &gzip(&zeros)), true),
        ("empty zstd frames", fill(Vec::new(), &zstd(b"")), false),
        ("empty gzip members", fill(Vec::new(), &gzip(b"")), false),
    ]
}

#[test]
fn bombs_cost_little_time_and_memory() {
    for (name, bomb, reads) in bombs() {
        let size = if reads { 20 << 30 } else { bomb.len() as u64 };
        std::fs::write("/proc/self/clear_refs", "5")
            .expect("Linux lets a process reset its own peak");
        let (before, began) = (peak_memory_kib(), Instant::now());
        let answer = inspect("bomb.blend", &bomb[..bomb.len().min(HEAD_BYTES)], size);
        let (took, grown) = (began.elapsed(), peak_memory_kib() - before);
        println!("{name}: {} bytes, {took:?}, {grown} KiB, {answer:?}", bomb.len());
        // Unoptimised, the worst takes a tenth of a second.
        assert!(took < Duration::from_secs(2), "{name} took {took:?}");
        assert!(grown <= 12 << 10, "{name} grew memory by {grown} KiB");
        assert_eq!(
            answer.ok().and_then(|scene| scene.frames),
            reads.then_some(FrameRange { start: 1, end: 8 }),
            "{name}"
        );
    }
}

#[test]
fn a_zstd_window_of_gibibytes_is_refused() {
    // Frame header: window descriptor 0xa0 asks for 1 GiB; then one raw last block of 4 bytes.
    let bomb = b"\x28\xb5\x2f\xfd\x00\xa0\x21\x00\x00BLEN";
    let refused = inspect("a.blend", bomb, bomb.len() as u64).unwrap_err();
    assert!(matches!(refused, SceneRefused::UnreadableCompression { .. }), "{refused:?}");
}

/// The highest resident memory of this process since the last reset, in KiB.
fn peak_memory_kib() -> u64 {
    std::fs::read_to_string("/proc/self/status")
        .expect("Linux tells a process about itself")
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok())
        .expect("the peak is told in kB")
}
