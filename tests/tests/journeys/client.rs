//! What the command line does for who orders: several scenes at once, private jobs, looking on, and the doctor.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::place::{Answer, Place, text};

const UNKNOWN: &str = "0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001";

fn list<'a>(said: &'a Value, member: &str) -> &'a Vec<Value> {
    said[member].as_array().unwrap_or_else(|| panic!("no {member} in {said}"))
}

/// Every event of that name on stderr.
fn events(answer: &Answer, name: &str) -> Vec<Value> {
    let events = answer.progress.lines().filter_map(|line| serde_json::from_str(line).ok());
    events.filter(|event: &Value| event["event"] == name).collect()
}

fn lamports(said: &Value) -> u64 {
    said["lamports"].as_str().and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{said}"))
}

#[test]
fn several_scenes_are_ordered_at_once_and_one_that_fails_stops_no_other() {
    let place = Place::open();
    let _node = place.node("node", &["--max-jobs", "2"]);
    place.client("client");
    let before = place.balance("client");
    let scenes = ["animation.blend", "no-camera.blend", "animation-zstd.blend"]
        .map(|it| place.scenes.path(it));
    let frames = place.path("client-frames");

    // Two that would write the same frames: nothing is sent.
    let (twin, other) = (place.scenes.inside(), place.scenes.path("malicious.blend"));
    let refused = place.render("client", &twin, &[text(&other)]);
    assert_eq!(refused.code, 2, "{}", refused.said);
    assert_eq!(events(&refused, "upload"), [Value::Null; 0]);

    // The limit counts for each: their sum is above it.
    let more = [text(&scenes[1]), text(&scenes[2]), "--frames", "1-2", "--max-price", "0.01"];
    let answer = place.render("client", &scenes[0], &more);
    assert_eq!((answer.code, &answer.said["ok"]), (1, &false.into()), "{}", answer.said);
    let jobs = list(&answer.said, "jobs");
    for (job, scene) in jobs.iter().zip(&scenes) {
        assert_eq!(job["scene"], text(scene), "{job}");
    }
    let well = |job: &Value| (job["ok"].as_bool(), job["status"].as_str().map(str::to_owned));
    let ended = |ok, word: &str| (Some(ok), Some(word.to_owned()));
    let expected = [ended(true, "completed"), ended(false, "failed"), ended(true, "completed")];
    assert_eq!(jobs.iter().map(well).collect::<Vec<_>>(), expected, "{}", answer.said);
    assert!(jobs[1]["reason"].as_str().is_some_and(|why| why.contains("camera")), "{}", jobs[1]);
    assert!(answer.text("reason").contains("no-camera"), "{}", answer.said);
    for (job, name) in [(&jobs[0], "animation"), (&jobs[2], "animation-zstd")] {
        for (file, frame) in list(job, "files").iter().zip(1..=2) {
            assert_eq!(file, text(&frames.join(format!("{name}_{frame:04}.png"))));
            assert!(frames.join(file.as_str().expect("a path")).is_file(), "{file}");
        }
    }
    let quotes = events(&answer, "quote");
    let sum: u64 = quotes.iter().map(lamports).sum();
    assert_eq!((quotes.len(), lamports(&answer.event("sum"))), (3, sum));
    assert!(sum > 10_000_000, "the sum is above the limit of each: {sum}");
    let labels: Vec<&str> = quotes.iter().filter_map(|quote| quote["scene"].as_str()).collect();
    assert_eq!(labels, ["animation", "no-camera", "animation-zstd"]);

    place.settle();
    let price = lamports(&quotes[0]) + lamports(&quotes[2]);
    let fees: u64 = events(&answer, "paid")
        .iter()
        .map(|paid| place.fee(paid["paymentTx"].as_str().expect("a signature")))
        .sum();
    assert_eq!(before - place.balance("client"), price + fees, "the one that failed came back");

    // What this machine knows of them, the newest first.
    let known = place.framefair(&["jobs", "--out", text(&frames)]).ok();
    let rows: Vec<(&Value, &str, &str)> = list(&known.said, "jobs")
        .iter()
        .map(|it| (&it["job"], it["stage"].as_str().unwrap(), it["status"].as_str().unwrap()))
        .collect();
    let expected = [(2, "done", "completed"), (1, "over", "failed"), (0, "done", "completed")];
    assert_eq!(rows, expected.map(|(at, stage, word)| (&jobs[at]["job"], stage, word)));
    let (code, out, _) = place.plain(&["jobs", "--out", text(&frames)]);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!((code, lines.len()), (0, 4), "{out}");
    assert!(lines[0].starts_with("JOB") && lines[2].contains("over"), "{out}");
    assert_eq!(place.framefair(&["jobs", "--out", "no-such-folder"]).code, 8);
    place.close();
}

