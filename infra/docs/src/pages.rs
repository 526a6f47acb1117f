//! The pages and their parts, as they were at build time. A page may run and show what this deployment
//! serves, and reach nothing else.

use axum::extract::{Path, Request};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

/// A file that a page names.
struct Part {
    /// Changes with its content.
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/parts.rs"));

/// Redoc opens style sheets that are empty at first and fills them by script, and has one that is not,
/// for its scroll bars: these are their hashes. It searches in a worker of its own making. Both show
/// pictures that they carry as text.
const POLICY: &str = "default-src 'none'; script-src 'self'; \
    style-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' \
    'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='; \
    img-src 'self' data:; connect-src 'self'; worker-src blob:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const FOR_EVER: (HeaderName, HeaderValue) =
    (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
const INCOMPLETE: &str = "The parts of this page were not there when this hub was built. Run \
    infra/docs/fetch.sh and build again. /openapi.json is complete.\n";

pub(crate) async fn docs() -> Response {
    page(DOCS)
}

pub(crate) async fn redoc() -> Response {
    page(REDOC)
}

fn page(text: &'static str) -> Response {
    if !COMPLETE {
        return (StatusCode::SERVICE_UNAVAILABLE, INCOMPLETE).into_response();
    }
    let policy = [(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY))];
    (policy, Html(text)).into_response()
}

pub(crate) async fn asset(Path(file): Path<String>, request: Request) -> Response {
    match PARTS.iter().find(|part| part.name == file) {
        Some(part) => {
            let kind = (header::CONTENT_TYPE, HeaderValue::from_static(part.kind));
            ([kind, FOR_EVER], part.bytes).into_response()
        }
        None => framefair_edge::not_found(request.uri().path()),
    }
}
