//! How much of the machine one task may use. Knows numbers only; who enforces them is elsewhere.

use std::time::Duration;

/// The bounds of one render. Every one of them ends it when it is passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From start to the last frame, whatever the process does.
    pub wall: Duration,
    /// Processor time of Blender, all its threads together.
    pub cpu_seconds: u64,
    /// Address space of one process. Blender alone needs about 1 GB of it. Not applied while a GPU
    /// renders: its driver reserves far more address space than memory.
    pub memory_bytes: u64,
    /// The largest single file that may be written.
    pub file_bytes: u64,
    /// All files of the task together.
    pub output_bytes: u64,
}

impl Limits {
    /// Generous limits for a machine: one hour, most of the memory.
    pub fn for_machine(cores: u32, memory_bytes: u64) -> Self {
        let wall = Duration::from_secs(3600);
        Self {
            wall,
            cpu_seconds: wall.as_secs().saturating_mul(u64::from(cores.max(1))),
            memory_bytes: (memory_bytes / 10).saturating_mul(9).max(2 << 30),
            file_bytes: 1 << 30,
            output_bytes: 16 << 30,
        }
    }
}
