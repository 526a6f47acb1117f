//! The market's Lambdas: `_HANDLER` says which operation this one is; without it, the whole face.

use std::sync::Arc;

use framefair_http::lambda;
use framefair_http::rate::{Counters, limited, wanted};
use framefair_market::{FACE, Market, face, operation, rate};

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    match lambda::operation(FACE) {
        None => lambda::serve(|api| face(api).0).await,
        Some(name) => {
            if !framefair_market::operations().iter().any(|(known, _)| *known == name) {
                return Err(format!("the market has no operation `{name}`; see _HANDLER").into());
            }
            let api = lambda::connect().await?;
            // While the function starts, so that its first quote need not ask.
            if name == "renderSubmit"
                && let Err(refusal) = framefair_app::provider::learn_online(&api.ctx).await
            {
                tracing::warn!(%refusal, "The first quote has to ask who is online");
            }
            let router = operation(api.clone(), &name).unwrap_or_default();
            if !wanted()? {
                return lambda::serve_router(router).await;
            }
            let counters = Arc::new(Counters::shared(api.ctx));
            lambda::serve_router(limited::<Market>(router, &counters, rate)).await
        }
    }
}
