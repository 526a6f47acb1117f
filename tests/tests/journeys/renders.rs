//! What goes well: frames come out right, everybody is paid, and a hostile scene finds nothing to do.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use framefair_picture::{Expect, Format, Limits, decode};

use crate::place::{HEIGHT, Place, WIDTH};
use crate::scenes::MARK_INSIDE;

/// The pixels' hash of a frame that shows something, of the ordered size.
fn pixels(file: &Path) -> String {
    let bytes = fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let expect = Expect { format: Format::Png, width: WIDTH, height: HEIGHT };
    let frame = decode(&bytes, expect, &Limits::default())
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    assert!(!frame.uniform, "{} shows nothing", file.display());
    hex::encode(frame.pixels_sha256)
}

#[test]
fn one_frame_is_rendered_for_money_and_everybody_is_paid_exactly() {
    let place = Place::open();
    let _node = place.node("node", &[]);
    place.client("client");
    let before = place.balance("client");

    let answer = place.render("client", &place.scenes.path("animation.blend"), &[]).ok();
    assert_eq!(answer.files(), [place.path("client-frames").join("animation_0001.png")]);
    pixels(&answer.files()[0]);

    let audit = place.settle();
    let (price, base) = (answer.lamports(), answer.base_price());
    let spent = before - place.balance("client");
    assert_eq!(spent, price + place.fee(&answer.text("paymentTx")));
    assert_eq!(place.balance("node"), base);
    assert_eq!(audit["fees"].as_u64(), Some(price - base));
    assert_eq!(audit["payments_in"].as_u64(), Some(price));
    let job = place.job(&answer.text("job"));
    assert_eq!(
        (job["status"].as_str(), job["settlement"].as_str()),
        (Some("completed"), Some("settled"))
    );
    // What is settled cannot be paid a second time by an operator's slip.
    let refused = place.unpark(&answer.text("job"));
    assert!(refused.contains("not parked"), "{refused}");
    place.close();
}

#[test]
fn without_escrow_the_provider_has_the_whole_price_and_escrow_nothing() {
    let place = Place::direct();
    let _node = place.node("node", &[]);
    place.client("client");
    let before = place.balance("client");
    let answer = place.render("client", &place.scenes.path("animation.blend"), &[]).ok();
    pixels(&answer.files()[0]);
    let price = answer.lamports();
    assert_eq!(place.balance("node"), price, "nobody takes a fee out of it");
    assert_eq!(before - place.balance("client"), price + place.fee(&answer.text("paymentTx")));
    let job = place.job(&answer.text("job"));
    assert_eq!(job["status"], "completed");
    let audit = place.audit();
    assert_eq!((&audit["payments_in"], &audit["fees"]), (&0.into(), &0.into()), "{audit}");
    place.close();
}

#[test]
fn eight_frames_become_eight_files_in_which_the_scene_moves() {
    let place = Place::open();
    let _node = place.node("node", &[]);
    place.client("client");
    let scene = place.scenes.path("animation-zstd.blend");
    let answer = place.render("client", &scene, &["--frames", "1-8"]).ok();
    let names = (1..=8).map(|frame| format!("animation-zstd_{frame:04}.png"));
    let folder = place.path("client-frames");
    assert_eq!(answer.files(), names.map(|name| folder.join(name)).collect::<Vec<_>>());
    // A quarter turn: the last frame looks like the first, and no two neighbours are alike.
    let hashes: Vec<String> = answer.files().iter().map(|file| pixels(file)).collect();
    assert!(hashes.windows(2).all(|pair| pair[0] != pair[1]), "the cube turns: {hashes:?}");
    place.close();
}

#[test]
fn a_malicious_scene_is_rendered_and_leaves_no_mark() {
    let place = Place::open();
    let _node = place.node("node", &[]);
    place.client("client");
    for scene in [place.scenes.path("malicious.blend"), place.scenes.inside()] {
        let over = AtomicBool::new(false);
        let answer = std::thread::scope(|scope| {
            // The node removes its folder at the end, so it is watched meanwhile.
            let watch = scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    assert_eq!(marks_below(&place.path("node-work")), 0, "a mark inside");
                    std::thread::sleep(std::time::Duration::from_millis(10));
                }
            });
            let answer = place.render("client", &scene, &["--new"]);
            over.store(true, Ordering::Relaxed);
            watch.join().expect("no mark is made inside");
            answer.ok()
        });
        pixels(&answer.files()[0]);
    }
    assert_eq!(place.scenes.marks(), [""; 0]);
    assert_eq!(marks_below(&place.path("")), 0);
    place.close();
}

/// How many files below a folder are named like the mark.
fn marks_below(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let mut marks = 0;
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        marks += usize::from(name.starts_with(MARK_INSIDE));
        if path.is_dir() && !path.is_symlink() {
            marks += marks_below(&path);
        }
    }
    marks
}

#[test]
fn a_mesh_without_camera_and_light_is_rendered_all_the_same() {
    let place = Place::open();
    let _node = place.node("node", &[]);
    place.client("client");
    let answer = place.render("client", &place.scenes.path("mesh.obj"), &[]).ok();
    assert_eq!(answer.files(), [place.path("client-frames").join("mesh_0001.png")]);
    pixels(&answer.files()[0]);
    place.close();
}

#[test]
fn one_node_renders_for_two_clients_at_once() {
    let place = Place::open();
    let mut node = place.node("node", &["--max-jobs", "2"]);
    place.client("one");
    place.client("other");
    let scene = place.scenes.path("animation.blend");
    let line = ["--frames", "1-2"];
    let one = place.begin_render("one", &scene, &line);
    node.wait_for("started ");
    let (held, first) = (node.hold("blender"), node.log().len());
    let other = place.begin_render("other", &scene, &line);
    node.wait_for_after(first, "started ");
    drop(held);
    let (one, other) = (one.finish().ok(), other.finish().ok());
    assert_ne!(one.text("job"), other.text("job"));
    let pictures = |files: Vec<std::path::PathBuf>| -> Vec<String> {
        files.iter().map(|file| pixels(file)).collect()
    };
    assert_eq!(pictures(one.files()), pictures(other.files()), "the seed is pinned");
    node.wait_for("settled");
    let log = node.log();
    let line_of = |words: &str, nth: usize| {
        log.lines().enumerate().filter(|(_, line)| line.contains(words)).nth(nth).map(|(at, _)| at)
    };
    let (second_start, first_end) = (line_of("started ", 1), line_of("delivered ", 0));
    assert!(second_start < first_end, "one after the other:\n{log}");
    place.settle();
    assert_eq!(place.balance("node"), one.base_price() + other.base_price());
    place.close();
}
