//! A face as a Lambda: `_HANDLER` names the one operation that this function serves.

use std::sync::Arc;

use axum::Router;
use framefair_app::Ctx;
use tracing_subscriber::EnvFilter;

use crate::rate::{Counters, wanted};
use crate::surface::Surface;
use crate::{Api, Face, Flush, Front, Origins, frame, measured};

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
    let router = match operation(surface.name) {
        None => surface.whole(api.clone()),
        Some(name) => {
            let router = surface.operation(api.clone(), &name).ok_or_else(|| {
                format!("the face `{}` has no operation `{name}`; see _HANDLER", surface.name)
            })?;
            prepare(&api.ctx, &name).await;
            router
        }
    };
    let counters = Arc::new(Counters::shared(api.ctx.clone()));
    let counters = api.ctx.platform.rate_limits.then_some(&counters);
    let router = surface.guarded::<F>(router, counters);
    serve_router(measured(router, api.ctx.clone(), Flush::WithRequests)).await
}

/// Connects to everything the environment names.
async fn connect() -> Result<Api, lambda_http::Error> {
    log_json();
    Origins::check()?;
    let wanted = wanted()?;
    let ctx = Ctx::from_env().await;
    let mut ctx = ctx.map_err(|error| lambda_http::Error::from(error.to_string()))?;
    ctx.platform.rate_limits = wanted;
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
