//! `GET /api/v1/health/ready`: whether the table answers, and whether it counts.

use axum::Json;
use axum::extract::State;
use framefair_app::health::{self, Ready};
use framefair_http::Api;
use serde_json::{Value, json};

#[utoipa::path(get, path = "/api/v1/health/ready", operation_id = "ready", tag = "System",
    responses((status = 200, description = "ready or degraded")))]
pub(crate) async fn ready(State(api): State<Api>) -> Json<Value> {
    let Ready { table, counters } = health::ready(&api.ctx, &api.call()).await;
    let word = |fine| if fine { "connected" } else { "unavailable" };
    let status = if table && counters { "ready" } else { "degraded" };
    Json(json!({
        "status": status,
        "checks": { "database": word(table), "redis": word(counters) },
    }))
}
