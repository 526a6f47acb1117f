//! What the end of a Blender means: a pure reading of how it ended and what it said before.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use crate::fault::{Fault, NodeReason, SceneReason};
use crate::limits::Limits;
use crate::process::{Ended, Tail};

/// What was heard until the end.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Our script began, so sandbox and Blender stand.
    pub started: bool,
    pub done: bool,
    /// whose, reason, message: the script's own words.
    pub fault: Option<(String, String, String)>,
    pub tail: Tail,
}

/// None when the process did all it was asked.
pub(crate) fn of(ended: &Ended, heard: &Heard, limits: &Limits) -> Option<Fault> {
    let node = |reason, message: String| Some(Fault::node(reason, message));
    let fault = match ended {
        Ended::Cancelled => node(NodeReason::Cancelled, "the render was cancelled".into()),
        Ended::TimeLimit => {
            let limit = limits.wall.as_secs_f64();
            node(NodeReason::TimeLimit, format!("the render passed its limit of {limit:.0} s"))
        }
        Ended::OutputLimit => {
            let limit = limits.output_bytes;
            node(NodeReason::OutputLimit, format!("the render wrote more than {limit} bytes"))
        }
        Ended::Exited(status) => exited(*status, heard, limits),
    };
    fault.map(|fault| fault.with_log(heard.tail.text()))
}

fn exited(status: ExitStatus, heard: &Heard, limits: &Limits) -> Option<Fault> {
    if let Some((whose, reason, message)) = &heard.fault {
        return Some(told(whose, reason, message));
    }
    // The sandbox hands a signal on as 128 + its number, as shells do.
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    let starved = ["bad_alloc", "Malloc returns null", "Calloc returns null", "MemoryError"]
        .iter()
        .any(|words| heard.tail.contains(words));
    let (reason, message) = match code {
        0 if heard.done => return None,
        0 => (NodeReason::Crash, "Blender ended without rendering everything".to_owned()),
        _ if starved => (
            NodeReason::OutOfMemory,
            format!("Blender needed more than the {} MiB it may use", limits.memory_bytes >> 20),
        ),
        152 => (
            NodeReason::CpuLimit,
            format!("the render passed its limit of {} CPU seconds", limits.cpu_seconds),
        ),
        153 => (NodeReason::OutputLimit, format!("a file grew over {} bytes", limits.file_bytes)),
        137 => (
            NodeReason::Killed,
            "Blender was killed from outside, most often because the machine ran out of memory"
                .to_owned(),
        ),
        code if !heard.started => (
            NodeReason::Sandbox,
            format!("the sandbox or Blender in it did not start (exit code {code})"),
        ),
        134 | 139 => (NodeReason::Crash, format!("Blender crashed (exit code {code})")),
        code => (NodeReason::Crash, format!("Blender ended with exit code {code}")),
    };
    Some(Fault::node(reason, message))
}

/// The script's fault. Its words are bounded, because a scene may have spoken in its place.
fn told(whose: &str, reason: &str, message: &str) -> Fault {
    let message: String = message.chars().filter(|c| !c.is_control()).take(1000).collect();
    let scene = if whose == "scene" { SceneReason::from_code(reason) } else { None };
    match scene {
        Some(reason) => Fault::scene(reason, message),
        None => {
            Fault::node(NodeReason::from_code(reason).unwrap_or(NodeReason::RenderError), message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits::for_machine(2, 8 << 30)
    }

    fn code_of(status: i32, heard: &Heard) -> Option<&'static str> {
        // A wait status keeps the exit code in its second byte.
        let ended = Ended::Exited(ExitStatus::from_raw(status));
        of(&ended, heard, &limits()).map(|fault| fault.code())
    }

    #[test]
    fn every_way_to_end_has_its_reason() {
        let started = || Heard { started: true, ..Heard::default() };
        let done = Heard { done: true, ..started() };
        assert_eq!(code_of(0, &done), None);
        assert_eq!(code_of(0, &started()), Some("crash"));
        assert_eq!(code_of(1 << 8, &Heard::default()), Some("sandbox"));
        assert_eq!(code_of(139 << 8, &started()), Some("crash"));
        assert_eq!(code_of(11, &started()), Some("crash"));
        assert_eq!(code_of(137 << 8, &started()), Some("killed"));
        assert_eq!(code_of(152 << 8, &started()), Some("cpu_limit"));
        assert_eq!(code_of(24, &started()), Some("cpu_limit"));
        let mut starved = started();
        starved.tail.push("terminate called after throwing an instance of 'std::bad_alloc'");
        assert_eq!(code_of(134 << 8, &starved), Some("out_of_memory"));
    }

    #[test]
    fn a_script_cannot_invent_a_reason() {
        let said = |whose: &str, reason: &str| told(whose, reason, "x").code();
        assert_eq!(said("scene", "no_camera"), "no_camera");
        assert_eq!(said("scene", "free_money"), "render_error");
        assert_eq!(said("node", "output"), "output");
    }
}
