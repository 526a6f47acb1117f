//! What every deployment says of itself.

use serde_json::json;

use crate::stage::Hub;

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_says_that_it_lives_and_what_it_is() {
    let hub = Hub::of("creator", false).await;
    for (id, path) in [("health", "/health"), ("healthAlias", "/api/v1/health")] {
        let health = hub.call(id, hub.ask("GET", path)).await.is(200).json();
        assert_eq!(health["status"], "healthy");
    }
    let version = hub.call("version", hub.ask("GET", "/version")).await.is(200).json();
    assert_eq!(version["name"], "framefair");
    let ready = hub.call("ready", hub.ask("GET", "/api/v1/health/ready")).await.is(200).json();
    assert_eq!(ready["status"], "ready");
    assert_eq!(ready["checks"], json!({ "database": "connected", "redis": "connected" }));
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_serves_is_said_in_this_faces_words() {
    let hub = Hub::of("creator", false).await;
    let missing = hub.raw(hub.ask("GET", "/api/v1/nowhere")).await.is(404);
    assert_eq!(missing.json(), json!({ "detail": "Not Found" }));
    let wrong = hub.raw(hub.ask("DELETE", "/api/v1/auth/login")).await.is(405);
    assert_eq!(wrong.json(), json!({ "detail": "Method Not Allowed" }));
    assert_eq!(wrong.header("allow"), "POST");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "strict-origin-when-cross-origin"),
        ("x-xss-protection", "1; mode=block"),
        ("permissions-policy", "camera=(), microphone=(), geolocation=()"),
    ] {
        assert_eq!(missing.header(name), value);
    }
    hub.stop().await;
}
