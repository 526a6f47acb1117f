//! What the tests of the renderer share: a machine, scenes written by real Blender, and a way to look
//! for processes that should be gone. Knows nothing of what is expected.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use framefair_node::fault::Fault;
use framefair_node::limits::Limits;
use framefair_node::machine::{self, Eevee, Machine, Options};
use framefair_node::order::{Engine, Order, OutputFormat};
use framefair_node::render::{Event, Rendered, render};
use framefair_node::sandbox::Sandbox;
use tokio::sync::{OnceCell, mpsc};
use tokio_util::sync::CancellationToken;

/// Scenes, written once for the whole test binary.
pub(crate) struct Scenes {
    pub(crate) folder: PathBuf,
    /// Where the malicious scene leaves its marks, if it ever runs.
    pub(crate) marker: PathBuf,
}

impl Scenes {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

pub(crate) fn scenes() -> &'static Scenes {
    static SCENES: OnceLock<Scenes> = OnceLock::new();
    SCENES.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let base = Path::new(env!("CARGO_TARGET_TMPDIR")).join("scenes");
        let folder = base.join(std::process::id().to_string());
        // Scenes of test runs that are over.
        for old in std::fs::read_dir(&base).into_iter().flatten().flatten() {
            if !Path::new("/proc").join(old.file_name()).exists() {
                let _ = std::fs::remove_dir_all(old.path());
            }
        }
        std::fs::create_dir_all(&folder).unwrap();
        let marker = folder.join("mark");
        blender(&root.join("../../tests/scenes/make_scenes.py"), &[&folder, &marker]);
        blender(&root.join("tests/blender/odd_scenes.py"), &[&folder]);
        Scenes { folder, marker }
    })
}

fn blender(script: &Path, args: &[&Path]) {
    let mut command = Command::new("blender");
    command.args(["-b", "--factory-startup", "--python-exit-code", "9", "-P"]).arg(script);
    let output = command.arg("--").args(args).output();
    let output = output.expect("no Blender: apt-get install --no-install-recommends blender");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}: {said}", script.display());
}

pub(crate) async fn machine() -> Machine {
    static MACHINE: OnceCell<Machine> = OnceCell::const_new();
    let detected = MACHINE.get_or_init(|| async {
        let sandbox = Sandbox::detect().await.expect("apt-get install bubblewrap");
        let (blenders, eevee) = (Vec::new(), Eevee::Never);
        let options = Options { blenders, sandbox, eevee, gpu: false };
        machine::detect(&options).await.unwrap().remove(0)
    });
    detected.await.clone()
}

/// One small frame of a scene.
pub(crate) fn order(scene: &Path) -> Order {
    let suffix = scene.extension().unwrap().to_str().unwrap();
    Order {
        scene: scene.to_owned(),
        format: format!(".{suffix}"),
        frames: vec![1],
        width: 64,
        height: 36,
        engine: Some(Engine::Cycles),
        samples: Some(2),
        output: OutputFormat::Png,
        seed: 0,
        threads: None,
    }
}

/// A render with its folder, events and end.
pub(crate) struct Run {
    pub(crate) work: tempfile::TempDir,
    pub(crate) events: Vec<Event>,
    pub(crate) result: Result<Rendered, Fault>,
}

pub(crate) async fn run(order: &Order) -> Run {
    run_within(order, &limits()).await
}

pub(crate) fn limits() -> Limits {
    Limits { wall: Duration::from_secs(60), ..Limits::for_machine(2, 4 << 30) }
}

pub(crate) async fn run_within(order: &Order, limits: &Limits) -> Run {
    run_on(&machine().await, order, limits).await
}

pub(crate) async fn run_on(machine: &Machine, order: &Order, limits: &Limits) -> Run {
    let work = tempfile::tempdir().unwrap();
    let (sender, mut receiver) = mpsc::channel(1024);
    let gather = tokio::spawn(async move {
        let mut events = Vec::new();
        while let Some(event) = receiver.recv().await {
            events.push(event);
        }
        events
    });
    let cancel = CancellationToken::new();
    let result = render(machine, order, work.path(), limits, sender, cancel).await;
    Run { work, events: gather.await.unwrap(), result }
}

impl Run {
    pub(crate) fn rendered(&self) -> &Rendered {
        match &self.result {
            Ok(rendered) => rendered,
            Err(fault) => panic!("{}: {fault}\n{}", fault.code(), fault.log()),
        }
    }

    pub(crate) fn fault(&self) -> &Fault {
        self.result.as_ref().expect_err("a fault")
    }

    /// Names of all files that the task left, sorted.
    pub(crate) fn files(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.work.path().join(folder)).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// Processes whose command line names this text.
pub(crate) fn processes_with(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        if entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit())
            && let Ok(line) = std::fs::read(entry.path().join("cmdline"))
        {
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            if line.contains(text) {
                found.push(line);
            }
        }
    }
    found
}
