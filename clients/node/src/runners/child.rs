//! The other side of the wall: this program, started once more in the sandbox to carry out one payload.
//! Knows how to report, in lines on its standard output; it trusts the payload with nothing but itself.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::{Kind, generic, inference};

/// The argument that makes a child of this program.
pub(super) const WORD: &str = "run-payload";
/// The name of the result in the folder that the child is given.
pub(super) const RESULT: &str = "result";
/// Begins the lines of a child; anything else is some library talking.
const MARK: &str = "FRAMEFAIR ";
/// Engines walk nested things, so they get more room than a thread has by default.
const STACK_BYTES: usize = 64 << 20;

/// What a child says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Said {
    Started,
    Progress { part: f32 },
    Done,
    Fault { whose: String, reason: String, message: String, log: String },
}

/// None for whatever is not one of a child's lines.
pub(super) fn said(line: &str) -> Option<Said> {
    serde_json::from_str(line.strip_prefix(MARK)?).ok()
}

/// Carries out one payload if that is what this program was started for; None if it was not.
///
/// To be asked first in `main`, before anything is read or started. `arguments` are the program's own.
pub fn child(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.into_iter().skip(1);
    if arguments.next()? != WORD {
        return None;
    }
    let given: Vec<OsString> = arguments.collect();
    let [kind, payload, out] = given.as_slice() else { return Some(ExitCode::from(2)) };
    let kind = kind.to_str().and_then(Kind::from_word).filter(|kind| kind.is_apart());
    let Some(kind) = kind else { return Some(ExitCode::from(2)) };
    // Whatever stands on the line already is not ours.
    print("");
    say(&Said::Started);
    let result = Path::new(out).join(RESULT);
    match on_a_deep_stack(|| carry_out(kind, Path::new(payload), &result)) {
        Some(Ok(())) => {
            say(&Said::Done);
            Some(ExitCode::SUCCESS)
        }
        Some(Err(fault)) => {
            say(&Said::Fault {
                whose: if fault.is_payload() { "payload" } else { "node" }.to_owned(),
                reason: fault.code().to_owned(),
                message: fault.message().to_owned(),
                log: fault.log().to_owned(),
            });
            Some(ExitCode::FAILURE)
        }
        // The panic's own words, printed already, tell our parent what it came to.
        None => Some(ExitCode::from(3)),
    }
}

/// None when the work panicked.
fn on_a_deep_stack(work: impl FnOnce() -> Result<(), Fault> + Send) -> Option<Result<(), Fault>> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("payload".into()).stack_size(STACK_BYTES);
        match thread.spawn_scoped(scope, work) {
            Ok(work) => work.join().ok(),
            Err(error) => Some(Err(Fault::machine("a thread could not be started", error))),
        }
    })
}

fn carry_out(kind: Kind, payload: &Path, result: &Path) -> Result<(), Fault> {
    let lost = |error| Fault::machine("the result could not be written", error);
    let file = File::create(result).map_err(lost)?;
    let mut result = BufWriter::new(file);
    match kind {
        Kind::Echo | Kind::CpuBenchmark => {
            return Err(Fault::machine("a child was asked for work that needs none", kind.word()));
        }
        Kind::Generic => generic::run(payload, &mut result)?,
        Kind::Inference => {
            inference::run(payload, &mut result, &|part| say(&Said::Progress { part }))?;
        }
    }
    result.flush().map_err(lost)
}

fn say(said: &Said) {
    // Four variants of plain values always become text.
    if let Ok(text) = serde_json::to_string(said) {
        print(&format!("{MARK}{text}"));
    }
}

/// Unlike `println`, without a panic when nobody listens any more.
fn print(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
