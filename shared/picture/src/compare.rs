//! How far two frames differ within a region: a checked tile against the frame that was delivered. Knows no threshold:
//! what counts as honest is for others to say.

use crate::Frame;

/// A rectangle of pixels, counted from the left and the top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    pub x: u32,
    pub y: u32,
    pub width: u32,
    pub height: u32,
}

impl Region {
    pub fn whole(frame: &Frame) -> Self {
        Self { x: 0, y: 0, width: frame.width, height: frame.height }
    }

    fn within(self, frame: &Frame) -> bool {
        let fits = |at: u32, len: u32, side: u32| {
            len > 0 && at.checked_add(len).is_some_and(|end| end <= side)
        };
        fits(self.x, self.width, frame.width) && fits(self.y, self.height, frame.height)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the region is empty or reaches outside one of the frames")]
pub struct RegionOutside;

/// Difference of two pictures whose samples run from 0 to 1. These are measurements, not money: floats are right here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    pub mean_squared_error: f64,
    /// Peak signal-to-noise ratio in decibels: 8-bit pictures one level apart everywhere have 48; equal ones infinity.
    pub psnr_db: f64,
}

/// Compares the colours within `of_a` with those within a region of the same size that starts at `at_b`. Alpha counts
/// as a fourth colour where either picture has any transparency there.
pub fn compare(
    a: &Frame,
    of_a: Region,
    b: &Frame,
    at_b: (u32, u32),
) -> Result<Difference, RegionOutside> {
    let of_b = Region { x: at_b.0, y: at_b.1, ..of_a };
    if !of_a.within(a) || !of_b.within(b) {
        return Err(RegionOutside);
    }
    let (mut colour, mut alpha, mut transparent) = (0.0, 0.0, false);
    for row in 0..of_a.height {
        let (row_a, row_b) = (start(a, of_a, row), start(b, of_b, row));
        for column in 0..of_a.width as usize {
            let (at_a, at_b) = (row_a + column * 4, row_b + column * 4);
            let square = |channel: usize| {
                let difference = a.sample(at_a + channel) - b.sample(at_b + channel);
                difference * difference
            };
            colour += square(0) + square(1) + square(2);
            alpha += square(3);
            transparent |= a.sample(at_a + 3) < 1.0 || b.sample(at_b + 3) < 1.0;
        }
    }
    let pixels = f64::from(of_a.width) * f64::from(of_a.height);
    let mean_squared_error =
        if transparent { (colour + alpha) / (4.0 * pixels) } else { colour / (3.0 * pixels) };
    Ok(Difference { mean_squared_error, psnr_db: -10.0 * mean_squared_error.log10() })
}

/// Index of the first sample of a region's row.
fn start(frame: &Frame, region: Region, row: u32) -> usize {
    ((region.y + row) as usize * frame.width as usize + region.x as usize) * 4
}
