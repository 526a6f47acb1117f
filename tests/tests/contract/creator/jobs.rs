//! Jobs: dispatched to a node for credits, done over its socket in either family's words, and charged once.

use futures::future::join_all;
use serde_json::{Value, json};

use super::line::{Line, standing, standing_with};
use super::people::{Person, detail};
use super::relay::{node, node_with, open};
use crate::stage::{Answer, Hub, until};

const DISPATCH: &str = "/api/v1/jobs/dispatch";

pub(super) async fn dispatch(hub: &Hub, by: &Person, kind: &str, payload: &str) -> Answer {
    let body = json!({ "job_type": kind, "payload_ref": payload });
    by.post(hub, "jobDispatch", DISPATCH, &body).await
}

/// Dispatched, and its id.
pub(super) async fn dispatched(hub: &Hub, by: &Person, kind: &str, payload: &str) -> String {
    let answer = dispatch(hub, by, kind, payload).await.is(200).json();
    assert_eq!(answer["status"], "DISPATCHED");
    answer["job_id"].as_str().expect("an id").to_owned()
}

pub(super) async fn show(hub: &Hub, by: &Person, id: &str) -> Value {
    by.get(hub, "jobGet", &format!("/api/v1/jobs/{id}")).await.is(200).json()
}

async fn cancel(hub: &Hub, by: &Person, id: &str) -> Answer {
    let path = format!("/api/v1/jobs/{id}/cancel");
    hub.call("jobCancel", hub.ask("POST", &path).bearer_auth(&by.access)).await
}

pub(super) async fn result(hub: &Hub, by: &Person, id: &str) -> Answer {
    by.get(hub, "jobResult", &format!("/api/v1/jobs/{id}/result")).await
}

pub(super) async fn becomes(hub: &Hub, by: &Person, id: &str, status: &str) -> Value {
    until(status, async || {
        let job = show(hub, by, id).await;
        (job["status"] == status).then_some(job)
    })
    .await
}

