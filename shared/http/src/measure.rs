//! Counts answers, each under the template of its path: what a caller sends is never a label.

use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use framefair_app::{Call, Ctx, metrics};

/// What is asked where nothing is, or with a wrong verb.
const UNKNOWN: &str = "unknown";
/// Who watches is not watched.
const METRICS: &str = "/metrics";
/// It is the same route under the hub's prefix.
const HUB: &str = "/hub";
const METHODS: [Method; 8] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
    Method::TRACE,
];
const OTHER: &str = "OTHER";

/// When counts go to the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// While a request is there: between them a function stands still.
    WithRequests,
    /// By [`flush_for_ever`].
    Aside,
}

/// Counts every answer of `router`, those that its outer layers make among them.
pub fn measured(router: Router, ctx: Ctx, flush: Flush) -> Router {
    router.layer(from_fn(move |request: Request, next: Next| {
        let ctx = ctx.clone();
        async move { measure(&ctx, flush, request, next).await }
    }))
}

async fn measure(ctx: &Ctx, flush: Flush, request: Request, next: Next) -> Response {
    let method =
        METHODS.iter().find(|known| *known == request.method()).map_or(OTHER, Method::as_str);
    let method = method.to_owned();
    let template = request.extensions().get::<MatchedPath>().cloned();
    let started = Instant::now();
    let answer = next.run(request).await;
    let endpoint = endpoint(template.as_ref().map(MatchedPath::as_str), answer.status());
    if endpoint != METRICS {
        ctx.metrics.answered(&method, endpoint, answer.status().as_u16(), started.elapsed());
    }
    if flush == Flush::WithRequests {
        ctx.flush_metrics(&mut Call::live()).await;
    }
    answer
}

fn endpoint(template: Option<&str>, status: StatusCode) -> &str {
    let template = template.filter(|_| status != StatusCode::METHOD_NOT_ALLOWED);
    let Some(template) = template else { return UNKNOWN };
    template.strip_prefix(HUB).filter(|rest| rest.starts_with('/')).unwrap_or(template)
}

/// Gives counts to the table as they become due, for a process that lives on between requests.
pub async fn flush_for_ever(ctx: Ctx) {
    let every = u64::try_from(metrics::FLUSH_EVERY_MS).unwrap_or(1_000);
    loop {
        tokio::time::sleep(Duration::from_millis(every)).await;
        ctx.flush_metrics(&mut Call::live()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_nobody_knows_and_a_verb_that_it_lacks_are_one_label() {
        let ok = StatusCode::OK;
        assert_eq!(endpoint(Some("/render/{jobId}"), ok), "/render/{jobId}");
        assert_eq!(endpoint(Some("/hub/render/{jobId}"), ok), "/render/{jobId}");
        assert_eq!(endpoint(None, StatusCode::NOT_FOUND), "unknown");
        assert_eq!(endpoint(Some("/render/pay"), StatusCode::METHOD_NOT_ALLOWED), "unknown");
    }
}
