//! The market's Lambdas: `_HANDLER` says which operation this one is; without it, the whole face.

use framefair_http::lambda::run;
use framefair_market::{Market, SURFACE};

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    run::<Market>(SURFACE, async |ctx, name| {
        // While the function starts, so that its first quote need not ask.
        if name == "renderSubmit"
            && let Err(refusal) = framefair_app::provider::learn_online(ctx).await
        {
            tracing::warn!(%refusal, "The first quote has to ask who is online");
        }
    })
    .await
}
