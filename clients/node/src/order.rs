//! What is to be rendered, as the node was told. Knows the bounds of an order, not how to carry it out.

use std::collections::HashSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::fault::{Fault, SceneReason};

/// Blender's own bound of a frame number, either sign.
pub const FRAME_MAX: i32 = 1_048_574;
/// The contract's bound of frames in one order.
pub const FRAMES_MAX: usize = 100_000;
/// The contract's bound of a side, in pixels.
pub const SIDE_MAX: u32 = 16_384;
/// The contract's bound of samples.
pub const SAMPLES_MAX: u32 = 65_536;

/// One task: a scene and what to make of it.
#[derive(Clone, Debug)]
pub struct Order {
    pub scene: PathBuf,
    /// The suffix that says how to read the scene, with its dot and in lower case: `.blend`, `.obj`.
    pub format: String,
    /// In the order in which they are to be rendered.
    pub frames: Vec<i32>,
    pub width: u32,
    pub height: u32,
    /// None: the scene's own; for a mesh, the first engine of the machine.
    pub engine: Option<Engine>,
    /// None: the scene's own.
    pub samples: Option<u32>,
    pub output: OutputFormat,
    /// Pinned, so that the same order gives the same pixels on every node.
    pub seed: u32,
    /// None: all cores.
    pub threads: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Engine {
    Cycles,
    Eevee,
}

impl Engine {
    /// As the scripts inside Blender spell it.
    pub fn word(self) -> &'static str {
        match self {
            Engine::Cycles => "CYCLES",
            Engine::Eevee => "EEVEE",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum OutputFormat {
    Png,
    Jpeg,
    Exr,
}

impl OutputFormat {
    pub fn word(self) -> &'static str {
        match self {
            OutputFormat::Png => "PNG",
            OutputFormat::Jpeg => "JPEG",
            OutputFormat::Exr => "EXR",
        }
    }

    /// Without a dot, as Blender appends it.
    pub fn suffix(self) -> &'static str {
        match self {
            OutputFormat::Png => "png",
            OutputFormat::Jpeg => "jpg",
            OutputFormat::Exr => "exr",
        }
    }
}

impl Order {
    /// The name of a frame's file: Blender's reading of `f_####`, sign first, four digits or more.
    pub fn file_name(&self, frame: i32) -> String {
        let sign = if frame < 0 { "-" } else { "" };
        format!("f_{sign}{:04}.{}", frame.unsigned_abs(), self.output.suffix())
    }

    /// Refuses what Blender would quietly change into something else.
    pub fn check(&self) -> Result<(), Fault> {
        let refuse = |why: String| Err(Fault::scene(SceneReason::Order, why));
        if self.frames.is_empty() {
            return refuse("the order names no frame".into());
        }
        if self.frames.len() > FRAMES_MAX {
            return refuse(format!("the order names more than {FRAMES_MAX} frames"));
        }
        if let Some(frame) =
            self.frames.iter().find(|frame| frame.unsigned_abs() > FRAME_MAX as u32)
        {
            return refuse(format!("frame {frame} is beyond Blender's {FRAME_MAX}"));
        }
        if self.frames.iter().collect::<HashSet<_>>().len() != self.frames.len() {
            return refuse("the order names a frame twice".into());
        }
        if [self.width, self.height].iter().any(|side| !(1..=SIDE_MAX).contains(side)) {
            return refuse(format!("a picture is 1 to {SIDE_MAX} pixels wide and high"));
        }
        if self.samples.is_some_and(|samples| !(1..=SAMPLES_MAX).contains(&samples)) {
            return refuse(format!("samples are 1 to {SAMPLES_MAX}"));
        }
        // Blender keeps the seed in a signed integer.
        if self.seed > i32::MAX as u32 {
            return refuse(format!("a seed is at most {}", i32::MAX));
        }
        Ok(())
    }
}
