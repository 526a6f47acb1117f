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

/// A clock that is wrong, here or at the hub, makes no render shorter or longer than these.
const WALL_MIN: Duration = Duration::from_secs(10 * 60);
const WALL_MAX: Duration = Duration::from_secs(24 * 60 * 60);

impl Limits {
    /// Generous limits for a machine: one hour, most of the memory.
    pub fn for_machine(cores: u32, memory_bytes: u64) -> Self {
        let wall = Duration::from_secs(3600);
        Self {
            wall,
            cpu_seconds: cpu_seconds(wall, cores),
            memory_bytes: (memory_bytes / 10).saturating_mul(9).max(2 << 30),
            file_bytes: 1 << 30,
            output_bytes: 16 << 30,
        }
    }

    /// The same for a task whose lease ends after `left`.
    #[must_use]
    pub fn until(self, left: Duration, cores: u32) -> Self {
        let wall = left.clamp(WALL_MIN, WALL_MAX);
        Self { wall, cpu_seconds: cpu_seconds(wall, cores), ..self }
    }
}

fn cpu_seconds(wall: Duration, cores: u32) -> u64 {
    wall.as_secs().saturating_mul(u64::from(cores.max(1)))
}
