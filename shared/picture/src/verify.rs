//! Whether a task's frames are what was ordered: exactly those, each whole, of the right size, showing something. Knows
//! no job and no payment; holds one decoded frame at a time.

use std::collections::BTreeMap;

use crate::{Depth, Expect, Limits, PictureRefused, decode};

/// A frame that passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    pub frame: i32,
    /// As [`crate::Frame::pixels_sha256`].
    pub pixels_sha256: [u8; 32],
    pub width: u32,
    pub height: u32,
    pub depth: Depth,
    /// Size of the file.
    pub bytes: u64,
}

/// Takes the frames of one task one by one, in any order.
///
/// A refused frame leaves no trace, so that a task goes on only if its sender can send that frame again.
#[derive(Debug)]
pub struct Verifier {
    /// Every ordered frame, with what is known of it so far.
    frames: BTreeMap<i32, Option<Verified>>,
    expect: Expect,
    limits: Limits,
}

impl Verifier {
    pub fn new(expected: &[i32], expect: Expect, limits: Limits) -> Result<Self, PictureRefused> {
        if expected.is_empty() {
            return Err(PictureRefused::NothingExpected);
        }
        let frames = expected.iter().map(|frame| (*frame, None)).collect();
        Ok(Self { frames, expect, limits })
    }

    pub fn push(&mut self, frame: i32, bytes: &[u8]) -> Result<Verified, PictureRefused> {
        match self.frames.get_mut(&frame) {
            None => Err(PictureRefused::UnexpectedFrame { frame }),
            Some(Some(_)) => Err(PictureRefused::DuplicateFrame { frame }),
            Some(slot @ None) => {
                let picture = decode(bytes, self.expect, &self.limits)
                    .and_then(|picture| {
                        if picture.uniform { Err(PictureRefused::Uniform) } else { Ok(picture) }
                    })
                    .map_err(|reason| reason.in_frame(frame))?;
                let verified = Verified {
                    frame,
                    pixels_sha256: picture.pixels_sha256,
                    width: picture.width,
                    height: picture.height,
                    depth: picture.depth,
                    bytes: bytes.len() as u64,
                };
                *slot = Some(verified);
                Ok(verified)
            }
        }
    }

    /// All frames in order, if each has come.
    pub fn finish(self) -> Result<Vec<Verified>, PictureRefused> {
        let mut missing =
            self.frames.iter().filter(|(_, known)| known.is_none()).map(|(frame, _)| *frame);
        if let Some(first) = missing.next() {
            return Err(PictureRefused::MissingFrames { first, count: missing.count() + 1 });
        }
        Ok(self.frames.into_values().flatten().collect())
    }
}

/// Whether several frames show one picture: no fault by itself, since a scene may stand still.
pub fn all_alike(frames: &[Verified]) -> bool {
    let alike = frames.windows(2).all(|pair| pair[0].pixels_sha256 == pair[1].pixels_sha256);
    frames.len() > 1 && alike
}

/// The whole of a task at once, for callers that have its frames at hand or can make them one by one.
pub fn verify_task<B: AsRef<[u8]>>(
    frames: impl IntoIterator<Item = (i32, B)>,
    expected: &[i32],
    expect: Expect,
    limits: &Limits,
) -> Result<Vec<Verified>, PictureRefused> {
    let mut verifier = Verifier::new(expected, expect, *limits)?;
    for (frame, bytes) in frames {
        verifier.push(frame, bytes.as_ref())?;
    }
    verifier.finish()
}
