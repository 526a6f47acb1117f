//! `OPTIONS`: which origins may call from a browser.

use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use framefair_http::Origins;

const METHODS: &str = "GET, POST, PUT, PATCH, DELETE, OPTIONS";
const HEADERS: &str = "Authorization, Content-Type, X-Request-ID, Idempotency-Key, X-Upload-Token";

pub(crate) async fn preflight(request: Request) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    if !Origins::from_env().admit(request.headers().get(header::ORIGIN), headers) {
        return response;
    }
    let fixed = HeaderValue::from_static;
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, fixed(METHODS));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, fixed(HEADERS));
    response
}

/// In front of every route: a known path has no verb `OPTIONS` of its own.
pub(crate) async fn answer_preflight(request: Request, next: Next) -> Response {
    if request.method() == Method::OPTIONS {
        preflight(request).await
    } else {
        next.run(request).await
    }
}
