//! What a stranger's scene can reach, and what is left of a render that was ended: nothing.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::{limits, machine, order, processes_with, run, run_on, scenes};
use framefair_node::fault::{Fault, NodeReason};
use framefair_node::machine::Machine;
use framefair_node::render::{Event, render};
use framefair_node::sandbox::Sandbox;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Files beginning with the name that the malicious scene was told to use.
fn marks() -> Vec<String> {
    let marker = scenes().marker.file_name().unwrap().to_str().unwrap();
    let entries = std::fs::read_dir(&scenes().folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(marker)).collect()
}

#[tokio::test]
async fn a_malicious_scene_renders_and_leaves_no_mark() {
    let run = run(&order(&scenes().path("malicious.blend"))).await;
    run.rendered();
    assert_eq!(marks(), [""; 0]);
    assert_eq!(run.files("out"), [""; 0]);
    assert_eq!(run.files("frames"), ["f_0001.png"]);
    let Event::Preflight(report) = &run.events[0] else { panic!("the report comes first") };
    assert_eq!(
        (report.scripts.as_slice(), report.scripted_drivers),
        (&["autorun.py".to_owned()][..], 1)
    );
}

#[tokio::test]
async fn the_malicious_scene_would_leave_its_mark_if_scripts_ran() {
    // Guards the test above: a scene that cannot leave a mark proves nothing.
    let scene = scenes().path("malicious.blend");
    let copy = tempfile::tempdir().unwrap();
    let marker = copy.path().join("mark");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenes/make_scenes.py");
    let made = std::process::Command::new("blender")
        .args(["-b", "--factory-startup", "-P"])
        .arg(script)
        .arg("--")
        .arg(copy.path())
        .arg(&marker)
        .output()
        .unwrap();
    assert!(made.status.success());
    assert!(scene.is_file());
    let opened = std::process::Command::new("blender")
        .args(["-b", "--factory-startup", "-y"])
        .arg(copy.path().join("malicious.blend"))
        .output()
        .unwrap();
    assert!(opened.status.success());
    assert!(copy.path().join("mark_text").exists() || copy.path().join("mark_driver").exists());
}

/// Starts a render that takes minutes, and waits until it is at work.
async fn begin(
    machine: Machine,
    work: &Path,
    cancel: CancellationToken,
) -> tokio::task::JoinHandle<Result<framefair_node::render::Rendered, Fault>> {
    let mut order = order(&scenes().path("heavy.blend"));
    (order.width, order.height, order.samples) = (512, 512, Some(65_536));
    let (sender, mut events) = mpsc::channel(64);
    let work = work.to_owned();
    let running =
        tokio::spawn(
            async move { render(&machine, &order, &work, &limits(), sender, cancel).await },
        );
    while let Some(event) = events.recv().await {
        if matches!(event, Event::Sample { .. }) {
            break;
        }
    }
    running
}

#[tokio::test]
async fn cancelling_ends_the_whole_tree_within_two_seconds() {
    for sandbox in [Sandbox::Bubblewrap, Sandbox::None] {
        let work = tempfile::tempdir().unwrap();
        let cancel = CancellationToken::new();
        let machine = Machine { sandbox, ..machine().await };
        let running = begin(machine, work.path(), cancel.clone()).await;
        let name = work.path().to_str().unwrap();
        assert!(!processes_with(name).is_empty(), "nothing runs");
        let asked = Instant::now();
        cancel.cancel();
        let Err(Fault::Node { reason, .. }) = running.await.unwrap() else { panic!("a fault") };
        assert_eq!(reason, NodeReason::Cancelled);
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
        assert_eq!(processes_with(name), [""; 0]);
    }
}

#[tokio::test]
async fn a_dropped_render_leaves_no_process() {
    let work = tempfile::tempdir().unwrap();
    let running = begin(machine().await, work.path(), CancellationToken::new()).await;
    running.abort();
    let name = work.path().to_str().unwrap();
    let dropped = Instant::now();
    while !processes_with(name).is_empty() {
        assert!(dropped.elapsed() < Duration::from_secs(10), "{:?}", processes_with(name));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_agent_killed_with_minus_nine_takes_its_blender_along() {
    const WORK: &str = "WORK_OF_THE_AGENT_TO_BE_KILLED";
    // The agent is this very test, started once more.
    if let Some(work) = std::env::var_os(WORK) {
        let running = begin(machine().await, Path::new(&work), CancellationToken::new()).await;
        std::fs::write(Path::new(&work).join("begun"), "").unwrap();
        let _ = running.await;
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let name = "sandbox::an_agent_killed_with_minus_nine_takes_its_blender_along";
    let mut agent = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name])
        .env(WORK, work.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while !work.path().join("begun").exists() {
        assert!(started.elapsed() < Duration::from_secs(60), "the agent does not begin");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let text = work.path().to_str().unwrap();
    assert!(!processes_with(text).is_empty(), "nothing runs");
    agent.kill().unwrap();
    agent.wait().unwrap();
    let killed = Instant::now();
    while !processes_with(text).is_empty() {
        assert!(killed.elapsed() < Duration::from_secs(10), "{:?}", processes_with(text));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn without_a_sandbox_the_same_frame_is_rendered() {
    let order = order(&scenes().path("animation.blend"));
    let machine = machine().await;
    let open = Machine { sandbox: Sandbox::None, ..machine.clone() };
    let pixels = |path: &Path| image::open(path).unwrap().into_rgba8();
    let inside = run_on(&machine, &order, &limits()).await;
    let outside = run_on(&open, &order, &limits()).await;
    assert_eq!(pixels(&inside.rendered().frames[0].1), pixels(&outside.rendered().frames[0].1));
}

#[tokio::test]
async fn the_machine_is_described_by_what_it_really_can_do() {
    let machine = machine().await;
    assert!(machine.blender.version >= (3, 0, 0), "{:?}", machine.blender);
    assert!(machine.blender.path.is_absolute());
    assert_eq!(machine.engines[0], framefair_node::order::Engine::Cycles);
    assert_eq!(machine.sandbox, Sandbox::Bubblewrap);
    assert!(machine.cores >= 1 && machine.memory_bytes > 1 << 28);
    assert_eq!(machine.formats[0], ".blend");
    assert!(machine.formats.iter().any(|format| format == ".obj"), "{:?}", machine.formats);
}

#[tokio::test]
async fn what_is_no_blender_is_refused_by_name() {
    use framefair_node::machine::{Eevee, Options, detect};
    let blenders = vec!["/usr/bin/true".into()];
    let options =
        Options { blenders, sandbox: Sandbox::Bubblewrap, eevee: Eevee::Never, gpu: false };
    let refused = detect(&options).await.unwrap_err().to_string();
    assert!(refused.contains("/usr/bin/") && refused.contains("--version"), "{refused}");
}

#[tokio::test]
async fn eevee_is_offered_only_where_it_renders() {
    use framefair_node::machine::{Eevee, Options, detect};
    use framefair_node::order::Engine;
    let sandbox = Sandbox::Bubblewrap;
    let options = Options { blenders: vec![], sandbox, eevee: Eevee::Try, gpu: false };
    let machine = detect(&options).await.unwrap().remove(0);
    if machine.engines.contains(&Engine::Eevee) {
        let mut order = order(&scenes().path("eevee.blend"));
        (order.engine, order.width, order.height) = (None, 16, 9);
        let run = run_on(&machine, &order, &limits()).await;
        run.rendered();
        let Event::Preflight(report) = &run.events[0] else { panic!("the report comes first") };
        assert_eq!(report.engine, "EEVEE");
    }
}
