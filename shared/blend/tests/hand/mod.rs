//! Builds .blend files byte by byte, in each layout there has been. Knows nothing of the code under test.

#![allow(dead_code, reason = "each test file uses its own part of this one")]
#![allow(clippy::unwrap_used, reason = "only tests call this")]

use std::io::Write;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heads {
    P32,
    P64,
    Large,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) heads: Heads,
    pub(crate) big_endian: bool,
    pub(crate) version: u16,
}

impl Shape {
    pub(crate) const V304: Self = Self { heads: Heads::P64, big_endian: false, version: 304 };
    pub(crate) const V500: Self = Self { heads: Heads::Large, big_endian: false, version: 500 };

    pub(crate) fn header(self) -> Vec<u8> {
        match self.heads {
            Heads::Large => format!("BLENDER17-01v{:04}", self.version).into_bytes(),
            heads => {
                let pointers = if heads == Heads::P32 { '_' } else { '-' };
                let order = if self.big_endian { 'V' } else { 'v' };
                format!("BLENDER{pointers}{order}{:03}", self.version).into_bytes()
            }
        }
    }

    pub(crate) fn word(self, number: i32) -> [u8; 4] {
        if self.big_endian { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    /// A block that claims `len` bytes, whatever its body has.
    pub(crate) fn block_of(self, code: &[u8; 4], len: i64, body: &[u8]) -> Vec<u8> {
        let mut block = code.to_vec();
        match self.heads {
            Heads::Large => {
                block.extend(0_i32.to_le_bytes());
                block.extend(0x7fff_1234_u64.to_le_bytes());
                block.extend(len.to_le_bytes());
                block.extend(1_i64.to_le_bytes());
            }
            heads => {
                block.extend(self.word(len as i32));
                block.extend(vec![7; if heads == Heads::P32 { 4 } else { 8 }]);
                block.extend(self.word(0));
                block.extend(self.word(1));
            }
        }
        block.extend(body);
        block
    }

    pub(crate) fn block(self, code: &[u8; 4], body: &[u8]) -> Vec<u8> {
        self.block_of(code, body.len() as i64, body)
    }

    pub(crate) fn rend(self, start: i32, end: i32, name: &str) -> Vec<u8> {
        let mut body = [self.word(start), self.word(end)].concat();
        let field = if self.heads == Heads::Large { 256 } else { 64 };
        body.extend(name.bytes().chain(std::iter::repeat(0)).take(field));
        self.block(b"REND", &body)
    }

    pub(crate) fn thumbnail(self, width: i32, height: i32, rgba: &[u8]) -> Vec<u8> {
        let mut body = [self.word(width), self.word(height)].concat();
        body.extend(rgba);
        self.block(b"TEST", &body)
    }

    /// What stands after the preamble of any file, in miniature.
    pub(crate) fn tail(self) -> Vec<u8> {
        [
            self.block(b"GLOB", &[1; 40]),
            self.block(b"SC\0\0", &[2; 100]),
            self.block(b"DATA", &[3; 10]),
            self.block(b"DNA1", b"SDNANAME"),
            self.block(b"ENDB", b""),
        ]
        .concat()
    }

    pub(crate) fn file(self, start: i32, end: i32, name: &str) -> Vec<u8> {
        [self.header(), self.rend(start, end, name), self.tail()].concat()
    }
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

/// As Blender writes it: one frame for each piece, then a skippable frame with an index.
pub(crate) fn zstd_in_frames(bytes: &[u8], piece: usize) -> Vec<u8> {
    let mut packed: Vec<u8> = bytes.chunks(piece).flat_map(zstd).collect();
    packed.extend([0x5e, 0x2a, 0x4d, 0x18, 9, 0, 0, 0]);
    packed.extend([0, 0, 0, 0, 0, 0xb1, 0xea, 0x92, 0x8f]);
    packed
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
