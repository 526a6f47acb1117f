//! The market's Lambdas: `_HANDLER` says which operation this one is; without it, the whole face.

use framefair_http::lambda::{Served, run};
use framefair_market::{FACE, Market, face, operation, rate};

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    let whole = |api| face(api).0;
    run::<Market>(Served { name: FACE, whole, operation, rates: rate }, async |ctx, name| {
        // While the function starts, so that its first quote need not ask.
        if name == "renderSubmit"
            && let Err(refusal) = framefair_app::provider::learn_online(ctx).await
        {
            tracing::warn!(%refusal, "The first quote has to ask who is online");
        }
    })
    .await
}
