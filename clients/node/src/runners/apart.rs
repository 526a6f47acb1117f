//! One payload in a process of its own: starts it in the sandbox, listens, takes the result, and says
//! whose fault an end was. Knows nothing of what the process does with the payload.

use std::ffi::OsString;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use serde::de::IgnoredAny;
use tokio_util::sync::CancellationToken;

use super::child::{RESULT, Said, WORD, said};
use super::fault::{Fault, PayloadReason};
use super::{JSON, Kind, Outcome, Runners};
use crate::fault::NodeReason;
use crate::limits::Limits;
use crate::process::{self, Bounds, Ended, Tail};
use crate::sandbox::Room;

pub(super) struct Apart {
    pub runners: Runners,
    pub kind: Kind,
    pub payload: PathBuf,
    pub work: PathBuf,
    pub limits: Limits,
    pub stop: CancellationToken,
}

/// How Rust, and tract in it, say that there is no memory left.
const STARVED: &[&str] = &["memory allocation of", "failed to allocate", "capacity overflow"];

/// What was heard until the end.
#[derive(Default)]
struct Heard {
    started: bool,
    done: bool,
    fault: Option<Fault>,
    tail: Tail,
}

impl Apart {
    pub(super) async fn run(
        self,
        progress: impl Fn(f32) + Send + Sync + 'static,
    ) -> Result<Outcome, Fault> {
        let stop = self.stop.clone();
        process::on_own_thread(&stop, move || async move { self.carry_out(&progress).await })
            .await
            .map_err(|error| Fault::machine("a thread could not be started", error))?
    }

    async fn carry_out(self, progress: &impl Fn(f32)) -> Result<Outcome, Fault> {
        let lost = |error| Fault::machine("the payload is not where it was put", error);
        let payload = fs::canonicalize(&self.payload).map_err(lost)?;
        let out = self
            .out()
            .map_err(|error| Fault::machine("the task's folder could not be prepared", error))?;
        let room = Room {
            program: &self.runners.program.path,
            with_folder: false,
            scripts: None,
            scene: Some((&payload, "payload".to_owned())),
            out: Some(&out),
            gpu: false,
        };
        let seen = self.runners.sandbox.seen(&room);
        let mut arguments = self.runners.program.arguments.clone();
        let words = [WORD, self.kind.word()].map(OsString::from);
        arguments.extend(words.into_iter().chain([seen.scene.into(), seen.out.into()]));
        let command = self.runners.sandbox.command(&room, &self.limits, &arguments);
        let bounds = Bounds {
            wall: self.limits.wall,
            cancel: self.stop.clone(),
            output: Some((vec![out.clone()], self.limits.output_bytes)),
        };

        let mut heard = Heard::default();
        let ended =
            process::run(command, &bounds, async |line: &str| hear(line, &mut heard, progress))
                .await
                .map_err(|error| {
                    Fault::node(NodeReason::Sandbox, format!("no process for the payload: {error}"))
                })?;
        if let Some(fault) = self.verdict(&ended, &mut heard) {
            return Err(if fault.log().is_empty() {
                fault.with_log(heard.tail.text())
            } else {
                fault
            });
        }
        let file = self.work.join(RESULT);
        take(&out.join(RESULT), &file, self.limits.file_bytes)
            .map_err(|why| Fault::node(NodeReason::Output, format!("the result {why}")))?;
        progress(1.0);
        Ok(Outcome { content_type: JSON, file })
    }

    /// The one folder that the child can write, and empty.
    fn out(&self) -> std::io::Result<PathBuf> {
        let out = self.work.join("out");
        if out.exists() {
            fs::remove_dir_all(&out)?;
        }
        fs::create_dir_all(&out)?;
        fs::canonicalize(out)
    }

    /// None when the process did all it was asked.
    fn verdict(&self, ended: &Ended, heard: &mut Heard) -> Option<Fault> {
        match ended {
            Ended::Cancelled => Some(super::cancelled()),
            Ended::TimeLimit => Some(self.too_long(self.limits.wall.as_secs(), "seconds")),
            Ended::OutputLimit => Some(self.too_much()),
            Ended::Exited(status) => self.exited(*status, heard),
        }
    }

    fn exited(&self, status: ExitStatus, heard: &mut Heard) -> Option<Fault> {
        if let Some(fault) = heard.fault.take() {
            return Some(fault);
        }
        // The sandbox hands a signal on as 128 + its number, as shells do.
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        Some(match code {
            0 if heard.done => return None,
            152 => self.too_long(self.limits.cpu_seconds, "seconds of the processor"),
            153 => self.too_much(),
            137 => Fault::node(
                NodeReason::Killed,
                "the payload's process was killed from outside, most often because the machine ran \
                 out of memory",
            ),
            code if !heard.started => Fault::node(
                NodeReason::Sandbox,
                format!("the sandbox or the program in it did not start (exit code {code})"),
            ),
            _ if STARVED.iter().any(|words| heard.tail.contains(words)) => Fault::payload(
                PayloadReason::OutOfMemory,
                format!(
                    "the payload needed more than the {} MiB that its process may use: make it \
                     smaller, or do its work in parts",
                    self.limits.memory_bytes >> 20
                ),
            ),
            _ => self.broke_off(),
        })
    }

