//! Providers of the published kind: pushed a task at their endpoint, paid for what they hand in, and
//! never the reason that somebody is paid twice or not at all.

use std::fs;
use std::io::Write;

use reqwest::StatusCode;
use serde_json::json;

use crate::fakes;
use crate::legacy::{Legacy, Manner, rendered};
use crate::place::{HEIGHT, Place, WIDTH};
use crate::process::wait_until;

const SCENE: &str = "animation.blend";

fn place() -> Place {
    Place::with_legacy_providers(2_000)
}

/// Waits until the money of this job has gone where it belongs, and nobody is owed anything.
fn settled(place: &Place, job: &str) {
    wait_until("the job is settled", || (place.job(job)["settlement"] == "settled").then_some(()));
    place.settle();
}

fn appear(place: &Place, name: &str) -> Legacy {
    place.runtime.block_on(Legacy::appear(place, name))
}

#[test]
fn a_published_client_is_pushed_a_task_renders_it_and_is_paid() {
    let place = place();
    let legacy = appear(&place, "legacy");
    place.client("client");
    let render = place.begin_render("client", &place.scenes.path(SCENE), &[]);
    let task = legacy.taken(1);
    assert_eq!(task.scene, fs::read(place.scenes.path(SCENE)).expect("a scene"));
    assert_eq!(task.file_name, SCENE);
    assert_eq!(task.settings["resolution"], json!({ "width": WIDTH, "height": HEIGHT }));
    wait_until("it shows as rendering", || {
        (place.job(&task.job)["status"] == "rendering").then_some(())
    });
    let picture = rendered(&place, &task);
    // Twice, as a client does whose first answer was lost.
    for _ in 0..2 {
        let (status, said) = place.runtime.block_on(legacy.complete(&task.job, &picture));
        assert_eq!(status, StatusCode::OK, "{said}");
    }
    let answer = render.finish().ok();
    assert_eq!(answer.text("job"), task.job);
    assert_eq!(fs::read(&answer.files()[0]).expect("a picture"), picture);
    settled(&place, &task.job);
    assert_eq!(place.balance("legacy"), answer.base_price());
    let job = place.job(&task.job);
    assert_eq!((&job["status"], &job["renderTime"]), (&json!("completed"), &json!(1.5)));
    // Its socket carried what the documents know, and nothing else.
    let paid = json!({ "type": "job:paid", "jobId": task.job, "txSignature": job["paymentTx"] });
    assert_eq!(legacy.heard(), [paid]);
    assert_eq!(legacy.knocks(), 1);
    place.close();
}

#[test]
fn a_busy_provider_is_asked_once_more_and_then_another_one_is() {
    let place = place();
    let busy = appear(&place, "busy");
    busy.treats(Manner::IsBusy);
    let free = appear(&place, "free");
    place.client("client");
    let line = ["--provider", &busy.id];
    let render = place.begin_render("client", &place.scenes.path(SCENE), &line);
    let task = free.taken(1);
    assert_eq!(busy.knocks(), 2);
    place.runtime.block_on(free.complete(&task.job, &fakes::plausible(5)));
    let answer = render.finish().ok();
    settled(&place, &task.job);
    assert_eq!((place.balance("busy"), place.balance("free")), (0, answer.base_price()));
    // To be busy is no failure.
    let listed = place.framefair(&["providers", "--hub", &place.hub_url()]).ok();
    let listed = listed.said["data"]["providers"].as_array().expect("a list").clone();
    let rating =
        |id: &str| listed.iter().find(|it| it["id"] == id).expect("listed")["rating"].clone();
    assert_eq!(rating(&busy.id).as_f64(), Some(4.5));
    place.close();
}

#[test]
fn an_answer_that_never_came_keeps_the_task_where_it_may_be() {
    let place = place();
    let unheard = appear(&place, "unheard");
    unheard.treats(Manner::AcceptsUnheard);
    let idle = appear(&place, "idle");
    place.client("client");
    let line = ["--provider", &unheard.id];
    let render = place.begin_render("client", &place.scenes.path(SCENE), &line);
    let task = unheard.taken(1);
    // Asked again, it says that it is rendering already: this very task.
    wait_until("it is asked again", || (unheard.knocks() == 2).then_some(()));
    wait_until("it shows as rendering", || {
        (place.job(&task.job)["status"] == "rendering").then_some(())
    });
    place.runtime.block_on(unheard.complete(&task.job, &fakes::plausible(6)));
    let answer = render.finish().ok();
    settled(&place, &task.job);
    assert_eq!(place.balance("unheard"), answer.base_price());
    assert_eq!((idle.knocks(), place.balance("idle")), (0, 0));
    place.close();
}

#[test]
fn a_hub_that_dies_in_the_middle_of_a_push_renders_nothing_twice() {
    let mut place = place();
    let unheard = appear(&place, "unheard");
    unheard.treats(Manner::AcceptsUnheard);
    let idle = appear(&place, "idle");
    place.client("client");
    let line = ["--provider", &unheard.id];
    let render = place.begin_render("client", &place.scenes.path(SCENE), &line);
    let task = unheard.taken(1);
    place.kill_hub();
    place.start_hub();
    wait_until("it is asked again", || (unheard.knocks() == 2).then_some(()));
    place.runtime.block_on(unheard.complete(&task.job, &fakes::plausible(7)));
    let answer = render.finish().ok();
    settled(&place, &task.job);
    assert_eq!(place.balance("unheard"), answer.base_price());
    assert_eq!((idle.knocks(), place.balance("idle")), (0, 0));
    place.close();
}

