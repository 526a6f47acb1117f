//! The edge's Lambdas: `_HANDLER` says which one this is; without it, all of it.

use framefair_edge::{FACE, edge, operation, surround};
use framefair_http::lambda;

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    lambda::log_json();
    let router = match lambda::operation(FACE) {
        None => surround(edge().0),
        Some(name) => operation(&name)
            .ok_or_else(|| format!("the edge has no operation `{name}`; see _HANDLER"))?,
    };
    lambda::serve_router(router).await
}
