//! Whoever comes again until there is an answer.

use framefair_app::{Ctx, Refusal};

const TRIES: usize = 60;

/// Each try may be the process's last; somebody comes again until there is an answer.
pub(crate) async fn insist<T>(
    ctx: &Ctx,
    step: impl AsyncFn() -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    for _ in 0..TRIES {
        let done = tokio::select! {
            biased;
            () = ctx.store.seam().stopped() => continue,
            done = step() => done,
        };
        match done {
            Err(Refusal::Busy | Refusal::Broken(_)) => {}
            done => return done,
        }
    }
    panic!("no answer in {TRIES} tries");
}