#[test]
fn after_a_provider_died_with_a_task_the_next_one_is_paid() {
    let place = place();
    let dying = appear(&place, "dying");
    let next = appear(&place, "next");
    place.client("client");
    let line = ["--provider", &dying.id];
    let render = place.begin_render("client", &place.scenes.path(SCENE), &line);
    let task = dying.taken(1);
    wait_until("it shows as rendering", || {
        (place.job(&task.job)["status"] == "rendering").then_some(())
    });
    dying.dies();
    assert_eq!(next.taken(1).job, task.job);
    // From the grave: the lease is over.
    let picture = fakes::plausible(8);
    let (status, _) = place.runtime.block_on(dying.complete(&task.job, &picture));
    assert_eq!(status, StatusCode::BAD_REQUEST);
    place.runtime.block_on(next.complete(&task.job, &picture));
    let answer = render.finish().ok();
    settled(&place, &task.job);
    assert_eq!((place.balance("dying"), place.balance("next")), (0, answer.base_price()));
    wait_until("the dead one is shown as offline", || {
        let listed = place.framefair(&["providers", "--hub", &place.hub_url()]).ok();
        let listed = listed.said["data"]["providers"].as_array().expect("a list").clone();
        let dead = listed.iter().find(|it| it["id"] == dying.id.as_str()).expect("listed");
        (dead["status"] == "offline").then_some(())
    });
    place.close();
}

#[test]
fn a_client_whose_only_provider_died_is_paid_back() {
    let place = place();
    let dying = appear(&place, "dying");
    place.client("client");
    let before = place.balance("client");
    let render = place.begin_render("client", &place.scenes.path(SCENE), &[]);
    let task = dying.taken(1);
    dying.dies();
    let answer = render.finish();
    assert_eq!(answer.code, 1, "{}", answer.said);
    settled(&place, &task.job);
    let job = place.job(&task.job);
    let fee = place.fee(job["paymentTx"].as_str().expect("paid"));
    assert_eq!((place.balance("client"), place.balance("dying")), (before - fee, 0));
    place.close();
}

#[test]
fn a_task_that_nobody_renders_is_paid_back() {
    let place = place();
    let broken = appear(&place, "broken");
    broken.treats(Manner::Breaks);
    place.client("client");
    let before = place.balance("client");
    let answer = place.render("client", &place.scenes.path(SCENE), &[]);
    assert_eq!(answer.code, 1, "{}", answer.said);
    assert!(answer.text("reason").contains("answered 500"), "{}", answer.said);
    assert_eq!(broken.knocks(), 4, "one attempt and three more");
    settled(&place, &answer.text("job"));
    let job = place.job(&answer.text("job"));
    let fee = place.fee(job["paymentTx"].as_str().expect("paid"));
    assert_eq!((place.balance("client"), place.balance("broken")), (before - fee, 0));
    place.close();
}

#[test]
fn a_large_scene_is_never_whole_in_the_memory_of_the_hub() {
    const BYTES: u64 = 384 << 20;
    let mut place = place();
    let legacy = appear(&place, "legacy");
    place.client("client");
    let scene = place.path("large.blend");
    let mut file = fs::File::create(&scene).expect("a file");
    // The head of a real scene, and nothing behind it: who only carries it cannot tell.
    file.write_all(&fs::read(place.scenes.path(SCENE)).expect("a scene")).expect("space");
    file.set_len(BYTES).expect("space");
    let (before, _) = place.hub().memory();
    let render = place.begin_render("client", &scene, &[]);
    let task = legacy.taken(1);
    assert_eq!(task.bytes, BYTES);
    place.runtime.block_on(legacy.complete(&task.job, &fakes::plausible(3)));
    render.finish().ok();
    let (_, most) = place.hub().memory();
    assert!(most < before + BYTES / 4, "from {before} to {most} bytes");
    place.close();
}

#[test]
fn an_unsigned_failure_counts_only_when_the_provider_bears_it_out() {
    let place = place();
    let legacy = appear(&place, "legacy");
    place.client("client");
    let render = place.begin_render("client", &place.scenes.path(SCENE), &[]);
    let task = legacy.taken(1);
    // A stranger's word, while it renders: asked, it says so.
    let asked = legacy.health_asked();
    let said = place.runtime.block_on(legacy.is_said_to_fail(&task.job));
    assert_eq!(said, StatusCode::OK);
    wait_until("it was asked for its health", || (legacy.health_asked() > asked + 8).then_some(()));
    assert_eq!((legacy.knocks(), &place.job(&task.job)["status"]), (1, &json!("rendering")));
    // Its own word, which it says while its health still has it rendering.
    legacy.says_it_renders(false);
    let again = legacy.taken(2);
    assert_eq!(again.job, task.job);
    place.runtime.block_on(legacy.complete(&again.job, &fakes::plausible(9)));
    let answer = render.finish().ok();
    settled(&place, &task.job);
    assert_eq!(place.balance("legacy"), answer.base_price());
    place.close();
}
