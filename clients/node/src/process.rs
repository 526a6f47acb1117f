//! Runs one command to its end or to a limit, hands on what it prints, and leaves no process behind.
//!
//! Knows nothing of Blender. Must be called on a thread that outlives the child: the kernel kills a
//! sandbox whose parent *thread* ends (see [`on_own_thread`]).

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::unix::pipe::Receiver;
use tokio_util::sync::CancellationToken;

/// A longer line is cut: the longest honest one, a full report, stays below.
const LINE_MAX: usize = 256 * 1024;
const TAIL_LINES_MAX: usize = 60;
const TAIL_BYTES_MAX: usize = 8 * 1024;
/// How long a killed tree may take to vanish before we give up waiting for it.
const DEATH_MAX: Duration = Duration::from_secs(5);
const MEASURE_EVERY: Duration = Duration::from_millis(500);

pub(crate) struct Bounds {
    pub wall: Duration,
    pub cancel: CancellationToken,
    /// Folders whose files together may not pass this many bytes.
    pub output: Option<(Vec<PathBuf>, u64)>,
}

#[derive(Debug)]
pub(crate) enum Ended {
    Exited(ExitStatus),
    TimeLimit,
    OutputLimit,
    Cancelled,
}

/// The last lines that a process printed, bounded.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    lines: VecDeque<String>,
    bytes: usize,
}

impl Tail {
    pub(crate) fn push(&mut self, line: &str) {
        let line: String = line.chars().take(400).filter(|c| !c.is_control()).collect();
        if line.trim().is_empty() {
            return;
        }
        self.bytes += line.len();
        self.lines.push_back(line);
        while self.lines.len() > TAIL_LINES_MAX || self.bytes > TAIL_BYTES_MAX {
            self.bytes -= self.lines.pop_front().map_or(0, |line| line.len());
        }
    }

    pub(crate) fn text(&self) -> String {
        self.lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn contains(&self, words: &str) -> bool {
        self.lines.iter().any(|line| line.contains(words))
    }
}

/// Awaits work that runs on a thread and a runtime of its own, which live exactly as long as it.
/// Dropping this future cancels `stop`; the thread then ends what it started.
pub(crate) async fn on_own_thread<T, F>(
    stop: &CancellationToken,
    work: impl FnOnce() -> F + Send + 'static,
) -> io::Result<T>
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let _stop_if_dropped = stop.clone().drop_guard();
    let (answer, answered) = tokio::sync::oneshot::channel();
    std::thread::Builder::new().name("render".into()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        // Nobody left to hear it: the caller was dropped, and `stop` with it.
        let _ = answer.send(runtime.map(|runtime| runtime.block_on(work())));
    })?;
    answered.await.map_err(|_| io::Error::other("the thread of the render panicked"))?
}

/// Both output streams come as one, line by line, to `heard`.
pub(crate) async fn run(
    mut command: std::process::Command,
    bounds: &Bounds,
    mut heard: impl AsyncFnMut(&str),
) -> io::Result<Ended> {
    let (reader, writer) = io::pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer).process_group(0);
    let mut command = tokio::process::Command::from(command);
    let mut child = command.kill_on_drop(true).spawn()?;
    // The command holds the writing ends; the stream ends only when nobody does.
    drop(command);
    let group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
    let mut stream = Receiver::from_owned_fd(OwnedFd::from(reader))?;

    let living = async {
        read_lines(&mut stream, &mut heard).await?;
        child.wait().await
    };
    let ended = tokio::select! {
        biased;
        () = bounds.cancel.cancelled() => Ok(Ended::Cancelled),
        () = tokio::time::sleep(bounds.wall) => Ok(Ended::TimeLimit),
        () = outgrown(bounds.output.as_ref()) => Ok(Ended::OutputLimit),
        status = living => status.map(Ended::Exited),
    };
    if !matches!(ended, Ok(Ended::Exited(_))) {
        group.kill();
        // The end of the stream shows that the last process of the tree is gone, not only its root.
        let gone = async {
            let _ = child.wait().await;
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        };
        if tokio::time::timeout(DEATH_MAX, gone).await.is_err() {
            tracing::error!("processes of a render are still alive after being killed");
        }
    }
    std::mem::forget(group);
    ended
}

/// The child's process group, killed when dropped half-way. The sandbox's own processes die with its
/// root; the group also catches them in the instant before they asked the kernel for that.
struct Group(Option<Pid>);

impl Group {
    fn kill(&self) {
        if let Some(pid) = self.0 {
            // Fails only when nobody is left to kill.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn read_lines(
    stream: &mut (impl AsyncRead + Unpin),
    heard: &mut impl AsyncFnMut(&str),
) -> io::Result<()> {
    let mut chunk = vec![0; 16 * 1024];
    let mut line = Vec::new();
    loop {
        let read = stream.read(&mut chunk).await?;
        if read == 0 {
            heard(&String::from_utf8_lossy(&line)).await;
            return Ok(());
        }
        for &byte in &chunk[..read] {
            if byte == b'\n' {
                heard(&String::from_utf8_lossy(&line)).await;
                line.clear();
            } else if line.len() < LINE_MAX {
                line.push(byte);
            }
        }
    }
}

/// Returns once the folders hold more than they may; never without a limit.
async fn outgrown(output: Option<&(Vec<PathBuf>, u64)>) {
    let Some((folders, bytes_max)) = output else { return std::future::pending().await };
    loop {
        tokio::time::sleep(MEASURE_EVERY).await;
        let mut entries = 0;
        let held: u64 = folders.iter().map(|folder| size(folder, 0, &mut entries)).sum();
        if held > *bytes_max || entries > ENTRIES_MAX {
            return;
        }
    }
}

/// More files than any order has frames is an attack on the disk's inodes.
const ENTRIES_MAX: u32 = 300_000;

fn size(folder: &Path, depth: u32, entries: &mut u32) -> u64 {
    let mut held = 0;
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        *entries += 1;
        // Metadata of an entry does not follow links.
        let Ok(data) = entry.metadata() else { continue };
        held += if data.is_dir() && depth < 8 {
            size(&entry.path(), depth + 1, entries)
        } else {
            data.len()
        };
        if *entries > ENTRIES_MAX {
            break;
        }
    }
    held
}
