//! Scenes that cannot be rendered: refused before anybody pays, or paid back in full with the reason.

use crate::place::{Answer, Place};
use crate::process::wait_until;
use crate::scenes::noise;

/// The job failed, and the client has everything back but the network's fee.
fn refunded(place: &Place, answer: &Answer, before: u64) -> String {
    assert_eq!(answer.code, 1, "{}", answer.said);
    let id = answer.text("job");
    let job = wait_until("the refund is final", || {
        let job = place.job(&id);
        (job["settlement"] == "settled").then_some(job)
    });
    assert_eq!(job["status"], "failed");
    assert!(job["refundTx"].is_string(), "{job}");
    let payment = job["paymentTx"].as_str().expect("it was paid").to_owned();
    assert_eq!(place.balance("client"), before - place.fee(&payment));
    answer.text("reason")
}

#[test]
fn a_scene_at_fault_is_paid_back_at_once_with_its_reason() {
    let place = Place::open();
    let node = place.node("node", &[]);
    place.client("client");
    for (scene, reason) in
        [("missing-texture.blend", "does_not_exist.png"), ("no-camera.blend", "camera")]
    {
        let before = place.balance("client");
        let answer = place.render("client", &place.scenes.path(scene), &[]);
        let said = refunded(&place, &answer, before);
        assert!(said.contains(reason) && said.len() > 10, "{scene}: {said}");
    }
    assert_eq!(place.balance("node"), 0, "nothing was rendered");
    // A fault of the scene is final at once: one attempt each.
    assert_eq!(node.log().matches("started ").count(), 2, "{}", node.log());
    // And it counts against no node.
    let providers = place.framefair(&["providers", "--hub", &place.hub_url()]).ok();
    assert_eq!(providers.said["data"]["providers"][0]["rating"].as_f64(), Some(4.5));
    place.close();
}

#[test]
fn a_scene_that_crashes_blender_is_tried_again_and_then_paid_back() {
    let place = Place::open();
    let node = place.node("node", &[]);
    place.client("client");
    let before = place.balance("client");
    let answer = place.render("client", &place.scenes.path("damaged.blend"), &[]);
    let said = refunded(&place, &answer, before);
    assert!(said.contains("Blender crashed"), "{said}");
    assert_eq!(node.log().matches("started ").count(), 4, "one attempt and three more");
    assert_eq!(place.balance("node"), 0);
    place.close();
}

#[test]
fn a_file_of_noise_is_refused_before_anybody_pays() {
    let place = Place::open();
    let _node = place.node("node", &[]);
    place.client("client");
    let before = place.balance("client");
    for name in ["noise.blend", "headed-noise.blend"] {
        let here = place.render("client", &place.scenes.path(name), &[]);
        assert_eq!(here.code, 6, "{}", here.said);
        assert!(here.text("reason").contains(".blend"), "{}", here.said);
    }

    // A client that does not look by itself hears the same from the hub.
    let wallet = place.framefair(&[
        "wallet",
        "balance",
        "--wallet",
        "client.json",
        "--rpc",
        &place.rpc_url(),
    ]);
    let form = reqwest::multipart::Form::new()
        .text("clientWallet", wallet.ok().text("wallet"))
        .part("file", reqwest::multipart::Part::bytes(noise(5_000)).file_name("noise.blend"));
    let url = format!("{}/render", place.hub_url());
    let (status, said) = place.runtime.block_on(async {
        let answer = crate::place::http().post(url).multipart(form).send().await;
        let answer = answer.expect("the hub answers");
        (answer.status(), answer.text().await.expect("text"))
    });
    assert_eq!(status, 400, "{said}");
    assert!(said.contains("\"success\":false") && said.contains("error"), "{said}");
    assert_eq!(place.balance("client"), before);
    place.close();
}

#[test]
fn a_scene_that_one_node_blames_is_shown_to_another_before_it_is_given_up() {
    let place = Place::open();
    let (one, other) = (place.node("one", &[]), place.node("other", &[]));
    place.client("client");
    let before = place.balance("client");
    let answer = place.render("client", &place.scenes.path("no-camera.blend"), &[]);
    assert!(refunded(&place, &answer, before).contains("camera"));
    for node in [one, other] {
        assert_eq!(node.log().matches("started ").count(), 1, "{}", node.log());
    }
    place.close();
}
