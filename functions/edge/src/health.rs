//! `GET /health`: alive, and which version. Asks nothing.

use axum::Json;
use axum::http::{HeaderMap, header};
use serde_json::{Value, json};

#[utoipa::path(get, path = "/health", operation_id = "health", tag = "Public",
    responses((status = 200, description = "alive")))]
pub(crate) async fn health(headers: HeaderMap) -> Json<Value> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if host.starts_with("hub.") {
        return hub_health().await;
    }
    Json(framefair_http::alive())
}

/// The market's own form of it.
pub(crate) async fn hub_health() -> Json<Value> {
    Json(json!({
        "status": "ok", "service": "framefair-hub", "version": env!("CARGO_PKG_VERSION"),
    }))
}
