//! The market face: wallets that pay per render, providers who sell. Its names, shapes and codes;
//! no policy.

mod endpoints;
mod face;
mod shapes;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use framefair_http::Api;
use utoipa::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

pub use face::Market;

/// The name that stands before every handler of this face.
pub const FACE: &str = "market";

#[derive(OpenApi)]
#[openapi(info(
    title = "Market face",
    description = "Pay-per-render services with instant payments."
))]
struct Document;

type Route = fn() -> UtoipaMethodRouter<Api>;

/// Every operation by its operationId.
pub fn operations() -> Vec<(&'static str, Route)> {
    endpoints::all()
}

/// The whole face, and its OpenAPI document.
pub fn face(api: Api) -> (Router, utoipa::openapi::OpenApi) {
    let empty = OpenApiRouter::<Api>::with_openapi(Document::openapi());
    let all = operations().into_iter().fold(empty, |router, (_, route)| router.routes(route()));
    let (router, document) = all.split_for_parts();
    (finished(router, api), document)
}

/// One operation alone, as its Lambda serves it.
pub fn operation(api: Api, name: &str) -> Option<Router> {
    let (_, route) = operations().into_iter().find(|(known, _)| *known == name)?;
    let (router, _) = OpenApiRouter::<Api>::new().routes(route()).split_for_parts();
    Some(finished(router, api))
}

/// Bodies may be of any length here: every handler reads its own under a limit of its own.
fn finished(router: Router<Api>, api: Api) -> Router {
    router.layer(DefaultBodyLimit::disable()).with_state(api)
}
