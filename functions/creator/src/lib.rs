//! The creator face: people with an account and prepaid credits. Its names, shapes and codes; no policy.

mod endpoints;
mod face;
mod limits;
mod shapes;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use framefair_http::surface::{Operations, alone, together};
use framefair_http::{Api, Origins};
use utoipa::OpenApi;

pub use face::Creator;
pub use limits::rate;

/// The name that stands before every handler of this face.
pub const FACE: &str = "creator";

#[derive(OpenApi)]
#[openapi(info(
    title = "Creator face",
    description = "Compute marketplace for creators: accounts, credits, jobs, nodes, anchored ledger."
))]
struct Document;

/// Every operation by its operationId.
pub fn operations() -> Operations {
    endpoints::all()
}

/// The OpenAPI document of the whole face.
pub fn document() -> utoipa::openapi::OpenApi {
    together(Document::openapi(), operations()).1
}

/// The whole face, and its OpenAPI document.
pub fn face(api: Api) -> (Router, utoipa::openapi::OpenApi) {
    let (router, document) = together(Document::openapi(), operations());
    (finished(router, api), document)
}

/// One operation alone, as its Lambda serves it.
pub fn operation(api: Api, name: &str) -> Option<Router> {
    Some(finished(alone(operations(), name)?, api))
}

/// Bodies may be of any length here: every handler reads its own under a limit of its own.
fn finished(router: Router<Api>, api: Api) -> Router {
    Origins::from_env().around(router.layer(DefaultBodyLimit::disable()).with_state(api))
}
