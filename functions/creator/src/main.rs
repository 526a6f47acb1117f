//! The creator's Lambdas: `_HANDLER` says which operation this one is; without it, the whole face.

use framefair_creator::{Creator, SURFACE};
use framefair_http::lambda::run;

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    run::<Creator>(SURFACE, async |_, _| {}).await
}