pub(super) async fn holdings(hub: &Hub, person: &Person) -> [String; 3] {
    let balance = person.balance(hub).await;
    ["balance", "available", "held"]
        .map(|name| balance[name].as_str().expect("an amount").to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_done_as_the_documents_have_it_and_charged_when_it_completes() {
    let hub = Hub::of("creator", false).await;
    let (node, mut socket) = standing(&hub, 1).await;
    let ada = Person::register(&hub, "ada@example.com").await;
    ada.is_given(&hub, 25).await;
    let payload = "s3://elsewhere/scene.blend?priority=high&gpu=true";
    let id = dispatched(&hub, &ada, "render", payload).await;
    let job = show(&hub, &ada, &id).await;
    assert_eq!((&job["status"], &job["node_id"]), (&"DISPATCHED".into(), &node.id.clone().into()));
    assert_eq!((&job["payload_ref"], &job["retry_count"]), (&payload.into(), &0.into()));
    assert_eq!(holdings(&hub, &ada).await, ["25.0000", "15.0000", "10.0000"]);
    let gone = result(&hub, &ada, &id).await.is(404);
    assert_eq!(detail(&gone), "Job result not available: job is not completed");

    let told = socket.hears("job_dispatch").await;
    assert_eq!((&told["job_id"], &told["job_type"]), (&id.clone().into(), &"render".into()));
    assert_eq!(told["payload_ref"], "s3://elsewhere/scene.blend", "without the clients' suffix");
    let assigned = socket.hears("job_assign").await;
    assert_eq!((&assigned["job_id"], &assigned["attempt"]), (&id.clone().into(), &1.into()));
    let running =
        json!({ "type": "job_status", "job_id": id, "status": "running", "progress": 0.45 });
    socket.say(&running);
    becomes(&hub, &ada, &id, "RUNNING").await;
    let late = cancel(&hub, &ada, &id).await.is(400);
    let words =
        "Cannot cancel job in RUNNING state. Only QUEUED or DISPATCHED jobs can be cancelled.";
    assert_eq!(detail(&late), words);

    let url = told["upload_url"].as_str().expect("a link");
    let put = hub.http.put(url).header("content-type", "image/png").body("a picture");
    put.send().await.expect("the store answers").error_for_status().expect("it takes it");
    let done = json!({ "type": "job_result", "job_id": id, "status": "completed",
        "result_ref": told["result_ref"] });
    for _ in 0..2 {
        socket.say(&done);
    }
    let job = becomes(&hub, &ada, &id, "COMPLETED").await;
    assert!(job["completed_at"].is_string() && job["result_ref"].is_string(), "{job}");
    assert_eq!(holdings(&hub, &ada).await, ["15.0000", "15.0000", "0.0000"]);
    let history = ada.get(&hub, "creditHistory", "/api/v1/credits/history").await.is(200).json();
    let entry = &history["entries"][0];
    assert_eq!((&entry["amount"], &entry["direction"]), (&"10.0000".into(), &"DEBIT".into()));
    assert_eq!(entry["reference_id"], format!("job-{id}"));
    assert_eq!(entry["description"], "Job execution: render");
    let link = result(&hub, &ada, &id).await.is(200).json();
    let url = link["download_url"].as_str().expect("a link");
    let file = hub.http.get(url).send().await.expect("the store answers");
    assert_eq!(file.headers()["content-type"], "image/png");
    assert_eq!(file.text().await.expect("bytes"), "a picture");
    // What was charged can be proven like any other entry.
    assert_eq!(history["count"], 2);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_dispatched_without_credits_or_without_a_healthy_node() {
    let hub = Hub::of("creator", false).await;
    let ada = Person::register(&hub, "ada@example.com").await;
    // Credits are asked for first.
    let short = dispatch(&hub, &ada, "render", "s3://b/k").await.is(402).json();
    assert_eq!((&short["available"], &short["requested"]), (&"0.0000".into(), &"10.0000".into()));
    let nobody = dispatch(&hub, &ada, "echo", "x").await.is(400);
    assert_eq!(detail(&nobody), "No healthy nodes available for job type: echo");
    // A node that registered and was never heard of is not healthy.
    let node = node(&hub, 1).await;
    dispatch(&hub, &ada, "echo", "x").await.is(400);
    let beat = hub.ask("POST", "/api/v1/nodes/heartbeat").bearer_auth(&node.token);
    hub.call("nodeHeartbeat", beat.json(&json!({ "current_load": 0.1 }))).await.is(200);
    let id = dispatched(&hub, &ada, "echo", "x").await;
    assert_eq!(show(&hub, &ada, &id).await["node_id"], node.id.as_str());
    // What waits for it is handed out when its socket comes.
    let mut socket = Line::keep(open(&hub, &node.id, &node.token).await);
    assert_eq!(socket.hears("job_dispatch").await["job_id"], id.as_str());
    dispatch(&hub, &ada, "generic", "x").await.is(402);
    ada.is_given(&hub, 1).await;
    dispatch(&hub, &ada, "generic", "x").await.is(400);
    for (kind, payload) in
        [("", "x"), ("echo", ""), (&"k".repeat(101), "x"), ("echo", &"x".repeat(501))]
    {
        dispatch(&hub, &ada, kind, payload).await.is(422);
    }
    for payload in ["ipfs://bafy", "upload:0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001"] {
        dispatch(&hub, &ada, "echo", payload).await.is(422);
        // Who cannot pay is told that first.
        dispatch(&hub, &ada, "render", payload).await.is(402);
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_64_dispatches_on_a_balance_for_one_one_is_made() {
    let hub = Hub::of("creator", false).await;
    let (_, _socket) = standing(&hub, 1).await;
    let ada = Person::register(&hub, "ada@example.com").await;
    ada.is_given(&hub, 10).await;
    let all = join_all((0..64).map(|_| dispatch(&hub, &ada, "render", "s3://b/k"))).await;
    let made = all.iter().filter(|answer| answer.status == 200).count();
    let short = all.iter().filter(|answer| answer.status == 402).count();
    assert_eq!((made, short), (1, 63));
    assert_eq!(holdings(&hub, &ada).await, ["10.0000", "0.0000", "10.0000"]);
    let list = ada.get(&hub, "jobList", "/api/v1/jobs").await.is(200).json();
    assert_eq!((&list["count"], list["jobs"].as_array().map(Vec::len)), (&1.into(), Some(1)));
    // A second name for the same wish makes a second job; the same name does not.
    ada.is_given(&hub, 20).await;
    let body = json!({ "job_type": "render", "payload_ref": "s3://b/k" });
    let named = |key: &'static str, body: Value| {
        let ask = hub.ask("POST", DISPATCH).bearer_auth(&ada.access);
        hub.call("jobDispatch", ask.header("idempotency-key", key).json(&body))
    };
    let same = join_all((0..8).map(|_| named("one", body.clone()))).await;
    let ids: std::collections::BTreeSet<String> = same
        .into_iter()
        .map(|answer| answer.is(200).json()["job_id"].as_str().expect("an id").to_owned())
        .collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    named("one", json!({ "job_type": "echo", "payload_ref": "x" })).await.is(409);
    assert_eq!(holdings(&hub, &ada).await, ["30.0000", "10.0000", "20.0000"]);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_costs_nothing_and_no_report_brings_it_back() {
    let hub = Hub::of("creator", false).await;
    let (_, mut socket) = standing(&hub, 1).await;
    let ada = Person::register(&hub, "ada@example.com").await;
    ada.is_given(&hub, 10).await;
    let id = dispatched(&hub, &ada, "render", "s3://b/k").await;
    let told = socket.hears("job_dispatch").await;
    let job = cancel(&hub, &ada, &id).await.is(200).json();
    assert_eq!(
        (&job["status"], &job["error_message"]),
        (&"FAILED".into(), &"Cancelled by user".into())
    );
    assert!(job["completed_at"].is_string(), "{job}");
    assert_eq!(holdings(&hub, &ada).await, ["10.0000", "10.0000", "0.0000"]);
    let stop = socket.hears("job_cancel").await;
    assert_eq!((&stop["job_id"], &stop["attempt"]), (&id.clone().into(), &1.into()));
    for status in ["running", "completed", "failed"] {
        let frame = json!({ "type": "job_result", "job_id": id, "attempt": 1, "status": status,
            "result_ref": told["result_ref"] });
        socket.say(&frame);
    }
    // A frame that is answered shows that those before it were dealt with.
    let next = dispatched(&hub, &ada, "echo", "x").await;
    assert_eq!(socket.hears("job_dispatch").await["job_id"], next.as_str());
    assert_eq!(show(&hub, &ada, &id).await, job);
    cancel(&hub, &ada, &id).await.is(400);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_attempt_goes_to_another_node_and_the_last_one_frees_the_hold() {
    let hub = Hub::of("creator", false).await;
    let (one, mut first) = standing(&hub, 1).await;
    let ada = Person::register(&hub, "ada@example.com").await;
    ada.is_given(&hub, 10).await;
    let id = dispatched(&hub, &ada, "render", "s3://b/k").await;
    assert_eq!(show(&hub, &ada, &id).await["node_id"], one.id.as_str());
    let (two, mut second) = standing(&hub, 2).await;
    first.hears("job_dispatch").await;
    let failed = |attempt: u32| {
        json!({ "type": "job_result", "job_id": id, "attempt": attempt, "status": "failed",
            "error": format!("no {attempt}") })
    };
    // Neither another node's word counts, nor an attempt's that is not the current one.
    second.say(&failed(1));
    first.say(&failed(2));
    first.say(&failed(1));
    let told = second.hears("job_dispatch").await;
    assert_eq!((&told["job_id"], &told["attempt"]), (&id.clone().into(), &2.into()));
    let job = show(&hub, &ada, &id).await;
    assert_eq!((&job["node_id"], &job["retry_count"]), (&two.id.clone().into(), &1.into()));
    assert_eq!(job["completed_at"], Value::Null);
    // A reference elsewhere is refused, and that is a failed attempt.
    let theirs = json!({ "type": "job_result", "job_id": id, "status": "completed",
        "result_ref": "s3://framefair/results/of/somebody" });
    second.say(&theirs);
    for attempt in 3..=4 {
        let told = tokio::select! {
            told = first.hears("job_dispatch") => (told, true),
            told = second.hears("job_dispatch") => (told, false),
        };
        assert_eq!(told.0["attempt"], attempt);
        let socket = if told.1 { &mut first } else { &mut second };
        socket.say(&failed(attempt));
    }
    let job = becomes(&hub, &ada, &id, "FAILED").await;
    assert_eq!((&job["error_message"], &job["retry_count"]), (&"no 4".into(), &3.into()));
    assert_eq!(holdings(&hub, &ada).await, ["10.0000", "10.0000", "0.0000"]);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_the_accounts_own_and_strangers_jobs_are_missing() {
    let hub = Hub::of("creator", false).await;
    let node = node_with(&hub, 1, &["echo", "render"], 1).await;
    let _socket = Line::keep(open(&hub, &node.id, &node.token).await);
    let ada = Person::register(&hub, "ada@example.com").await;
    let bob = Person::register(&hub, "bob@example.com").await;
    until("the node is healthy", async || {
        let answer = dispatch(&hub, &bob, "echo", "x").await;
        (answer.status == 200).then_some(())
    })
    .await;
    let mut ids = Vec::new();
    for n in 0..12 {
        ids.push(dispatched(&hub, &ada, "echo", &n.to_string()).await);
    }
    ids.reverse();
    let list = async |query: &str| {
        let path = format!("/api/v1/jobs?{query}");
        let list = ada.get(&hub, "jobList", &path).await.is(200).json();
        let jobs = list["jobs"].as_array().expect("a list").clone();
        let ids = jobs.iter().map(|job| job["id"].as_str().expect("an id").to_owned());
        (ids.collect::<Vec<_>>(), list["count"].as_u64().expect("a number"))
    };
    assert_eq!(list("").await, (ids.clone(), 12));
    assert_eq!(list("limit=5&offset=3").await, (ids[3..8].to_vec(), 12));
    assert_eq!(list("offset=12").await, (Vec::new(), 12));
    cancel(&hub, &ada, &ids[4]).await.is(200);
    assert_eq!(list("status=failed").await, (vec![ids[4].clone()], 1));
    assert_eq!(list("status=failed&offset=1").await, (Vec::new(), 1));
    assert_eq!(list("status=COMPLETED").await, (Vec::new(), 0));
    let open = ids.iter().filter(|id| **id != ids[4]).cloned().collect::<Vec<_>>();
    let mut found = list("status=DISPATCHED").await.0;
    found.extend(list("status=queued").await.0);
    assert_eq!(found.len(), open.len());
    assert!(open.iter().all(|id| found.contains(id)), "{found:?}");
    for bad in ["status=x", "limit=0", "limit=101", "offset=-1", "limit=x"] {
        ada.get(&hub, "jobList", &format!("/api/v1/jobs?{bad}")).await.is(422);
    }
    let words = "Invalid status: x. Valid values: ['QUEUED', 'DISPATCHED', 'RUNNING', 'COMPLETED', 'FAILED']";
    assert_eq!(detail(&ada.get(&hub, "jobList", "/api/v1/jobs?status=x").await), words);

    let missing = "0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001";
    for (id, status) in [(ids[0].as_str(), 404), (missing, 404), ("x", 422)] {
        let path = format!("/api/v1/jobs/{id}");
        let shown = bob.get(&hub, "jobGet", &path).await.is(status);
        let cancelled = cancel(&hub, &bob, id).await.is(status);
        let link = result(&hub, &bob, id).await.is(status);
        let words = if status == 404 { "Job not found" } else { "Invalid job ID format" };
        assert_eq!([detail(&shown), detail(&cancelled), detail(&link)], [words; 3]);
    }
    for (id, method, path) in [
        ("jobDispatch", "POST", DISPATCH.to_owned()),
        ("jobList", "GET", "/api/v1/jobs".to_owned()),
        ("jobGet", "GET", format!("/api/v1/jobs/{missing}")),
        ("jobCancel", "POST", format!("/api/v1/jobs/{missing}/cancel")),
        ("jobResult", "GET", format!("/api/v1/jobs/{missing}/result")),
    ] {
        hub.call(id, hub.ask(method, &path)).await.is(401);
        hub.call(id, hub.ask(method, &path).bearer_auth(&node.token)).await.is(401);
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_fails_job_after_job_is_closed_and_one_with_bad_payloads_is_not() {
    let hub = Hub::of("creator", false).await;
    // With places enough: a job that is tried again, a second later, must not take the place of the next one.
    let (_, mut socket) = standing_with(&hub, 1, 8).await;
    let ada = Person::register(&hub, "ada@example.com").await;
    // The next attempt at this job fails.
    let fails = async |socket: &mut Line, id: &str, fault: Value| {
        let told = loop {
            let told = socket.hears("job_dispatch").await;
            if told["job_id"] == id {
                break told;
            }
        };
        socket.say(&json!({ "type": "job_result", "job_id": id, "attempt": told["attempt"],
            "status": "failed", "error": "no", "fault": fault }));
    };
    for _ in 0..4 {
        let id = dispatched(&hub, &ada, "echo", "x").await;
        // Said by the only node there is, it is believed the second time.
        fails(&mut socket, &id, json!("payload")).await;
        fails(&mut socket, &id, json!("payload")).await;
        let job = becomes(&hub, &ada, &id, "FAILED").await;
        assert_eq!(job["retry_count"], 0, "{job}");
    }
    for _ in 0..3 {
        let id = dispatched(&hub, &ada, "echo", "x").await;
        fails(&mut socket, &id, Value::Null).await;
        until("the attempt has ended", async || {
            (show(&hub, &ada, &id).await["retry_count"] == 1).then_some(())
        })
        .await;
    }
    let closed = dispatch(&hub, &ada, "echo", "x").await.is(400);
    assert_eq!(detail(&closed), "No healthy nodes available for job type: echo");
    let (_, _other) = standing(&hub, 2).await;
    dispatched(&hub, &ada, "echo", "x").await;
    hub.stop().await;
}
