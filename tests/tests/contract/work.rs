//! The provider's side of the walk: a job that is rendered and served, and one that fails.

use framefair_chain::Signer;
use framefair_wire::market::{Fault, FromProvider, Progress};
use serde_json::{Value, json};

use crate::people::{Seller, paid, picture, pricing};
use crate::stage::{Hub, PATIENCE, until};
use crate::walk::NOBODY;

/// A job that a provider takes over its socket and hands in over HTTP.
pub(crate) async fn finished(hub: &Hub, client: &Signer) {
    let seller = Seller::new(11).register(hub, &["frames", "relay"]).await;
    // Dearer than what was paid before: those jobs are not its.
    seller.ask(hub, &pricing().to_string().replace("0.001", "0.5")).await.is(200);
    seller.set(hub, "online").await.is(200);
    let mut socket = seller.connect(hub, "/hub/ws").await;
    socket.say(&FromProvider::Ready { slots: 1 }).await;
    let (job, _) = paid(hub, client, &seller).await;
    let task = socket.assigned().await;
    assert_eq!(task.attempt.job_id.to_string(), job);
    let look = || hub.call("renderStatus", hub.ask("GET", &format!("/render/{job}")));
    assert_eq!(look().await.json()["data"]["status"], "queued");
    socket.say(&FromProvider::Accepted(task.attempt)).await;
    let progress = Progress { frames_done: 0, frames_total: 1, frame: 1, sample: 3, samples: 16 };
    let rendering = async {
        // What comes early is not written, so a node says it again.
        loop {
            socket.say(&FromProvider::Progress { attempt: task.attempt, progress }).await;
            let job = look().await.json();
            if job["data"]["status"] == "rendering" {
                return job;
            }
            tokio::time::sleep(std::time::Duration::from_millis(250)).await;
        }
    };
    let rendering = tokio::time::timeout(PATIENCE, rendering).await.expect("it shows as rendering");
    assert!(rendering["data"]["startedAt"].is_i64(), "{rendering}");

    let stranger = Seller::new(12).register(hub, &["relay"]).await;
    let file = picture(5);
    stranger.complete(hub, &job, &file).await.is(400).error();
    seller.hand_in(hub, &job, &stranger.sign("complete"), &file).await.is(401).error();
    seller.complete(hub, NOBODY, &file).await.is(404).error();
    let give_up = |body: Value| {
        hub.call(
            "providerFailed",
            hub.ask("POST", &format!("/provider/job/{job}/failed")).json(&body),
        )
    };
    let forged = stranger.sign(&format!("failed:{job}:broken"));
    give_up(json!({ "providerId": seller.id, "error": "broken", "signature": forged }))
        .await
        .is(401)
        .error();
    give_up(json!({ "providerId": seller.id, "error": "x".repeat(4_001) })).await.is(400).error();
    give_up(json!({ "providerId": NOBODY, "error": "broken" })).await.is(404).error();
    // Unsigned: anybody's word, which moves nothing.
    give_up(json!({ "providerId": seller.id, "error": "broken" })).await.is(200);

    seller.complete(hub, &job, &file).await.is(200);
    let done = until("the job is completed", || async {
        let job = look().await.is(200).json();
        assert_ne!(job["data"]["status"], "failed", "{job}");
        (job["data"]["status"] == "completed").then_some(job)
    });
    let done = done.await;
    assert_eq!(done["data"]["finalPrice"], done["data"]["estimatedPrice"]);
    assert_eq!(done["data"]["renderTime"], 12.5);
    assert_eq!(done["data"]["resultUrl"], format!("/render/{job}/result"));
    seller.complete(hub, &job, &file).await.is(200);
    seller.complete(hub, &job, &picture(6)).await.is(400).error();

    for prefix in ["", "/hub"] {
        let path = format!("{prefix}/render/{job}/result");
        let there = hub.call("renderResult", hub.ask("GET", &path)).await.is(302);
        let served = hub.raw(hub.http.get(there.header("location"))).await.is(200);
        assert_eq!((served.header("content-type"), &served.bytes), ("image/png", &file));
        let inline = hub.ask("GET", &format!("{path}?redirect=false"));
        let inline = hub.call("renderResult", inline).await.is(200);
        assert_eq!((inline.header("content-type"), &inline.bytes), ("image/png", &file));
        let odd = hub.ask("GET", &format!("{path}?redirect=maybe"));
        hub.call("renderResult", odd).await.is(400).error();
    }
    until("it is counted", async || {
        let stats = hub.call("stats", hub.ask("GET", "/stats")).await.is(200).json();
        let counts = (&stats["data"]["completedJobs"], &stats["data"]["onlineProviders"]);
        (counts == (&json!(1), &json!(2))).then_some(())
    })
    .await;
}

/// A job whose scene is at fault is failed at once, and paid back.
pub(crate) async fn failed(hub: &Hub, client: &Signer) {
    let seller = Seller::new(21).register(hub, &["relay"]).await;
    // Cheaper than the one before, so that nobody else can be asked whether it is the scene.
    seller.ask(hub, &pricing().to_string().replace("0.001", "0.25")).await.is(200);
    seller.set(hub, "online").await.is(200);
    let mut socket = seller.connect(hub, "/ws").await;
    let (job, _) = paid(hub, client, &seller).await;
    let attempt = socket.assigned().await.attempt;
    let error = "no\ncamera".to_owned();
    socket.say(&FromProvider::Failed { attempt, fault: Fault::Scene, error }).await;
    let look = || hub.call("renderStatus", hub.ask("GET", &format!("/render/{job}")));
    let ended = until("the job failed and was paid back", || async {
        let job = look().await.is(200).json();
        (job["data"]["status"] == "failed" && job["data"]["refundTx"].is_string()).then_some(job)
    });
    assert_eq!(ended.await["data"]["error"], "nocamera", "control characters are taken out");
}
