//! Pictures that nobody rendered, good and bad.

use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};

use crate::place::{HEIGHT, WIDTH};

fn png(width: u32, height: u32, pixel: impl Fn(u32, u32) -> [u8; 3]) -> Vec<u8> {
    let picture = RgbImage::from_fn(width, height, |x, y| Rgb(pixel(x, y)));
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).expect("a picture can be written");
    bytes.into_inner()
}

fn shade(x: u32, y: u32, lift: u8) -> [u8; 3] {
    let low = |n: u32| u8::try_from(n % 200).expect("below 200");
    [low(x * 2), low(y * 3), lift]
}

/// Of the ordered size, and showing something: nobody can tell that it is not the scene.
pub(crate) fn plausible(lift: u8) -> Vec<u8> {
    png(WIDTH, HEIGHT, |x, y| shade(x, y, lift))
}

pub(crate) fn too_small() -> Vec<u8> {
    png(WIDTH / 2, HEIGHT / 2, |x, y| shade(x, y, 9))
}

pub(crate) fn black() -> Vec<u8> {
    png(WIDTH, HEIGHT, |_, _| [0; 3])
}

pub(crate) fn truncated() -> Vec<u8> {
    let whole = plausible(7);
    whole[..whole.len() / 2].to_vec()
}
