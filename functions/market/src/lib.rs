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
use framefair_http::surface::Surface;
use framefair_http::{Api, Origins};
use utoipa::OpenApi;

pub use face::Market;

#[derive(OpenApi)]
#[openapi(info(
    title = "Market face",
    description = "Pay-per-render services with instant payments."
))]
struct Document;

/// The whole face.
pub const SURFACE: Surface = Surface {
    name: "market",
    about: Document::openapi,
    operations: endpoints::all,
    rates: limits::rate,
    around: finished,
    open: |router| Origins::from_env().around(router).layer(from_fn(open_to_browsers)),
};

/// Bodies may be of any length here: every handler reads its own under a limit of its own.
fn finished(router: Router<Api>, api: Api) -> Router {
    router.layer(DefaultBodyLimit::disable()).with_state(api)
}

/// What is public may be read by any page, without credentials; everything by the pages that are known.
async fn open_to_browsers(request: Request, next: Next) -> Response {
    let public = request.method() == Method::GET;
    let mut response = next.run(request).await;
    if public {
        let anyone = HeaderValue::from_static("*");
        let headers = response.headers_mut();
        headers.entry(header::ACCESS_CONTROL_ALLOW_ORIGIN).or_insert(anyone);
    }
    response
}
