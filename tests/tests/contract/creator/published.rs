//! What published nodes say, and how they say it.

use framefair_store::keys;
use framefair_store::rows::JobRow;
use serde_json::{Value, json};

use super::jobs::{becomes, dispatched, holdings, result, show};
use super::line::{Line, standing};
use super::people::{Person, detail};
use super::relay::{node, open};
use crate::stage::{Hub, until};

#[tokio::test(flavor = "multi_thread")]
async fn published_nodes_words_do_as_well_and_an_echo_costs_nothing() {
    let hub = Hub::of("creator", false).await;
    let (_, mut socket) = standing(&hub, 1).await;
    let ada = Person::register(&hub, "ada@example.com").await;
    let id = dispatched(&hub, &ada, "echo", "{\"hello\":\"world\"}").await;
    let told = socket.hears("job_assign").await;
    assert!(told["timestamp"].is_string(), "{told}");
    socket.say(&json!({ "type": "job_ack", "job_id": id, "accepted": true }));
    let status = |status: &str, detail: &str| {
        json!({ "type": "status_update", "job_id": id, "status": status, "progress": 1.0,
            "detail": detail })
    };
    socket.say(&status("running", ""));
    socket.say(&status("completed", &told["payload_ref"].to_string()));
    becomes(&hub, &ada, &id, "COMPLETED").await;
    assert_eq!(holdings(&hub, &ada).await, ["0.0000", "0.0000", "0.0000"]);
    let link = result(&hub, &ada, &id).await.is(200).json();
    let url = link["download_url"].as_str().expect("a link");
    let file = hub.http.get(url).send().await.expect("the store answers");
    assert_eq!(file.headers()["content-type"], "application/json");
    let text = file.text().await.expect("bytes");
    assert_eq!(serde_json::from_str::<String>(&text).expect("JSON"), "{\"hello\":\"world\"}");
    // Nothing to keep is no failure.
    let id = dispatched(&hub, &ada, "echo", "x").await;
    socket.hears("job_dispatch").await;
    let done = json!({ "type": "job_result", "job_id": id, "status": "completed" });
    socket.say(&done);
    let job = becomes(&hub, &ada, &id, "COMPLETED").await;
    assert_eq!(job["result_ref"], Value::Null);
    let none = result(&hub, &ada, &id).await.is(404);
    assert_eq!(detail(&none), "Job result not available: no result stored");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_too_much_has_failed_and_is_told_why() {
    let hub = Hub::of("creator", false).await;
    let node = node(&hub, 1).await;
    let mut socket = Line::keep(open(&hub, &node.id, &node.token).await);
    socket.hears("heartbeat_ping").await;
    let ada = Person::register(&hub, "ada@example.com").await;
    let id = dispatched(&hub, &ada, "echo", r#"{"limit":7,"attempt":"x"}"#).await;
    let done = |length: usize| {
        json!({ "type": "status_update", "job_id": id, "status": "completed",
            "detail": "x".repeat(length) })
    };
    let running = json!({ "type": "status_update", "job_id": id, "status": "running" });
    let told = socket.hears("job_assign").await;
    assert_eq!((&told["limit"], &told["attempt"]), (&7.into(), &1.into()));
    socket.say(&done((64 << 10) + 1));
    let told = socket.hears("job_assign").await;
    assert_eq!(told["attempt"], 2);
    assert!(
        hub.machine
            .ctx
            .store
            .get::<JobRow>(&keys::job(id.parse().expect("an id")))
            .await
            .expect("read")
            .expect("a job")
            .error
            .expect("why")
            .contains("longer than 64 KiB")
    );
    // What cannot be read at all fails whatever had begun, and is not begun again and again.
    socket.say(&running);
    becomes(&hub, &ada, &id, "RUNNING").await;
    socket.say(&done(1 << 20));
    assert_eq!(socket.gone().await.0, 1009);
    until("the attempt failed", async || {
        (show(&hub, &ada, &id).await["retry_count"] == 2).then_some(())
    })
    .await;
    // And the most that is allowed is kept, however it is written.
    let mut socket = Line::keep(open(&hub, &node.id, &node.token).await);
    let told = socket.hears("job_assign").await;
    assert_eq!(told["attempt"], 3);
    let text = "\u{e9}".repeat(32 << 10);
    let escaped = text.replace('\u{e9}', "\\u00e9");
    socket.say_text(&format!(
        r#"{{"type":"status_update","job_id":"{id}","status":"completed","detail":"{escaped}"}}"#
    ));
    becomes(&hub, &ada, &id, "COMPLETED").await;
    let link = result(&hub, &ada, &id).await.is(200).json();
    let url = link["download_url"].as_str().expect("a link");
    let file = hub.http.get(url).send().await.expect("the store answers");
    assert_eq!(file.text().await.expect("bytes"), text);
    hub.stop().await;
}
