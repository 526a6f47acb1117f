//! The creator face: people with an account and prepaid credits. Its names, shapes and codes; no policy.

mod endpoints;
mod face;
mod limits;
mod shapes;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use framefair_http::surface::Surface;
use framefair_http::{Api, Origins};
use utoipa::OpenApi;

pub use face::Creator;

#[derive(OpenApi)]
#[openapi(info(
    title = "Creator face",
    description = "Compute marketplace for creators: accounts, credits, jobs, nodes, anchored ledger."
))]
struct Document;

/// The whole face.
pub const SURFACE: Surface = Surface {
    name: "creator",
    about: Document::openapi,
    operations: endpoints::all,
    rates: limits::rate,
    around: finished,
    open: |router| Origins::from_env().around(router),
};

/// Bodies may be of any length here: every handler reads its own under a limit of its own.
fn finished(router: Router<Api>, api: Api) -> Router {
    router.layer(DefaultBodyLimit::disable()).with_state(api)
}