    fn broke_off(&self) -> Fault {
        let message = format!(
            "the engine of {} jobs broke off on this payload, which no node would fare better with: \
             look at the log, and simplify what the payload does",
            self.kind.word()
        );
        Fault::payload(PayloadReason::Crash, message)
    }

    fn too_long(&self, limit: u64, unit: &str) -> Fault {
        let message = format!(
            "the payload took more than {limit} {unit}, the most that a {} job may: see that it \
             ends, or do its work in parts",
            self.kind.word()
        );
        Fault::payload(PayloadReason::TimeLimit, message)
    }

    fn too_much(&self) -> Fault {
        let limit = self.limits.file_bytes.min(self.limits.output_bytes) >> 20;
        let message =
            format!("the payload made more than {limit} MiB of results: let it make less");
        Fault::payload(PayloadReason::OutputLimit, message)
    }
}

fn hear(line: &str, heard: &mut Heard, progress: &impl Fn(f32)) {
    match said(line) {
        None => heard.tail.push(line),
        Some(Said::Started) => heard.started = true,
        Some(Said::Progress { part }) => progress(part.clamp(0.0, 1.0)),
        Some(Said::Done) => heard.done = true,
        Some(Said::Fault { whose, reason, message, log }) => {
            heard.fault.get_or_insert_with(|| told(&whose, &reason, &message, &log));
        }
    }
}

/// The child's fault. Its words are bounded, because a payload may have spoken in its place.
fn told(whose: &str, reason: &str, message: &str, log: &str) -> Fault {
    let bounded = |text: &str, chars_max| -> String {
        text.chars().filter(|c| !c.is_control() || *c == '\n').take(chars_max).collect()
    };
    let message = bounded(message, 1000);
    let payload = if whose == "payload" { PayloadReason::from_code(reason) } else { None };
    let fault = match payload {
        Some(reason) => Fault::payload(reason, message),
        None => Fault::node(NodeReason::from_code(reason).unwrap_or(NodeReason::Crash), message),
    };
    fault.with_log(bounded(log, 8000))
}

/// Takes the result out of the child's reach, and refuses what a child that was taken over may have put
/// there: a link would have us upload a file of the host.
fn take(made: &Path, kept: &Path, bytes_max: u64) -> Result<(), String> {
    fs::rename(made, kept).map_err(|error| format!("is not there: {error}"))?;
    let data = fs::symlink_metadata(kept).map_err(|error| format!("cannot be read: {error}"))?;
    if !data.is_file() || data.len() > bytes_max {
        let _ = fs::remove_file(kept);
        return Err("is no file of the allowed size".to_owned());
    }
    let text = fs::read_to_string(kept).map_err(|error| format!("is no text: {error}"))?;
    serde_json::from_str::<IgnoredAny>(&text).map_err(|error| format!("is no JSON: {error}"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{take, told};

    #[test]
    fn a_child_cannot_invent_a_reason() {
        let said = |whose: &str, reason: &str| {
            let fault = told(whose, reason, "x", "y");
            (fault.is_payload(), fault.code())
        };
        assert_eq!(said("payload", "trap"), (true, "trap"));
        assert_eq!(said("payload", "free_money"), (false, "crash"));
        assert_eq!(said("node", "machine"), (false, "machine"));
        assert_eq!(told("node", "", &"\u{1b}x".repeat(9999), "").message().len(), 1000);
    }

    #[test]
    fn only_a_file_with_json_in_it_is_a_result() {
        let folder = tempfile::tempdir().unwrap();
        let [made, kept] = ["made", "kept"].map(|name| folder.path().join(name));
        std::fs::write(&made, "{}").unwrap();
        assert_eq!(take(&made, &kept, 2), Ok(()));
        std::fs::write(&made, "{ }").unwrap();
        assert!(take(&made, &kept, 2).is_err());
        std::fs::write(&made, "{").unwrap();
        assert!(take(&made, &kept, 2).is_err());
        std::os::unix::fs::symlink("/etc/hostname", &made).unwrap();
        assert!(take(&made, &kept, 2000).is_err());
        assert!(!kept.exists());
        assert!(take(&made, &kept, 2).unwrap_err().contains("not there"));
    }
}
