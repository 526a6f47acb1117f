//! A face as a Lambda: `_HANDLER` names the one operation that this function serves.

use std::sync::Arc;

use axum::Router;
use framefair_app::Ctx;
use tracing_subscriber::EnvFilter;

use crate::rate::{Counters, limited, wanted};
use crate::surface::Surface;
use crate::{Api, Face, Flush, Front, frame, measured};

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

/// Serves the operation that `_HANDLER` names, or the whole face without one, until Lambda stops us.
/// `prepare` is what an operation does while its function starts.
pub async fn run<F: Face>(
    surface: Surface,
    prepare: impl AsyncFn(&Ctx, &str),
) -> Result<(), lambda_http::Error> {
    let api = connect().await?;
    let Some(name) = operation(surface.name) else {
        return serve_router(counted(surface.whole(api.clone()), &api)).await;
    };
    let router = surface.operation(api.clone(), &name).ok_or_else(|| {
        format!("the face `{}` has no operation `{name}`; see _HANDLER", surface.name)
    })?;
    prepare(&api.ctx, &name).await;
    if !wanted()? {
        return serve_router(counted(router, &api)).await;
    }
    let counters = Arc::new(Counters::shared(api.ctx.clone()));
    serve_router(counted(limited::<F>(router, &counters, surface.rates), &api)).await
}

fn counted(router: Router, api: &Api) -> Router {
    measured(router, api.ctx.clone(), Flush::WithRequests)
}

/// Connects to everything the environment names.
async fn connect() -> Result<Api, lambda_http::Error> {
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
