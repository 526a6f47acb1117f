//! Scenes and orders that cannot be rendered: each refused with its reason, and whose fault it is.

use std::time::{Duration, Instant};

use crate::support::{limits, order, run, run_within, scenes};
use framefair_node::fault::{Fault, NodeReason, SceneReason};
use framefair_node::limits::Limits;
use framefair_node::order::Engine;
use framefair_node::render::Event;

fn scene_reason(fault: &Fault) -> SceneReason {
    match fault {
        Fault::Scene { reason, .. } => *reason,
        Fault::Node { .. } => panic!("blames the node: {}: {fault}\n{}", fault.code(), fault.log()),
    }
}

fn node_reason(fault: &Fault) -> NodeReason {
    match fault {
        Fault::Node { reason, .. } => *reason,
        Fault::Scene { .. } => panic!("blames the scene: {}: {fault}", fault.code()),
    }
}

#[tokio::test]
async fn a_missing_texture_is_the_scenes_fault_and_is_named() {
    let run = run(&order(&scenes().path("missing-texture.blend"))).await;
    assert_eq!(scene_reason(run.fault()), SceneReason::MissingAssets);
    let text = run.fault().message();
    assert!(text.contains("//textures/does_not_exist.png") && text.contains("lost"), "{text}");
    let Event::Preflight(report) = &run.events[0] else { panic!("the report comes first") };
    assert_eq!((report.missing_count, report.missing[0].kind.as_str()), (1, "image"));
    assert!(run.files("frames").is_empty(), "refused before rendering");
}

#[tokio::test]
async fn a_missing_library_is_the_scenes_fault() {
    let run = run(&order(&scenes().path("linked.blend"))).await;
    assert_eq!(scene_reason(run.fault()), SceneReason::MissingAssets);
    assert!(run.fault().message().contains("library.blend"), "{}", run.fault());
}

#[tokio::test]
async fn a_missing_backdrop_that_no_render_shows_is_reported_and_rendered() {
    let run = run(&order(&scenes().path("backdrop.blend"))).await;
    run.rendered();
    let Event::Preflight(report) = &run.events[0] else { panic!("the report comes first") };
    assert_eq!((report.missing_count, report.missing[0].fatal), (1, false));
}

#[tokio::test]
async fn a_scene_without_a_camera_is_refused_before_rendering() {
    let run = run(&order(&scenes().path("no-camera.blend"))).await;
    assert_eq!(scene_reason(run.fault()), SceneReason::NoCamera);
}

#[tokio::test]
async fn noise_truncated_and_empty_files_are_unreadable() {
    let folder = tempfile::tempdir().unwrap();
    let noise: Vec<u8> =
        (0..50_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let whole = std::fs::read(scenes().path("animation.blend")).unwrap();
    let mut garbled = whole[..200].to_vec();
    garbled.extend(&noise);
    let packed = std::fs::read(scenes().path("animation-zstd.blend")).unwrap();
    for (name, bytes) in [
        ("noise", noise.as_slice()),
        ("empty", &[]),
        ("garbled", &garbled),
        ("header", &whole[..12]),
        ("half-packed", &packed[..packed.len() / 2]),
    ] {
        let scene = folder.path().join(format!("{name}.blend"));
        std::fs::write(&scene, bytes).unwrap();
        let run = run(&order(&scene)).await;
        assert_eq!(scene_reason(run.fault()), SceneReason::Unreadable, "{name}: {}", run.fault());
    }
}

#[tokio::test]
async fn a_mesh_of_noise_or_of_nothing_is_the_scenes_fault() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in
        [("a.obj", "v 1 2\nf 9 9 9\n"), ("b.obj", ""), ("c.fbx", "Kaydara"), ("d.dae", "<x")]
    {
        let scene = folder.path().join(name);
        std::fs::write(&scene, text).unwrap();
        let run = run(&order(&scene)).await;
        let reason = scene_reason(run.fault());
        let expected = [SceneReason::Unreadable, SceneReason::NothingToRender];
        assert!(expected.contains(&reason), "{name}: {}", run.fault());
    }
}

