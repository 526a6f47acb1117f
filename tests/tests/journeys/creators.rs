//! Creators' jobs with the real programs: an account, credits, a node that joins every face by one key, and what is
//! charged for what was done.

use serde_json::{Value, json};

use crate::place::{Answer, Place, text};

const EMAIL: &str = "ada@example.com";
/// A command that says hello, in WASI preview 1.
const HELLO: &str = "AGFzbQEAAAABDAJgBH9/f38Bf2AAAAIjARZ3YXNpX3NuYXBzaG90X3ByZXZpZXcxCGZkX3dyaXRlAAADAgEBBQMBAAEHEwIGbWVtb3J5AgAGX3N0YXJ0AAEKDwENAEEBQQBBAUEUEAAaCwsUAQBBAAsOCAAAAAYAAABoZWxsbwo=";

/// Somebody with an account and so many credits, logged in.
fn creator(place: &Place, credits: &str) {
    let session = place.path("session.json");
    let hub = place.hub_url();
    let line = ["login", EMAIL, "--register", "--hub", &hub, "--session", text(&session)];
    place.framefair(&line).ok();
    place.administer(&["credit", EMAIL, credits]);
}

fn dispatch(place: &Place, line: &[&str]) -> Answer {
    let session = place.path("session.json");
    place.framefair(&[&["dispatch"], line, &["--session", text(&session)]].concat())
}

fn balance(place: &Place) -> String {
    let session = place.path("session.json");
    place.framefair(&["credits", "--session", text(&session)]).ok().text("balance")
}

/// What `framefair nodes` says of a type of jobs.
fn capacity(place: &Place, job_type: &str) -> Value {
    let session = place.path("session.json");
    let fleet = place.framefair(&["nodes", "--session", text(&session)]).ok().said;
    let mut rows = fleet["job_types"].as_array().expect("rows").iter();
    rows.find(|row| row["job_type"] == job_type).expect("a documented type").clone()
}

fn result(answer: Answer) -> Value {
    let answer = answer.ok();
    assert_eq!(answer.text("status"), "COMPLETED");
    serde_json::from_str(&answer.text("result")).unwrap_or_else(|_| answer.text("result").into())
}

/// What any node of ours does, whichever socket it has.
fn does_all_kinds(place: &Place) {
    assert_eq!(result(dispatch(place, &["echo", "{\"hello\":1}"])), json!({ "hello": 1 }));
    let score = result(dispatch(place, &["cpu_benchmark", "{\"seconds\":1,\"threads\":1}"]));
    assert!(score["operations"].as_u64().is_some_and(|n| n > 0), "{score}");
    let module = json!({ "module_base64": HELLO }).to_string();
    let said = result(dispatch(place, &["generic", &module]));
    assert_eq!((&said["exit_code"], &said["stdout"]), (&json!(0), &json!("hello\n")));
    // A payload that is none is nobody's fault but its own, and costs nothing.
    let refused = dispatch(place, &["generic", "no module"]);
    assert_eq!(refused.code, 1, "{}", refused.said);
    assert_eq!(balance(place), "8.0000");
}

#[test]
fn a_node_without_blender_does_creators_other_jobs() {
    let place = Place::open();
    creator(&place, "10");
    let nobody = dispatch(&place, &["echo", "x"]);
    assert_eq!(nobody.code, 7, "{}", nobody.said);
    let mut node = place.node("crew", &["--no-blender"]);
    node.wait_for("joined ");
    does_all_kinds(&place);
    let file = place.path("score.json");
    dispatch(&place, &["cpu_benchmark", "{\"seconds\":1}", "--out", text(&file)]).ok();
    let score = std::fs::read_to_string(&file).expect("the result");
    assert!(score.contains("checksum"), "{score}");
    place.close();
}

#[test]
fn one_key_serves_wallets_and_creators_over_one_socket() {
    let place = Place::open();
    creator(&place, "10");
    let mut node = place.node("both", &[]);
    node.wait_for("joined ");
    does_all_kinds(&place);
    place.administer(&["price", "render", "2.5"]);
    let render = capacity(&place, "render");
    assert_eq!((&render["price"], &render["nodes"]), (&json!("2.5000"), &json!(1)), "{render}");
    assert_eq!((&render["free"], &render["waiting"]), (&json!(1), &json!(0)), "{render}");
    let (scene, picture) = (place.scenes.path("animation.blend"), place.path("frame.png"));
    dispatch(&place, &["render", "--file", text(&scene), "--out", text(&picture)]).ok();
    let picture = std::fs::read(&picture).expect("a picture");
    assert!(picture.starts_with(b"\x89PNG"), "{} bytes", picture.len());
    assert_eq!(balance(&place), "5.5000");
    place.client("client");
    place.render("client", &place.scenes.path("animation.blend"), &[]).ok();
    place.close();
}

#[test]
fn a_job_that_was_given_up_is_listed_and_redriven() {
    let place = Place::open();
    creator(&place, "10");
    place.administer(&["price", "generic", "2.5"]);
    let _node = place.node("crew", &["--no-blender"]);
    let refused = dispatch(&place, &["generic", "no module"]);
    let job = refused.text("job");
    let letters: Value =
        serde_json::from_str(&place.administer(&["dead-letters", "--json"])).expect("JSON");
    assert_eq!(
        (&letters[0]["job_id"], &letters[0]["original_payload"]),
        (&job.clone().into(), &"no module".into())
    );
    let said = place.administer(&["redrive", &job]);
    assert!(said.contains("job  ") && !said.contains(&job), "{said}");
    assert_eq!(balance(&place), "10.0000", "what fails costs nothing");
    place.close();
}
