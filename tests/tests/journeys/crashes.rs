//! Processes that die in the middle: the job is finished all the same, once, and paid once.

use crate::place::Place;

/// Long enough to be interrupted in the second frame, however quick the machine.
const LONG: [&str; 4] = ["--frames", "1-8", "--samples", "400"];

#[test]
fn a_node_killed_in_mid_frame_comes_back_and_finishes() {
    let place = Place::with_grace(300_000);
    let mut node = place.node("node", &[]);
    place.client("client");
    let render = place.begin_render("client", &place.scenes.path("animation.blend"), &LONG);
    node.wait_for("frame 1");
    node.kill();
    let node = place.node("node", &[]);
    let answer = render.finish().ok();
    assert_eq!(answer.files().len(), 8);
    assert_eq!(node.log().matches("started ").count(), 2, "before and after");
    let first = node.log().matches(", frame 1\n").count();
    assert_eq!(first, 1, "what the hub has is not rendered again: {}", node.log());
    place.settle();
    assert_eq!(place.balance("node"), answer.base_price());
    place.close();
}

#[test]
fn a_node_killed_in_mid_frame_is_replaced_by_another() {
    let place = Place::with_grace(2_000);
    let mut first = place.node("first", &[]);
    let second = place.node("second", &[]);
    place.client("client");
    let named = place.provider_id("first");
    let line = [&LONG[..], &["--provider", &named]].concat();
    let render = place.begin_render("client", &place.scenes.path("animation.blend"), &line);
    first.wait_for("frame 1");
    first.kill();
    let answer = render.finish().ok();
    assert_eq!(answer.text("provider"), place.provider_id("second"));
    assert_eq!(second.log().matches("started ").count(), 1);
    place.settle();
    assert_eq!((place.balance("first"), place.balance("second")), (0, answer.base_price()));
    place.close();
}

#[test]
fn a_hub_stopped_in_mid_job_goes_on_where_it_was() {
    // Shorter than the stop: the hub's own absence is no fault of the node.
    let mut place = Place::with_grace(8_000);
    let mut node = place.node("node", &[]);
    place.client("client");
    let render = place.begin_render("client", &place.scenes.path("animation.blend"), &LONG);
    node.wait_for("frame 1");
    place.stop_hub();
    std::thread::sleep(std::time::Duration::from_secs(9));
    place.start_hub();
    let answer = render.finish().ok();
    assert_eq!(answer.files().len(), 8);
    assert_eq!(node.log().matches("started ").count(), 1, "the render went on:\n{}", node.log());
    assert!(!place.hub().log().contains("An attempt ended"), "{}", place.hub().log());
    place.settle();
    assert_eq!(place.balance("node"), answer.base_price());
    place.close();
}

#[test]
fn a_hub_killed_right_after_the_payment_still_delivers() {
    let mut place = Place::with_grace(2_000);
    let _node = place.node("node", &[]);
    place.client("client");
    let line = ["--frames", "1-2"];
    let render = place.begin_render("client", &place.scenes.path("animation.blend"), &line);
    place.hub().wait_for("Accepted a payment");
    place.kill_hub();
    place.start_hub();
    let answer = render.finish().ok();
    assert_eq!(answer.files().len(), 2);
    place.settle();
    assert_eq!(place.balance("node"), answer.base_price());
    place.close();
}

#[test]
fn a_hub_killed_while_it_settles_pays_once() {
    let mut place = Place::open();
    let _node = place.node("node", &[]);
    place.client("client");
    let answer = place.render("client", &place.scenes.path("animation.blend"), &[]).ok();
    for _ in 0..3 {
        place.kill_hub();
        place.start_hub();
    }
    place.settle();
    assert_eq!(place.balance("node"), answer.base_price());
    place.close();
}

#[test]
fn a_provider_that_died_together_with_the_hub_is_not_shown_as_online() {
    let mut place = Place::open();
    let mut node = place.node("node", &[]);
    node.kill();
    place.kill_hub();
    place.start_hub();
    let hub = place.hub_url();
    crate::process::wait_until("it is offline", || {
        let list = place.framefair(&["providers", "--hub", &hub]).ok();
        (list.said["data"]["providers"][0]["status"] == "offline").then_some(())
    });
    place.client("client");
    let answer = place.render("client", &place.scenes.path("animation.blend"), &[]);
    assert_eq!(answer.code, 7, "{}", answer.said);
    place.close();
}
