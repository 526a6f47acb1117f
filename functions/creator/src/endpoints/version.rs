//! `GET /version`: what runs here.

use axum::Json;
use serde_json::{Value, json};

#[utoipa::path(get, path = "/version", operation_id = "version", tag = "System",
    responses((status = 200, description = "metadata")))]
pub(crate) async fn version() -> Json<Value> {
    Json(json!({
        "name": "framefair", "version": env!("CARGO_PKG_VERSION"),
        "environment": framefair_http::environment(),
    }))
}
