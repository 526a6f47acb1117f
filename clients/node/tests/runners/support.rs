//! What the tests of the runners share: a payload, a work folder, and what became of both. Knows
//! nothing of what is expected.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use framefair_node::limits::Limits;
use framefair_node::runners::{Fault, Kind, Outcome, Program, Runners, child};
use framefair_node::sandbox::Sandbox;
use tokio_util::sync::CancellationToken;

/// One run, with everything that was heard.
pub(crate) struct Ran {
    pub(crate) outcome: Result<Outcome, Fault>,
    pub(crate) progress: Vec<f32>,
    /// Empty after a fault.
    pub(crate) result: Vec<u8>,
    pub(crate) work: PathBuf,
    _folder: tempfile::TempDir,
}

impl Ran {
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        let outcome = self.outcome.as_ref().expect("an outcome");
        assert_eq!(outcome.content_type, "application/json");
        serde_json::from_slice(&self.result).expect("JSON")
    }

    /// Whose, its code, and its words.
    #[track_caller]
    pub(crate) fn fault(&self) -> (&'static str, &'static str, String) {
        let fault = self.outcome.as_ref().expect_err("a fault");
        let whose = if fault.is_payload() { "payload" } else { "node" };
        (whose, fault.code(), format!("{} {}", fault.message(), fault.log()))
    }
}

/// Those of this test binary, which carries out payloads by way of the test below.
pub(crate) fn runners() -> Runners {
    let name = "support::the_child_of_the_runners_is_this_very_test";
    let program = Program {
        path: std::env::current_exe().unwrap(),
        arguments: ["--exact", name, "--nocapture"].map(Into::into).into(),
    };
    Runners { sandbox: Sandbox::Bubblewrap, program, cores: 2 }
}

/// Does nothing unless a runner started it.
#[test]
fn the_child_of_the_runners_is_this_very_test() {
    let given: Vec<_> = std::env::args_os().collect();
    if let Some(word) = given.iter().position(|it| it == "run-payload") {
        assert!(child(given[word - 1..].to_vec()).is_some());
    }
}

pub(crate) async fn run(kind: Kind, payload: impl AsRef<[u8]>) -> Ran {
    run_within(kind, payload.as_ref(), &kind.limits()).await
}

pub(crate) async fn run_within(kind: Kind, payload: &[u8], limits: &Limits) -> Ran {
    run_on(&runners(), kind, payload, limits, CancellationToken::new()).await
}

pub(crate) async fn run_on(
    runners: &Runners,
    kind: Kind,
    payload: &[u8],
    limits: &Limits,
    cancel: CancellationToken,
) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("payload");
    let work = folder.path().join("work");
    std::fs::create_dir(&work).unwrap();
    std::fs::write(&at, payload).unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ear = heard.clone();
    let progress = move |part| ear.lock().unwrap().push(part);
    let outcome = runners.run(kind, &at, &work, limits, progress, cancel).await;
    assert_eq!(std::fs::read(&at).unwrap(), payload, "the payload was touched");
    let result =
        outcome.as_ref().map_or_else(|_| Vec::new(), |it| std::fs::read(&it.file).unwrap());
    if let Ok(outcome) = &outcome {
        assert!(outcome.file.starts_with(&work), "{}", outcome.file.display());
    }
    let progress = heard.lock().unwrap().clone();
    assert!(progress.is_sorted() && progress.iter().all(|it| (0.0..=1.0).contains(it)));
    Ran { outcome, progress, result, work, _folder: folder }
}
