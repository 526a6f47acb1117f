//! A face as a Lambda: `_HANDLER` names the one operation that this function serves.

use axum::Router;
use framefair_app::Ctx;
use tracing_subscriber::EnvFilter;

use crate::{Api, Front, frame};

/// Structured logs, one JSON object a line, at `RUST_LOG` or `info`.
pub fn log_json() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).init();
}

/// The operation that this function is, such as `renderPay` of `market-renderPay`; none when the
/// binary serves its whole face.
pub fn operation(face: &str) -> Option<String> {
    let handler = std::env::var("_HANDLER").ok()?;
    handler.strip_prefix(face)?.strip_prefix('-').map(str::to_owned)
}

/// Connects to everything the environment names and serves `router` until Lambda stops us.
pub async fn serve(router: impl FnOnce(Api) -> Router) -> Result<(), lambda_http::Error> {
    let api = connect().await?;
    serve_router(router(api)).await
}

/// Connects to everything the environment names.
pub async fn connect() -> Result<Api, lambda_http::Error> {
    log_json();
    let ctx = Ctx::from_env().await.map_err(|error| lambda_http::Error::from(error.to_string()))?;
    Ok(Api::new(ctx))
}

/// Serves a router that needs nothing, behind the front that the environment names, if it does.
pub async fn serve_router(router: Router) -> Result<(), lambda_http::Error> {
    let router = match Front::from_env()? {
        Some(front) => front.before(router),
        None => router,
    };
    lambda_http::run(frame(router)).await
}
