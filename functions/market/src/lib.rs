//! The market face: wallets that pay per render, providers who sell. Its names, shapes and codes;
//! no policy.

mod endpoints;
mod face;
mod limits;
mod shapes;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderValue, Method, header};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use framefair_http::Api;
use framefair_http::surface::{Operations, alone, together};
use utoipa::OpenApi;

pub use face::Market;
pub use limits::rate;

/// The name that stands before every handler of this face.
pub const FACE: &str = "market";

#[derive(OpenApi)]
#[openapi(info(
    title = "Market face",
    description = "Pay-per-render services with instant payments."
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
    router.layer(DefaultBodyLimit::disable()).layer(from_fn(open_to_browsers)).with_state(api)
}

/// What is public may be read by any page, without credentials.
async fn open_to_browsers(request: Request, next: Next) -> Response {
    let public = request.method() == Method::GET;
    let mut response = next.run(request).await;
    if public {
        let anyone = HeaderValue::from_static("*");
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, anyone);
    }
    response
}
