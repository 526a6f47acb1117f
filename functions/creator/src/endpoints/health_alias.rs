//! `GET /api/v1/health`: alive, under this face's own prefix. Asks nothing.

use axum::Json;
use serde_json::Value;

#[utoipa::path(get, path = "/api/v1/health", operation_id = "healthAlias", tag = "System",
    responses((status = 200, description = "alive")))]
pub(crate) async fn health_alias() -> Json<Value> {
    Json(framefair_http::alive())
}
