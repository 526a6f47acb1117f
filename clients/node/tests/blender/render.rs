//! Frames out of real Blender in a real sandbox: what is rendered, under which names, told when.

use crate::support::{order, run, scenes};
use framefair_node::order::OutputFormat;
use framefair_node::render::Event;

fn pixels(path: &std::path::Path) -> image::RgbaImage {
    image::open(path).unwrap().into_rgba8()
}

#[tokio::test]
async fn one_frame_is_rendered_as_ordered() {
    let run = run(&order(&scenes().path("animation.blend"))).await;
    let rendered = run.rendered();
    assert_eq!(rendered.frames.len(), 1);
    let (frame, path) = &rendered.frames[0];
    assert_eq!((*frame, path.file_name().unwrap().to_str().unwrap()), (1, "f_0001.png"));
    let picture = pixels(path);
    assert_eq!(picture.dimensions(), (64, 36));
    assert!(picture.pixels().any(|pixel| pixel != picture.get_pixel(0, 0)), "the frame is uniform");
    let Event::Preflight(report) = &run.events[0] else { panic!("first comes the preflight") };
    assert_eq!(report.engine, "CYCLES");
    assert_eq!((report.frames, report.resolution, report.samples), ([1, 8, 1], [64, 36], 2));
    assert_eq!(report.cameras, ["Camera"]);
    assert!(report.missing.is_empty());
}

#[tokio::test]
async fn eight_frames_come_from_one_process_each_told_as_it_is_saved() {
    let mut order = order(&scenes().path("animation-zstd.blend"));
    order.frames = (1..=8).collect();
    let run = run(&order).await;
    let told: Vec<i32> = run
        .events
        .iter()
        .filter_map(|event| match event {
            Event::FrameSaved { frame, path } => path.is_file().then_some(*frame),
            _ => None,
        })
        .collect();
    assert_eq!(told, order.frames);
    let preflights = run.events.iter().filter(|event| matches!(event, Event::Preflight(_)));
    assert_eq!(preflights.count(), 1, "one process");
    let sampled = |of: i32| {
        run.events.iter().any(
            |event| matches!(event, Event::Sample { frame, sample: 2, samples: 2 } if *frame == of),
        )
    };
    assert!(order.frames.iter().all(|&frame| sampled(frame)), "{:?}", run.events);
    let first = pixels(&run.rendered().frames[0].1);
    let fourth = pixels(&run.rendered().frames[3].1);
    assert!(first != fourth, "the cube turns, every frame is the same");
}

#[tokio::test]
async fn frames_below_zero_and_above_four_digits_keep_blenders_names() {
    let mut order = order(&scenes().path("animation.blend"));
    order.frames = vec![12345, -7, 0];
    let run = run(&order).await;
    let numbers: Vec<i32> = run.rendered().frames.iter().map(|(frame, _)| *frame).collect();
    assert_eq!(numbers, order.frames);
    assert_eq!(run.files("frames"), ["f_-0007.png", "f_0000.png", "f_12345.png"]);
}

#[tokio::test]
async fn the_same_order_gives_the_same_pixels_and_other_samples_or_seeds_do_not() {
    let pinned = order(&scenes().path("animation.blend"));
    let mut finer = pinned.clone();
    finer.samples = Some(32);
    let mut reseeded = pinned.clone();
    reseeded.seed = 7;
    let mut single = pinned.clone();
    single.threads = Some(1);
    let mut pictures = Vec::new();
    for order in [&pinned, &single, &finer, &reseeded] {
        let run = run(order).await;
        pictures.push(pixels(&run.rendered().frames[0].1));
    }
    assert!(pictures[0] == pictures[1], "threads show");
    assert!(pictures[0] != pictures[2], "samples do not show");
    assert!(pictures[0] != pictures[3], "the seed does not show");
}

#[tokio::test]
async fn a_scene_that_wants_a_stamped_stereo_video_gives_single_whole_images() {
    for (output, name) in [
        (OutputFormat::Png, "f_0003.png"),
        (OutputFormat::Jpeg, "f_0003.jpg"),
        (OutputFormat::Exr, "f_0003.exr"),
    ] {
        let mut order = order(&scenes().path("video.blend"));
        (order.frames, order.output) = (vec![3], output);
        let run = run(&order).await;
        run.rendered();
        assert_eq!(run.files("frames"), [name]);
        assert!(
            run.files("out").is_empty(),
            "the compositor's file output wrote: {:?}",
            run.files("out")
        );
        if output != OutputFormat::Exr {
            assert_eq!(pixels(&run.rendered().frames[0].1).dimensions(), (64, 36));
        }
    }
}

#[tokio::test]
async fn the_scene_that_was_current_when_saved_is_the_one_rendered() {
    let run = run(&order(&scenes().path("second.blend"))).await;
    let picture = pixels(&run.rendered().frames[0].1);
    let [red, green, blue, _] = picture.get_pixel(5, 5).0;
    assert!(red > 150 && green < 60 && blue < 60, "{red} {green} {blue}");
}

#[tokio::test]
async fn a_picture_of_one_pixel_is_one_pixel() {
    let mut order = order(&scenes().path("animation.blend"));
    (order.width, order.height) = (1, 3);
    let run = run(&order).await;
    assert_eq!(pixels(&run.rendered().frames[0].1).dimensions(), (1, 3));
}

#[tokio::test]
async fn every_mesh_that_this_blender_reads_is_framed_lit_and_seen() {
    let machine = crate::support::machine().await;
    for format in [".obj", ".stl", ".fbx", ".dae"] {
        assert!(machine.formats.iter().any(|known| known == format), "{:?}", machine.formats);
        let run = run(&order(&scenes().path(&format!("subject{format}")))).await;
        let picture = pixels(&run.rendered().frames[0].1);
        let sky = picture.get_pixel(0, 0);
        let differs = |x: u32, y: u32| {
            let pixel = picture.get_pixel(x, y);
            pixel.0.iter().zip(sky.0).any(|(one, other)| one.abs_diff(other) > 12)
        };
        assert!(differs(32, 18), "{format}: nothing in the middle");
        let seen =
            (0..64).flat_map(|x| (0..36).map(move |y| (x, y))).filter(|&(x, y)| differs(x, y));
        let share = seen.count() as f64 / (64.0 * 36.0);
        assert!((0.1..0.8).contains(&share), "{format}: the object fills {share}");
        for (x, y) in [(0, 35), (63, 0), (63, 35)] {
            assert!(!differs(x, y), "{format}: cut off at {x} {y}");
        }
    }
}
