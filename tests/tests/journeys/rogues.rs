//! Providers that deliver what was not ordered: never paid for it, and the client is served or paid back.

use std::fs;

use framefair_wire::market::{Fault, FromProvider, Outcome, Progress, ToProvider};
use reqwest::Method;

use crate::fakes;
use crate::place::Place;
use crate::process::wait_until;
use crate::rogue::Rogue;

#[test]
fn wrong_pictures_are_never_paid_for_and_the_client_gets_everything_back() {
    let place = Place::open();
    let mut rogue = place.runtime.block_on(Rogue::appear(&place, "rogue"));
    place.client("client");
    let before = place.balance("client");
    let render = place.begin_render("client", &place.scenes.path("animation.blend"), &[]);
    place.runtime.block_on(async {
        for (epoch, picture) in
            [(1, fakes::too_small()), (2, fakes::black()), (3, fakes::truncated())]
        {
            let task = rogue.take().await;
            assert_eq!(task.attempt.epoch, epoch);
            assert_eq!(rogue.deliver(&task, &picture).await, Outcome::Rejected, "epoch {epoch}");
        }
        // And once it only says that it has delivered.
        let task = rogue.take().await;
        rogue.say_done(task.attempt).await;
        assert_eq!(rogue.outcome(task.attempt).await, Outcome::Rejected);
    });
    let answer = render.finish();
    assert_eq!(answer.code, 1, "{}", answer.said);
    assert!(answer.text("reason").contains("not delivered"), "{}", answer.said);
    place.settle();
    let job = place.job(&answer.text("job"));
    let fee = place.fee(job["paymentTx"].as_str().expect("paid"));
    assert_eq!(place.balance("client"), before - fee);
    assert_eq!(place.balance("rogue"), 0);
    place.runtime.block_on(async {
        let again = rogue.hears_none(|said| matches!(said, ToProvider::Assign(_))).await;
        assert!(again, "a job that is over is not handed out");
    });
    place.close();
}

/// Eight copies of one picture are no animation, in a file too big for its head to tell; where
/// nothing is animated they are what was ordered.
#[test]
fn copies_of_one_picture_are_no_animation() {
    let place = Place::open();
    let mut rogue = place.runtime.block_on(Rogue::appear(&place, "rogue"));
    place.client("client");
    for (scene, frames, outcome) in
        [("demo.blend", "1-8", Outcome::Rejected), ("still.blend", "1-3", Outcome::Completed)]
    {
        let scene = place.scenes.path(scene);
        let render = place.begin_render("client", &scene, &["--frames", frames]);
        place.runtime.block_on(async {
            let picture = fakes::plausible(9);
            let mut task = rogue.take().await;
            assert_eq!(rogue.deliver(&task, &picture).await, outcome);
            while outcome == Outcome::Rejected && task.attempt.epoch < 4 {
                task = rogue.take().await;
                assert_eq!(rogue.deliver(&task, &picture).await, outcome);
            }
        });
        let answer = render.finish();
        assert_eq!(answer.code == 0, outcome == Outcome::Completed, "{}", answer.said);
        if outcome == Outcome::Rejected {
            assert!(answer.text("reason").contains("one picture"), "{}", answer.said);
        }
    }
    place.close();
}

#[test]
fn after_a_wrong_picture_an_honest_node_finishes_and_is_paid() {
    let place = Place::open();
    let mut rogue = place.runtime.block_on(Rogue::appear(&place, "rogue"));
    let _honest = place.node("honest", &[]);
    place.client("client");
    let named = rogue.id.to_string();
    let scene = place.scenes.path("animation.blend");
    let render = place.begin_render("client", &scene, &["--provider", &named]);
    place.runtime.block_on(async {
        let task = rogue.take().await;
        assert_eq!(rogue.deliver(&task, &fakes::black()).await, Outcome::Rejected);
    });
    let answer = render.finish().ok();
    assert_eq!(answer.text("provider"), place.provider_id("honest"));
    place.settle();
    assert_eq!(place.balance("rogue"), 0);
    assert_eq!(place.balance("honest"), answer.base_price());
    place.close();
}