#[test]
fn a_private_job_is_followed_through_a_killed_hub_to_all_its_frames() {
    let mut place = Place::with_grace(2_000);
    let mut node = place.node("node", &[]);
    place.client("client");
    let frames = place.path("client-frames");
    let (out, hub) = (text(&frames), place.hub_url());
    let line = ["--frames", "1-3", "--private"];
    let mut render = place.begin_render("client", &place.scenes.path("animation.blend"), &line);
    let quote: Value = serde_json::from_str(&render.wait_for("\"event\":\"quote\"")).expect("JSON");
    let id = quote["job"].as_str().expect("an id").to_owned();
    node.wait_for("started ");
    let held = node.hold("blender");
    let mut watch = place.begin("watch", &["watch", &id, "--hub", &hub, "--out", out]);
    watch.wait_for("rendering");

    // Whoever has only the id sees nothing.
    for stranger in [["status", &id, "--hub", &hub], ["watch", &id, "--hub", &hub]] {
        assert_eq!(place.framefair(&stranger).code, 7, "{stranger:?}");
    }

    place.kill_hub();
    let known = place.framefair(&["jobs", "--out", out]).ok();
    let job = &list(&known.said, "jobs")[0];
    assert_eq!((&job["away"], &job["stage"]), (&true.into(), &"paid".into()), "{job}");
    render.wait_for("The hub does not answer");
    place.start_hub();
    drop(held);

    let (rendered, watched) = (render.finish().ok(), watch.finish().ok());
    assert!(rendered.progress.contains("The hub is back."), "{}", rendered.progress);
    assert_eq!((rendered.files().len(), rendered.text("job")), (3, id.clone()));
    assert_eq!(watched.files(), rendered.files());

    // The token is in its file alone, and the file opens the job.
    let record = fs::read_to_string(frames.join(".framefair").join(format!("{id}.json")));
    let record: Value = serde_json::from_str(&record.expect("a record")).expect("JSON");
    let token = record["accessToken"].as_str().expect("a token");
    let status = place.framefair(&["status", &id, "--hub", &hub, "--out", out]).ok();
    for answer in [&rendered, &watched, &status, &known] {
        assert!(!answer.said.to_string().contains(token) && !answer.progress.contains(token));
    }

    // A frame that was lost is downloaded again, and only what an earlier run left missing of it; nothing is paid.
    let url = format!("{hub}/render/{id}/result");
    let (etag, result) = place.runtime.block_on(async {
        let answer =
            crate::place::http().get(url).bearer_auth(token).send().await.expect("a result");
        let etag = answer.headers()["etag"].to_str().expect("a tag").to_owned();
        (etag, answer.bytes().await.expect("its bytes"))
    });
    let half = result.len() / 2;
    let note = json!({ "etag": etag, "total": result.len(), "safe": half });
    let left = |name: &str, bytes: &[u8]| {
        fs::write(frames.join(".framefair").join(format!("{id}.{name}")), bytes).expect("written");
    };
    left("part", &result[..half]);
    left("part.note", note.to_string().as_bytes());
    fs::remove_file(&rendered.files()[1]).expect("a frame");
    let again = place.framefair(&["watch", &id, "--hub", &hub, "--out", out]).ok();
    assert_eq!(again.files(), rendered.files());
    assert!(rendered.files()[1].is_file());
    let begun = again.event("download");
    assert_eq!((&begun["bytes"], &begun["total"]), (&half.into(), &result.len().into()), "{begun}");
    place.settle();
    assert_eq!(place.balance("node"), rendered.base_price());
    place.close();
}

