//! What no face owns: `/health`, preflight, and what nobody knows. Needs no table and no chain.

mod health;
mod preflight;
mod unknown;

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::any;
use utoipa::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;

pub use unknown::{KNOWN, not_found};

/// The name that stands before every handler here.
pub const FACE: &str = "edge";

#[derive(OpenApi)]
#[openapi(info(title = "Edge", description = "What no face owns."))]
struct Document;

type Route = fn() -> UtoipaMethodRouter;

/// Operations that have a path of their own.
pub fn operations() -> Vec<(&'static str, Route)> {
    vec![("health", || routes!(health::health))]
}

/// All of it: health, and answers to preflight and to unknown paths as the fallback.
pub fn edge() -> (Router, utoipa::openapi::OpenApi) {
    let empty = OpenApiRouter::with_openapi(Document::openapi());
    let all = operations().into_iter().fold(empty, |router, (_, route)| router.routes(route()));
    let (router, document) = all.split_for_parts();
    (router.route("/hub/health", axum::routing::get(health::hub_health)), document)
}

/// One operation alone, as its Lambda serves it.
pub fn operation(name: &str) -> Option<Router> {
    match name {
        "health" => Some(edge().0),
        "preflight" => Some(Router::new().fallback(any(preflight::preflight))),
        "unknown" => Some(Router::new().fallback(any(unknown::refuse))),
        _ => None,
    }
}

/// Around a process that serves everything: preflight, wrong verbs and unknown paths.
pub fn surround(router: Router) -> Router {
    router
        .method_not_allowed_fallback(unknown::refuse)
        .fallback(any(unknown::refuse))
        .layer(from_fn(preflight::answer_preflight))
}
