//! Which frames a job renders.

use serde::{Deserialize, Serialize};

/// A job of more frames than this is refused.
pub const FRAMES_MAX: u64 = 100_000;

/// Frames `start` to `end`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameRange {
    pub start: i32,
    pub end: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotFrames {
    #[error("frames.end must not lie before frames.start")]
    Reversed,
    #[error("a job renders at most 100,000 frames")]
    TooMany,
    #[error("frame numbers lie between -1,048,574 and 1,048,574, as in Blender")]
    OutOfRange,
}

/// Blender's own bounds (MINAFRAME, MAXFRAME).
const FRAME_NUMBER_MAX: i32 = 1_048_574;

impl FrameRange {
    pub fn new(start: i64, end: i64) -> Result<FrameRange, NotFrames> {
        let within = |frame: i64| {
            i32::try_from(frame)
                .ok()
                .filter(|frame| frame.unsigned_abs() <= FRAME_NUMBER_MAX as u32)
        };
        let (Some(start), Some(end)) = (within(start), within(end)) else {
            return Err(NotFrames::OutOfRange);
        };
        if end < start {
            return Err(NotFrames::Reversed);
        }
        let range = FrameRange { start, end };
        if range.count() > FRAMES_MAX { Err(NotFrames::TooMany) } else { Ok(range) }
    }

    pub const fn single(frame: i32) -> FrameRange {
        FrameRange { start: frame, end: frame }
    }

    pub const fn count(&self) -> u64 {
        self.end.abs_diff(self.start) as u64 + 1
    }

    pub fn list(&self) -> Vec<i32> {
        (self.start..=self.end).collect()
    }

    pub const fn contains(&self, frame: i32) -> bool {
        self.start <= frame && frame <= self.end
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_range_is_ordered_and_bounded() {
        assert_eq!(FrameRange::new(1, 8).map(|r| r.count()), Ok(8));
        assert_eq!(FrameRange::new(-3, 0).map(|r| r.list()), Ok(vec![-3, -2, -1, 0]));
        assert_eq!(FrameRange::new(2, 1), Err(NotFrames::Reversed));
        assert_eq!(FrameRange::new(1, 100_000).map(|r| r.count()), Ok(100_000));
        assert_eq!(FrameRange::new(0, 100_000), Err(NotFrames::TooMany));
        assert_eq!(FrameRange::new(0, 1_048_575), Err(NotFrames::OutOfRange));
        assert_eq!(FrameRange::new(i64::MIN, i64::MAX), Err(NotFrames::OutOfRange));
    }

    proptest! {
        #[test]
        fn the_count_is_the_length_of_the_list(start in -2_000_i64..2_000, length in 0_i64..500) {
            let range = FrameRange::new(start, start + length).expect("in bounds");
            prop_assert_eq!(range.count(), range.list().len() as u64);
        }
    }
}