#[tokio::test]
async fn a_file_of_a_newer_blender_is_the_scenes_fault_and_never_opened() {
    let folder = tempfile::tempdir().unwrap();
    let scene = folder.path().join("new.blend");
    let mut newer = std::fs::read(scenes().path("animation.blend")).unwrap();
    newer[9..12].copy_from_slice(b"405");
    for bytes in [&newer, &zstd::encode_all(newer.as_slice(), 0).unwrap()] {
        std::fs::write(&scene, bytes).unwrap();
        let run = run(&order(&scene)).await;
        assert_eq!(scene_reason(run.fault()), SceneReason::NewerVersion, "{}", run.fault());
        assert!(run.fault().message().contains("4.5"), "{}", run.fault());
        assert!(run.events.is_empty());
    }
}

#[tokio::test]
async fn an_engine_that_is_not_here_is_blamed_on_whoever_asked_for_it() {
    let mut own = order(&scenes().path("eevee.blend"));
    own.engine = None;
    assert_eq!(scene_reason(run(&own).await.fault()), SceneReason::EngineAbsent);
    let mut asked = order(&scenes().path("animation.blend"));
    asked.engine = Some(Engine::Eevee);
    assert_eq!(node_reason(run(&asked).await.fault()), NodeReason::EngineAbsent);
    let mut replaced = order(&scenes().path("eevee.blend"));
    replaced.engine = Some(Engine::Cycles);
    run(&replaced).await.rendered();
}

#[tokio::test]
async fn orders_out_of_bounds_are_refused_without_blender() {
    let good = order(&scenes().path("animation.blend"));
    let mut bad = vec![good.clone(); 7];
    bad[0].frames = vec![];
    bad[1].frames = vec![1, 2, 1];
    bad[2].frames = vec![i32::MIN];
    bad[3].width = 0;
    bad[4].height = 16_385;
    bad[5].samples = Some(0);
    bad[6].seed = u32::MAX;
    for order in &bad {
        assert_eq!(scene_reason(run(order).await.fault()), SceneReason::Order);
    }
    let mut foreign = good;
    foreign.format = ".max".into();
    assert_eq!(node_reason(run(&foreign).await.fault()), NodeReason::Format);
}

/// Renders what takes minutes within limits that end it sooner.
async fn ended_by(limits: Limits) -> NodeReason {
    let mut heavy = order(&scenes().path("heavy.blend"));
    (heavy.width, heavy.height, heavy.samples) = (512, 512, Some(65_536));
    node_reason(run_within(&heavy, &limits).await.fault())
}

#[tokio::test]
async fn a_render_ends_at_its_time_limit() {
    let wall = Duration::from_secs(3);
    let started = Instant::now();
    assert_eq!(ended_by(Limits { wall, ..limits() }).await, NodeReason::TimeLimit);
    assert!(started.elapsed() < wall * 4, "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_render_ends_at_its_processor_limit() {
    assert_eq!(ended_by(Limits { cpu_seconds: 3, ..limits() }).await, NodeReason::CpuLimit);
}

#[tokio::test]
async fn a_scene_that_needs_more_memory_than_it_may_use_is_ended() {
    let hungry = order(&scenes().path("hungry.blend"));
    let run = run_within(&hungry, &Limits { memory_bytes: 1200 << 20, ..limits() }).await;
    assert_eq!(node_reason(run.fault()), NodeReason::OutOfMemory, "{}", run.fault().log());
}

#[tokio::test]
async fn a_render_ends_when_its_files_together_pass_their_limit() {
    let mut many = order(&scenes().path("animation.blend"));
    many.frames = (1..=2000).collect();
    let run = run_within(&many, &Limits { output_bytes: 20_000, ..limits() }).await;
    assert_eq!(node_reason(run.fault()), NodeReason::OutputLimit, "{}", run.fault());
}
