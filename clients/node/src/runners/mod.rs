//! Work that is no render: what a payload is turned into, and by whom. Knows kinds and files; nothing
//! of the hub, of sockets, or of where payloads come from and results go.
//!
//! A payload is a file on disk and so is what is made of it. What is trusted (giving bytes back,
//! measuring this machine) is done here; what runs a stranger's instructions is done by a process of
//! its own in the sandbox of the renders, because no check of ours would hold a hostile module back.
//! That process is this program once more, so its `main` begins by asking [`child`].

mod apart;
mod benchmark;
mod child;
mod echo;
mod fault;
mod generic;
mod inference;

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use benchmark::checksum as benchmark_checksum;
pub use child::child;
pub use fault::{Fault, PayloadReason};

use crate::fault::NodeReason;
use crate::limits::Limits;
use crate::sandbox::Sandbox;

/// What is to be done with a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Gives it back as it came.
    Echo,
    /// Measures this machine: `{"seconds": 3, "threads": 4}`, both optional. Whoever doubts the result
    /// computes its [`benchmark_checksum`].
    CpuBenchmark,
    /// Runs a WebAssembly command, WASI preview 1. The payload is the module itself, or JSON:
    /// `{"module_base64", "args", "env", "stdin" | "stdin_base64", "fuel"}`. The result is JSON:
    /// `{"exit_code", "stdout" | "stdout_base64", "stderr" | "stderr_base64", "fuel_used"}`.
    Generic,
    /// Runs an ONNX model once. The payload is JSON: `{"model_base64", "inputs"}`, the inputs an object by
    /// name or a list in the model's order, each `{"shape": [1, 2], "dtype": "f32", "data": [1, "NaN"]}`.
    /// The result is JSON: `{"outputs": {name: the same}}`.
    Inference,
}

const MIB: u64 = 1 << 20;

impl Kind {
    pub const ALL: &'static [Kind] =
        &[Kind::Echo, Kind::CpuBenchmark, Kind::Generic, Kind::Inference];

    /// The `job_type` that asks for it.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Echo => "echo",
            Kind::CpuBenchmark => "cpu_benchmark",
            Kind::Generic => "generic",
            Kind::Inference => "inference",
        }
    }

    /// None for every other type: renders have a way of their own.
    pub fn from_word(word: &str) -> Option<Kind> {
        Self::ALL.iter().copied().find(|kind| kind.word() == word)
    }

    /// Whether it runs in a process of its own, so that this program must be able to start itself.
    pub fn is_apart(self) -> bool {
        matches!(self, Kind::Generic | Kind::Inference)
    }

    /// The bounds of a payload of this kind. They are the same on every node that is large enough, so
    /// that a payload which passes them fails everywhere.
    pub fn limits(self) -> Limits {
        let wall = Duration::from_secs(10 * 60);
        let (memory_mib, file_mib) = match self {
            Kind::Echo | Kind::CpuBenchmark => (512, 64),
            // The module's own memory, the payload in it twice, and the engine.
            Kind::Generic => (generic::MEMORY_MIB + 768, 128),
            Kind::Inference => (4096, 256),
        };
        Limits {
            wall,
            cpu_seconds: wall.as_secs(),
            memory_bytes: memory_mib * MIB,
            file_bytes: file_mib * MIB,
            output_bytes: file_mib * MIB,
        }
    }
}

/// What came of a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub content_type: &'static str,
    /// Lies in the work folder that the runner was given.
    pub file: PathBuf,
}

pub(crate) const JSON: &str = "application/json";
pub(crate) const BYTES: &str = "application/octet-stream";

/// A program whose `main` asks [`child`], and what it must be given before the words for that.
#[derive(Clone, Debug)]
pub struct Program {
    pub path: PathBuf,
    pub arguments: Vec<OsString>,
}

/// The runners of one machine.
#[derive(Clone, Debug)]
pub struct Runners {
    pub sandbox: Sandbox,
    pub program: Program,
    /// How many a payload may occupy.
    pub cores: u32,
}

impl Runners {
    /// Those of the program that is running.
    pub fn here(sandbox: Sandbox, cores: u32) -> std::io::Result<Self> {
        let program = Program { path: std::env::current_exe()?, arguments: Vec::new() };
        Ok(Self { sandbox, program, cores })
    }

    /// Turns `payload` into an outcome in `work`, a folder of this task's own.
    ///
    /// `limits` are those of the kind ([`Kind::limits`]) or narrower ones; those that render no
    /// stranger's instructions have bounds of their own. `progress` hears the part done, from 0 to 1,
    /// now and then. Dropping the future ends the work like `cancel`.
    pub async fn run(
        &self,
        kind: Kind,
        payload: &Path,
        work: &Path,
        limits: &Limits,
        progress: impl Fn(f32) + Send + Sync + 'static,
        cancel: CancellationToken,
    ) -> Result<Outcome, Fault> {
        let stop = cancel.child_token();
        let _stop_if_dropped = stop.clone().drop_guard();
        let result = work.join("result");
        let payload = payload.to_owned();
        match kind {
            Kind::Echo => on_a_thread(move || echo::give_back(&payload, result)).await,
            Kind::CpuBenchmark => {
                let cores = self.cores;
                let work = move || {
                    let order = benchmark::Order::read(&payload, cores)?;
                    benchmark::measure(&order, result, &progress, &stop)
                };
                on_a_thread(work).await
            }
            Kind::Generic | Kind::Inference => {
                let apart = apart::Apart {
                    runners: self.clone(),
                    kind,
                    payload,
                    work: work.to_owned(),
                    limits: limits.clone(),
                    stop,
                };
                apart.run(progress).await
            }
        }
    }
}

/// The whole payload; how much that may be is its kind's.
pub(crate) fn read(payload: &Path, bytes_max: u64) -> Result<Vec<u8>, Fault> {
    let lost = |error| Fault::machine("the payload is not where it was put", error);
    let file = std::fs::File::open(payload).map_err(lost)?;
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(lost)?;
    if bytes.len() as u64 > bytes_max {
        let message = format!(
            "the payload has more than {} KiB, the most that its kind of job takes: send less",
            bytes_max >> 10
        );
        return Err(Fault::payload(PayloadReason::TooLarge, message));
    }
    Ok(bytes)
}

/// For work that would hold up everybody else on this thread.
async fn on_a_thread(
    work: impl FnOnce() -> Result<Outcome, Fault> + Send + 'static,
) -> Result<Outcome, Fault> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Fault::machine("the runner's thread ended early", error))?
}

pub(crate) fn cancelled() -> Fault {
    Fault::node(NodeReason::Cancelled, "the work was cancelled")
}
