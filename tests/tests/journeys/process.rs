//! A child process with a log, and conditions on that log. Knows no program.

use std::fs::{self, File, OpenOptions};
use std::iter::successors;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use sysinfo::{Pid, ProcessesToUpdate, Signal, System};

/// Generous: the machine may be slow and busy. Only a failure waits this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_millis(20);

/// Dies with its value, together with the group that it leads.
pub(crate) struct Process {
    what: String,
    child: Child,
    log: PathBuf,
}

/// Waits until `found` finds something.
pub(crate) fn wait_until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(LOOK);
    }
}

fn appended(log: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(log).expect("a log can be written")
}

impl Process {
    /// Output and errors are appended to `log`, or the output goes to `out` alone.
    pub(crate) fn start(
        what: &str,
        command: &mut Command,
        log: PathBuf,
        out: Option<&Path>,
    ) -> Process {
        command.process_group(0).stdin(Stdio::null()).stderr(appended(&log));
        command.stdout(appended(out.unwrap_or(&log)));
        let child = command.spawn().unwrap_or_else(|error| panic!("{what} starts: {error}"));
        Process { what: what.to_owned(), child, log }
    }

    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits for a whole line with `words`, and answers it.
    pub(crate) fn wait_for(&mut self, words: &str) -> String {
        self.wait_for_after(0, words)
    }

    pub(crate) fn wait_for_after(&mut self, from: usize, words: &str) -> String {
        let begun = Instant::now();
        loop {
            let ended = self.child.try_wait().expect("a child can be asked");
            let log = self.log();
            let whole = log.get(from..).and_then(|new| Some(&new[..=new.rfind('\n')?]));
            if let Some(line) = whole.and_then(|new| new.lines().find(|line| line.contains(words)))
            {
                return line.to_owned();
            }
            let trouble = ended.map(|status| format!("it ended with {status}"));
            let late = (begun.elapsed() > PATIENCE).then(|| "it took too long".to_owned());
            if let Some(trouble) = trouble.or(late) {
                panic!("{} never said {words:?}: {trouble}\n{}", self.what, tail(&log));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// What it has in memory now and what it had at most, in bytes.
    pub(crate) fn memory(&self) -> (u64, u64) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("it runs");
        let field = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a field");
            let number = line.trim().trim_end_matches(" kB");
            number.parse::<u64>().expect("kilobytes") << 10
        };
        (field("VmRSS:"), field("VmHWM:"))
    }

    pub(crate) fn signal(&self, signal: &str) {
        kill(signal, &self.child.id().to_string());
    }

    /// Waits until it, or what it started, runs `program`, and stops that program where it is: however quick the
    /// machine, what it renders does not end meanwhile.
    pub(crate) fn hold(&self, program: &str) -> Held {
        let mut system = System::new().expect("processes can be listed");
        let pids = wait_until("it runs what is to be held", || {
            system.refresh_processes(ProcessesToUpdate::All, true);
            let ours = |pid: &Pid| {
                let up = |it: &Pid| system.process(*it).and_then(sysinfo::Process::parent);
                successors(Some(*pid), up).any(|it| it.as_u32() == self.child.id())
            };
            let named = system
                .processes()
                .iter()
                .filter(|(_, it)| it.name() == program && it.thread_kind().is_none());
            let found: Vec<Pid> = named.map(|(pid, _)| *pid).filter(ours).collect();
            let held = |pid: &&Pid| {
                system.process(**pid).and_then(|it| it.kill_with(Signal::Stop)) == Some(true)
            };
            found.iter().any(|pid| held(&pid)).then_some(found)
        });
        Held { system, pids }
    }

    /// kill -9, and nothing else: what it started has to notice by itself.
    pub(crate) fn kill(&mut self) {
        self.signal("KILL");
        self.end();
    }

    /// Waits until it ends by itself.
    pub(crate) fn end(&mut self) -> ExitStatus {
        self.end_within(PATIENCE)
    }

    pub(crate) fn end_within(&mut self, patience: Duration) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                return status;
            }
            if begun.elapsed() > patience {
                panic!("{} does not end\n{}", self.what, tail(&self.log()));
            }
            std::thread::sleep(LOOK);
        }
    }
}

/// Programs that stand still in the middle of what they do, until this is dropped.
pub(crate) struct Held {
    system: System,
    pids: Vec<Pid>,
}

impl Drop for Held {
    fn drop(&mut self) {
        for process in self.pids.iter().filter_map(|pid| self.system.process(*pid)) {
            process.kill_with(Signal::Continue);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            kill("KILL", &format!("-{}", self.child.id()));
            drop(self.child.wait());
        }
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.what, tail(&self.log()));
        }
    }
}

fn kill(signal: &str, whom: &str) {
    drop(Command::new("kill").args(["-s", signal, "--", whom]).stderr(Stdio::null()).status());
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