#[test]
fn a_job_can_be_watched_from_anywhere() {
    let place = Place::open();
    let _node = place.node("node", &[]);
    place.client("client");
    let hub = place.hub_url();
    let done = place.render("client", &place.scenes.path("animation.blend"), &[]).ok();
    let watched = place.framefair(&["watch", &done.text("job"), "--hub", &hub]).ok();
    assert_eq!(watched.text("status"), "completed");
    assert_eq!(watched.text("result"), format!("{hub}/render/{}/result", done.text("job")));

    let failed = place.render("client", &place.scenes.path("no-camera.blend"), &[]);
    let watched = place.framefair(&["watch", &failed.text("job"), "--hub", &hub]);
    assert_eq!((failed.code, watched.code), (1, 1), "{}", watched.said);
    assert_eq!(watched.text("reason"), failed.text("reason"));
    assert_eq!(place.framefair(&["watch", UNKNOWN, "--hub", &hub]).code, 7);
    let away = ["watch", UNKNOWN, "--hub", "http://127.0.0.1:9", "--timeout", "1"];
    assert_eq!(place.framefair(&away).code, 5);
    place.close();
}

#[test]
fn the_doctor_finds_what_is_broken_and_only_that() {
    let place = Place::open();
    let wallet = place.client("client");
    let (hub, rpc) = (place.hub_url(), place.rpc_url());
    let line = ["doctor", "--hub", &hub, "--rpc", &rpc, "--wallet", text(&wallet)];
    let state = |answer: &Answer, check: &str| {
        let checks = list(&answer.said, "checks");
        let found = checks.iter().find(|it| it["check"] == check);
        let found = found.unwrap_or_else(|| panic!("no {check} in {}", answer.said));
        (found["state"].as_str().expect("a state").to_owned(), found["text"].to_string())
    };
    // How full this machine's disks are is not this test's to choose.
    let full = |answer: &Answer| {
        list(&answer.said, "checks").iter().any(|it| {
            it["state"] == "problem"
                && it["check"].as_str().is_some_and(|it| it.starts_with("disk"))
        })
    };
    let fine = place.framefair(&line);
    assert_eq!(fine.code, if full(&fine) { 9 } else { 0 }, "{}", fine.said);
    for (check, words) in [
        ("blender", "Blender "),
        ("sandbox", "bubblewrap works"),
        ("devices", " cores"),
        ("hub", "framefair"),
        ("clock", "agrees"),
        ("chain", "genesis "),
        ("wallet", "holds 1 SOL"),
    ] {
        let (state, said) = state(&fine, check);
        assert!(state == "ok" && said.contains(words), "{check}: {state} {said}");
    }
    let (code, out, _) = place.plain(&line);
    assert_eq!(code, fine.code);
    assert!(out.lines().filter(|line| line.starts_with("ok  ")).count() >= 7, "{out}");

    // Others may read the wallet, the hub is away, the Blender is none.
    fs::set_permissions(&wallet, fs::Permissions::from_mode(0o644)).expect("the owner may");
    let fake = place.path("fake-blender");
    fs::write(&fake, "#!/bin/sh\necho GIMP 3.0\n").expect("a program");
    fs::set_permissions(&fake, fs::Permissions::from_mode(0o755)).expect("the owner may");
    let line = ["doctor", "--hub", "http://127.0.0.1:9", "--rpc", &rpc, "--wallet", text(&wallet)];
    let ill = place.framefair(&[&line[..], &["--blender", text(&fake)]].concat());
    assert_eq!((ill.code, &ill.said["ok"]), (9, &false.into()), "{}", ill.said);
    for (check, words) in
        [("blender", "names none"), ("hub", "127.0.0.1:9"), ("wallet", "chmod 600")]
    {
        let (state, said) = state(&ill, check);
        assert!(state == "problem" && said.contains(words), "{check}: {state} {said}");
    }
    assert_eq!(state(&ill, "chain").0, "ok");
    assert!(ill.text("reason").starts_with("blender, "), "{}", ill.said);
    assert!(ill.text("reason").ends_with("hub, wallet"), "{}", ill.said);

    // What is not named is not looked for.
    let bare = place.framefair(&["doctor"]);
    assert_eq!(bare.code, if full(&bare) { 9 } else { 0 }, "{}", bare.said);
    for check in ["hub", "chain", "wallet"] {
        assert_eq!(state(&bare, check).0, "skipped", "{}", bare.said);
    }
    place.close();
}