#[test]
fn a_picture_cannot_be_swapped_after_it_was_verified() {
    let place = Place::open();
    let mut rogue = place.runtime.block_on(Rogue::appear(&place, "rogue"));
    place.client("client");
    let (shown, swapped) = (fakes::plausible(1), fakes::plausible(200));
    let render = place.begin_render("client", &place.scenes.path("animation.blend"), &[]);
    let task = place.runtime.block_on(async {
        let task = rogue.take().await;
        let granted = rogue.ask(task.attempt, 1, &shown).await.expect("ours");
        // The link takes exactly the bytes that were announced, and those once.
        assert!(rogue.put(&granted, &swapped).await.is_client_error());
        assert!(rogue.put(&granted, &shown).await.is_success());
        assert!(rogue.put(&granted, &shown).await.is_client_error());
        // A second frame number, or one that is not part of the task, opens no second place.
        assert!(rogue.ask(task.attempt, 1, &swapped).await.is_some());
        rogue.say_done(task.attempt).await;
        assert_eq!(rogue.outcome(task.attempt).await, Outcome::Completed);
        assert!(rogue.put(&granted, &swapped).await.is_client_error());
        assert!(rogue.force(Method::PUT, &granted.url, &swapped).await.is_client_error());
        assert!(rogue.ask(task.attempt, 1, &swapped).await.is_none(), "the lease is over");
        task
    });
    let answer = render.finish().ok();
    assert_eq!(fs::read(&answer.files()[0]).expect("a picture"), shown);

    let id = answer.text("job");
    place.runtime.block_on(async {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        let url = format!("{}/render/{id}/result", place.hub_url());
        let got = client.build().expect("a client").get(url).send().await.expect("the hub answers");
        let link = got.headers()["location"].to_str().expect("a link").to_owned();
        let bare = link.split('?').next().expect("a link has a path").to_owned();
        for url in [&link, &bare] {
            for method in [Method::PUT, Method::DELETE, Method::POST] {
                let status = rogue.force(method.clone(), url, &swapped).await;
                assert!(!status.is_success(), "{method} {status}");
            }
        }
        let now =
            crate::place::http().get(&link).send().await.expect("the store answers").bytes().await;
        assert_eq!(now.expect("bytes"), shown);
        // Said twice, paid once.
        rogue.say_done(task.attempt).await;
        assert_eq!(rogue.outcome(task.attempt).await, Outcome::Completed);
    });
    place.settle();
    assert_eq!(place.balance("rogue"), answer.base_price());
    place.close();
}

#[test]
fn a_node_that_lost_its_lease_changes_nothing_any_more() {
    let place = Place::open();
    let mut rogue = place.runtime.block_on(Rogue::appear(&place, "rogue"));
    let mut honest = place.node("honest", &[]);
    place.client("client");
    let named = rogue.id.to_string();
    let scene = place.scenes.path("animation.blend");
    let line = ["--provider", &named, "--frames", "1-2", "--samples", "500"];
    let render = place.begin_render("client", &scene, &line);
    let fake = fakes::plausible(3);
    let (old, granted) = place.runtime.block_on(async {
        let task = rogue.take().await;
        let granted = rogue.ask(task.attempt, 1, &fake).await.expect("ours");
        assert_eq!(rogue.say_failed(task.attempt, Fault::Node).await, Outcome::Recorded);
        (task.attempt, granted)
    });
    honest.wait_for("started ");
    place.runtime.block_on(async {
        // Its old link still takes the old bytes, to a place that nobody looks at any more.
        rogue.put(&granted, &fake).await;
        let stolen = framefair_wire::market::Attempt { epoch: old.epoch + 1, ..old };
        for attempt in [old, stolen] {
            assert!(rogue.ask(attempt, 1, &fake).await.is_none(), "{attempt:?}");
            let progress = Progress { frames_done: 2, frames_total: 2, ..Progress::default() };
            rogue.say(FromProvider::Progress { attempt, progress }).await;
            rogue.say(FromProvider::Declined { attempt, reason: "stale".into() }).await;
            let failed = rogue.say_failed(attempt, Fault::Scene).await;
            assert_eq!(failed, Outcome::Stale, "{attempt:?}");
            rogue.say_done(attempt).await;
        }
    });
    let answer = render.finish().ok();
    assert_eq!(answer.text("provider"), place.provider_id("honest"));
    for file in answer.files() {
        assert_ne!(fs::read(file).expect("a frame"), fake);
    }
    assert_eq!(honest.log().matches("started ").count(), 1, "it was never disturbed");
    place.settle();
    let paid = wait_until("the honest node is paid", || {
        Some(place.balance("honest")).filter(|lamports| *lamports > 0)
    });
    assert_eq!(paid, answer.base_price());
    assert_eq!((place.balance("rogue"), rogue.wallet() == place_wallet(&place)), (0, true));
    place.close();
}

/// The rogue's wallet, as its file says.
fn place_wallet(place: &Place) -> framefair_domain::wallet::Wallet {
    let rpc = place.rpc_url();
    let said = place.framefair(&["wallet", "balance", "--wallet", "rogue.json", "--rpc", &rpc]);
    said.ok().text("wallet").parse().expect("a wallet")
}
