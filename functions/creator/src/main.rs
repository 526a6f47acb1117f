//! The creator's Lambdas: `_HANDLER` says which operation this one is; without it, the whole face.

use framefair_creator::{Creator, FACE, face, operation, rate};
use framefair_http::lambda::{Served, run};

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    let whole = |api| face(api).0;
    run::<Creator>(Served { name: FACE, whole, operation, rates: rate }, async |_, _| {}).await
}
