//! What no operation takes: other verbs, other paths, and preflight.

use serde_json::json;

use crate::schema::{contract, operations};
use crate::stage::Hub;
use crate::walk::NOBODY;

#[tokio::test(flavor = "multi_thread")]
async fn wrong_verbs_and_unknown_paths_are_answered_in_the_envelope() {
    let hub = Hub::start().await;
    for (_, method, path, _) in operations(&contract("market")) {
        let wrong = if method == "GET" { "PUT" } else { "GET" };
        for prefix in ["", "/hub"] {
            if method != "GET" && path == "/render/pay" {
                continue; // GET /render/pay is GET /render/{jobId} of a job that is not there.
            }
            let path = path.replace("{id}", NOBODY).replace("{jobId}", NOBODY);
            let path = format!("{prefix}{}", path.replace("{uploadId}", NOBODY));
            let answer = hub.raw(hub.ask(wrong, &path)).await;
            assert_eq!(answer.status, 405, "{wrong} {path}");
            assert!(answer.header("allow").split([',', ' ']).any(|verb| verb == method), "{path}");
            assert_eq!(answer.error(), "Method not allowed");
        }
    }
    for path in ["/render/a/b", "/hub/nothing", "/provider", "/providers/a/b", "/hub/render/a/b/c"]
    {
        let answer = hub.raw(hub.ask("GET", path)).await.is(404).json();
        assert_eq!(answer, json!({ "success": false, "error": "Not found" }), "{path}");
    }
    let outside = hub.raw(hub.ask("GET", "/wp-login.php")).await.is(404).json();
    assert_eq!(
        (&outside["detail"], &outside["message"]),
        (&json!("Not Found"), &json!("Not found"))
    );
    for path in ["/render/pay", "/hub/providers", "/nothing"] {
        hub.raw(hub.ask("OPTIONS", path).header("origin", "https://example.com")).await.is(204);
    }
    hub.stop().await;
}
