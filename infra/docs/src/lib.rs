//! What is served, as a document and as two pages that show it: `/openapi.json`, `/docs` (Swagger UI) and
//! `/redoc`. All of it comes from here, so that it can be read where nothing else can be reached. Knows
//! the contracts and which of their operations are served; calls none.

mod document;
mod pages;

use std::sync::LazyLock;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::IntoResponse;
use axum::routing::get;
use bytes::Bytes;

pub use document::document;

/// The paths of this room.
pub const PATHS: &[&str] = &["/docs", "/docs/assets/{file}", "/openapi.json", "/redoc"];

const ANYBODY: (HeaderName, HeaderValue) =
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
const JSON: (HeaderName, HeaderValue) =
    (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));

static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| document().to_string().into());

/// The paths, without what surrounds them: wrong verbs are the edge's.
pub fn router() -> Router {
    Router::new()
        .route("/openapi.json", get(openapi))
        .route("/docs", get(pages::docs))
        .route("/redoc", get(pages::redoc))
        .route("/docs/assets/{file}", get(pages::asset))
}

/// OpenAPI 3.1. Public, so that any page may read it.
async fn openapi() -> impl IntoResponse {
    ([JSON, ANYBODY], DOCUMENT.clone())
}
