//! A face as it is served: whole on one machine, one operation alone in a Lambda.

use axum::Router;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use crate::Api;

/// A handler with its path and its documentation.
pub type Route = fn() -> UtoipaMethodRouter<Api>;

/// Operations by their operationIds.
pub type Operations = Vec<(&'static str, Route)>;

/// All of them, and what they say of themselves added to `document`.
pub fn together(document: OpenApi, operations: Operations) -> (Router<Api>, OpenApi) {
    let empty = OpenApiRouter::<Api>::with_openapi(document);
    let all = operations.into_iter().fold(empty, |router, (_, route)| router.routes(route()));
    all.split_for_parts()
}

/// One of them, if there is one of that name.
pub fn alone(operations: Operations, name: &str) -> Option<Router<Api>> {
    let (_, route) = operations.into_iter().find(|(known, _)| *known == name)?;
    Some(OpenApiRouter::<Api>::new().routes(route()).split_for_parts().0)
}
