//! The totals of a deployment, as whoever watches it reads them.

use std::time::Duration;

use framefair_app::{Call, Ctx, metrics};
use framefair_domain::credits::Credits;
use framefair_store::{Index, Update, When, keys};
use futures::StreamExt;
use serde_json::json;

use super::fleet::{Machine, register};
use crate::stage::{Hub, until};

async fn totals(hub: &Hub) -> String {
    let answer = hub.call("metrics", hub.ask("GET", "/metrics")).await.is(200);
    String::from_utf8(answer.bytes).expect("text")
}

#[track_caller]
fn says(text: &str, line: &str) {
    assert!(text.lines().any(|it| it == line), "{line} is not in\n{text}");
}

/// Another process of the same deployment: it has seen nothing of what others counted.
fn elsewhere(hub: &Hub) -> Ctx {
    let here = &hub.machine.ctx;
    Ctx::new(here.store.clone(), here.chain.clone(), here.platform.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_counted_by_the_template_of_their_path_and_never_by_what_was_asked() {
    let hub = Hub::of("creator", false).await;
    let fresh = totals(&hub).await;
    says(&fresh, "# TYPE credits_consumed_total counter");
    says(&fresh, r#"jobs_dispatched_total{job_type="render"} 0"#);
    assert!(!fresh.contains("http_requests_total"), "nobody asked for anything:\n{fresh}");
    for n in 0..3 {
        hub.raw(hub.ask("GET", &format!("/render/0195a2c4-7d3e-7a10-9c1b-2f4be3a1c00{n}")))
            .await
            .is(404);
        hub.raw(hub.ask("GET", &format!("/nowhere/{n}"))).await.is(404);
    }
    hub.raw(hub.ask("GET", "/hub/render/0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001")).await.is(404);
    hub.raw(hub.ask("DELETE", "/render/pay")).await.is(405);
    hub.raw(hub.ask("BREW", "/nowhere")).await.is(404);
    hub.raw(hub.ask("GET", "/version")).await.is(200);
    let text = totals(&hub).await;
    let seen = |method: &str, endpoint: &str, status: u16, n: u32| {
        says(
            &text,
            &format!(
                "http_requests_total{{method=\"{method}\",endpoint=\"{endpoint}\",status_code=\"{status}\"}} {n}"
            ),
        );
    };
    seen("GET", "/render/{jobId}", 404, 4);
    seen("GET", "unknown", 404, 3);
    seen("DELETE", "unknown", 405, 1);
    seen("OTHER", "unknown", 404, 1);
    seen("GET", "/version", 200, 1);
    says(
        &text,
        r#"http_request_duration_seconds_count{method="GET",endpoint="/render/{jobId}"} 4"#,
    );
    says(
        &text,
        r#"http_request_duration_seconds_bucket{method="GET",endpoint="/version",le="+Inf"} 1"#,
    );
    for word in ["0195a2c4", "nowhere", "BREW", "/metrics", "/hub"] {
        assert!(!text.contains(word), "{word} became a label:\n{text}");
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_several_processes_counted_is_one_total_and_it_only_rises() {
    let hub = Hub::of("creator", false).await;
    for _ in 0..3 {
        let other = elsewhere(&hub);
        other.metrics.job_dispatched("render");
        other.metrics.job_completed("render");
        other.metrics.job_failed("a word of a stranger");
        other.metrics.credits_consumed(Credits::parse("2.5").expect("credits"));
        other.metrics.answered("GET", "/stats", 200, Duration::from_millis(20));
        other.flush_all_metrics(&mut Call::live()).await;
    }
    let silent = elsewhere(&hub);
    silent.metrics.job_dispatched("render");
    let text = totals(&hub).await;
    says(&text, r#"jobs_dispatched_total{job_type="render"} 3"#);
    says(&text, r#"jobs_completed_total{job_type="render",status="completed"} 3"#);
    says(&text, r#"jobs_completed_total{job_type="other",status="failed"} 3"#);
    says(&text, "credits_consumed_total 7.5");
    says(
        &text,
        r#"http_request_duration_seconds_bucket{method="GET",endpoint="/stats",le="0.01"} 0"#,
    );
    says(
        &text,
        r#"http_request_duration_seconds_bucket{method="GET",endpoint="/stats",le="0.025"} 3"#,
    );
    assert!(!text.contains("stranger"), "{text}");
    silent.flush_metrics(&mut Call::live()).await;
    says(&totals(&hub).await, r#"jobs_dispatched_total{job_type="render"} 4"#);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_writes_seldom_and_one_item_at_a_time() {
    let hub = Hub::of("creator", false).await;
    let seam = hub.machine.ctx.store.seam();
    let process = elsewhere(&hub);
    let written = || -> u64 {
        let all = seam.snapshot();
        all.iter()
            .filter(|it| it.label == "metrics" && it.op == "UpdateItem")
            .map(|it| it.calls)
            .sum()
    };
    let (before, start) = (written(), Call::live().now);
    for ms in (0..3 * metrics::FLUSH_EVERY_MS).step_by(100) {
        process.metrics.answered("GET", "/stats", 200, Duration::ZERO);
        process.metrics.answered("GET", "/version", 200, Duration::ZERO);
        process.flush_metrics(&mut Call::new(start.plus_ms(ms), [7; 32])).await;
    }
    assert_eq!(written() - before, 3, "150 requests of two routes in 15 seconds");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_are_counted_where_they_stand() {
    let hub = Hub::of("creator", false).await;
    says(&totals(&hub).await, "active_websocket_connections 0");
    says(&totals(&hub).await, r#"fleet_nodes_total{status="healthy"} 0"#);
    let answer = register(&hub, &Machine::new(91).registration()).await.is(201).json();
    let text = |name: &str| answer[name].as_str().expect("text").to_owned();
    let (address, node, token) = (hub.machine.hub, text("node_id"), text("token"));
    let url = format!("ws://{address}/api/v1/relay/ws/{node}?token={token}");
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.expect("the upgrade");
    // Who reads answers pings.
    let reading = tokio::spawn(async move { while socket.next().await.is_some() {} });
    let standing = |n: u32| {
        let (line, hub) = (format!("active_websocket_connections {n}"), &hub);
        until("the relay says so when it renews its slot", move || {
            let line = line.clone();
            async move { totals(hub).await.contains(&line).then_some(()) }
        })
    };
    standing(1).await;
    says(&totals(&hub).await, r#"fleet_nodes_total{status="healthy"} 1"#);
    // One that only beats, and one that was last heard of too long ago for each.
    let beaten = register(&hub, &Machine::new(92).registration()).await.is(201).json();
    let beat = hub.ask("POST", "/api/v1/nodes/heartbeat").json(&json!({ "current_load": 0.1 }));
    let token = beaten["token"].as_str().expect("text");
    hub.call("nodeHeartbeat", beat.bearer_auth(token)).await.is(200);
    let id = beaten["node_id"].as_str().expect("text").parse().expect("an id");
    for (silent_ms, counts) in [(0, [2, 0, 0]), (100_000, [1, 1, 0]), (400_000, [1, 0, 1])] {
        let beat = Call::live().now.plus_ms(-silent_ms);
        let heard = Some(keys::fleet_heard(beat, id));
        let update = Update::at(keys::fleet(id), When::Present).set("beat", beat);
        hub.machine.ctx.store.write(update.index(Index::Due, heard)).await.expect("written");
        let said = totals(&hub).await;
        for (status, n) in ["healthy", "unhealthy", "offline"].into_iter().zip(counts) {
            says(&said, &format!(r#"fleet_nodes_total{{status="{status}"}} {n}"#));
        }
    }
    reading.abort();
    standing(0).await;
    says(&totals(&hub).await, r#"fleet_nodes_total{status="healthy"} 1"#);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_closes_the_totals_to_whoever_does_not_show_it() {
    let hub = Hub::watched_with("watcher").await;
    let ask = || hub.ask("GET", "/metrics");
    let missing = hub.call("metrics", ask()).await.is(401);
    assert_eq!(missing.json(), json!({ "detail": "Not authenticated" }));
    assert_eq!(missing.header("www-authenticate"), "Bearer");
    for wrong in ["watche", "watcher2", ""] {
        hub.call("metrics", ask().bearer_auth(wrong)).await.is(401);
    }
    hub.call("metrics", ask().bearer_auth("watcher")).await.is(200);
    hub.raw(hub.ask("POST", "/metrics")).await.is(405);
    hub.stop().await;
}
