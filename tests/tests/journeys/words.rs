//! What the programs say and how they exit.

use crate::place::{Place, text};
use crate::process::{Process, wait_until};

#[test]
fn a_second_start_on_the_same_folder_is_refused_in_clear_words() {
    let place = Place::open();
    let log = place.path("second.log");
    let mut second = Process::start("a second hub", &mut place.hub_command(), log, None);
    assert_eq!(second.end().code(), Some(1));
    let said = second.log();
    assert!(said.contains("in use by another framefair-local"), "{said}");
    assert!(said.contains("--data"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    // The first one took no harm.
    assert_eq!(place.framefair(&["providers", "--hub", &place.hub_url()]).code, 0);
    place.close();
}

#[test]
fn the_command_line_says_what_happens_and_exits_as_documented() {
    let place = Place::open();
    let hub = place.hub_url();
    let scene = place.scenes.path("animation.blend");

    // Nobody there: 7, and nothing is paid.
    place.client("client");
    let before = place.balance("client");
    let alone = place.render("client", &scene, &[]);
    assert_eq!(alone.code, 7, "{}", alone.said);
    let (code, out, _) = place.plain(&["providers", "--hub", &hub]);
    assert_eq!(code, 0);
    assert!(out.contains("Nobody renders here"), "{out}");

    let mut node = place.node("node", &[]);
    let (_, out, _) = place.plain(&["providers", "--hub", &hub, "--status", "online"]);
    assert!(out.contains("node") && out.contains("online") && out.contains("3.4"), "{out}");

    // Too dear: 3.
    let dear = place.render("client", &scene, &["--max-price", "0.000001"]);
    assert_eq!(dear.code, 3, "{}", dear.said);
    assert_eq!(dear.said["ok"], false);
    assert_eq!(place.balance("client"), before, "nothing was paid so far");

    // An empty purse: 4. No hub: 5. No scene: 8 or 6. A wrong flag: 2.
    place.wallet("beggar");
    assert_eq!(place.render("beggar", &scene, &[]).code, 4);
    let rpc = place.rpc_url();
    let mut line =
        vec!["render", text(&scene), "--hub", "http://127.0.0.1:9", "--rpc", &rpc, "--yes"];
    line.extend(["--wallet", "client.json", "--out", "nowhere", "--timeout", "2"]);
    assert_eq!(place.framefair(&line).code, 5);
    assert_eq!(place.framefair(&["render", "--no-such-flag"]).code, 2);
    assert_eq!(place.framefair(&["status", "no-uuid", "--hub", &hub]).code, 2);
    let unknown = "0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001";
    assert_eq!(place.framefair(&["status", unknown, "--hub", &hub]).code, 7);

    // And all well: 0.
    let done = place.render("client", &scene, &["--max-price", "0.5"]).ok();
    let id = done.text("job");
    assert_eq!((&done.said["ok"], done.text("status").as_str()), (&true.into(), "completed"));
    for event in ["quote", "upload", "status"] {
        done.event(event);
    }
    let frames = place.path("client-frames");
    let status = ["status", &id, "--hub", &hub, "--out", text(&frames)];
    let (code, out, _) = place.plain(&status);
    assert_eq!(code, 0);
    for words in ["completed", "animation.blend", "confirmed", &done.text("paymentTx")] {
        assert!(out.contains(words), "{words} is missing in\n{out}");
    }

    // The node that is told to stop says goodbye.
    node.signal("TERM");
    assert!(node.end().success(), "{}", node.log());
    wait_until("the node is offline", || {
        let list = place.framefair(&["providers", "--hub", &hub]).ok();
        (list.said["data"]["providers"][0]["status"] == "offline").then_some(())
    });
    place.close();
}

#[test]
fn a_node_that_is_stopped_gives_its_work_to_another_at_once() {
    let place = Place::open();
    let mut first = place.node("first", &[]);
    let _second = place.node("second", &[]);
    place.client("client");
    let named = place.provider_id("first");
    let line = ["--frames", "1-8", "--samples", "400", "--provider", &named];
    let mut render = place.begin_render("client", &place.scenes.path("animation.blend"), &line);
    render.wait_for("\"event\":\"status\"");
    first.wait_for("frame 1");
    first.signal("TERM");
    assert!(first.end().success(), "{}", first.log());
    let answer = render.finish().ok();
    assert_eq!(answer.text("provider"), place.provider_id("second"));
    place.settle();
    assert_eq!((place.balance("first"), place.balance("second")), (0, answer.base_price()));
    place.close();
}
