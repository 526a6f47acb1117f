//! What surrounds every router: request ids, security headers, a net under panics, a log line.

use std::any::Any;

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::json;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use uuid::Uuid;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// For a year, on every name below this one.
const HTTPS_ALONE: &str = "max-age=31536000; includeSubDomains";
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");

/// Puts a router into its frame.
pub fn frame(router: Router) -> Router {
    let set = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    };
    let router = match crate::environment().as_str() {
        "production" => router.layer(set(header::STRICT_TRANSPORT_SECURITY, HTTPS_ALONE)),
        _ => router,
    };
    router
        .layer(CatchPanicLayer::custom(broken))
        .layer(set(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(set(header::X_FRAME_OPTIONS, "DENY"))
        .layer(set(header::REFERRER_POLICY, "strict-origin-when-cross-origin"))
        .layer(set(header::X_XSS_PROTECTION, "1; mode=block"))
        .layer(set(PERMISSIONS_POLICY, "camera=(), microphone=(), geolocation=()"))
        .layer(set(header::CACHE_CONTROL, "no-store"))
        .layer(from_fn(name_and_log))
}

/// What is said where a handler panicked: every face's language, since it is not known whose it was. The panic
/// itself is in the log.
fn broken(_: Box<dyn Any + Send + 'static>) -> Response {
    tracing::error!("A handler panicked");
    let what = "Internal Server Error";
    let body = json!({ "detail": what, "success": false, "error": what, "message": what });
    (StatusCode::INTERNAL_SERVER_ERROR, Json(body)).into_response()
}

/// Names the request, so that an answer can be found in the log. Paths are logged, query strings
/// are not: they can hold tokens.
async fn name_and_log(request: Request, next: Next) -> Response {
    let given = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let id = given
        .filter(|id| is_harmless(id))
        .map_or_else(|| Uuid::new_v4().to_string(), str::to_owned);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let started = std::time::Instant::now();
    let mut response = next.run(request).await;
    let ms = started.elapsed().as_millis();
    tracing::debug!(%id, %method, path, status = response.status().as_u16(), ms, "Answered");
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

fn is_harmless(id: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=64).contains(&id.len()) && id.bytes().all(plain)
}
