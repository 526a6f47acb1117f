//! What queues and schedules wake. Each worker reads the truth from the table and acts on that; a
//! hint only says where to look. Safe to run twice and at once.

pub mod lambda;
mod verify;

use std::time::Duration;

use framefair_app::delivery::{self, Dispatched};
use framefair_app::settlement::{Advanced, Signer, Signers, advance};
use framefair_app::sweep::{self, Reach};
use framefair_app::{Call, Ctx, Hint, Refusal, Settle, ledger, watch};

pub use verify::verify;

/// Whether the hint has done its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// Send the hint again with this delay, in seconds.
    Again(u32),
}

/// Finds a node for a queued job; looks after one that has a node already.
pub async fn dispatch(ctx: &Ctx, hint: &Hint) -> Result<Outcome, Refusal> {
    let mut call = Call::live();
    match delivery::dispatch(ctx, &mut call, hint).await? {
        Dispatched::Leased(_) => Ok(Outcome::Done),
        Dispatched::Later(ms) => Ok(Outcome::Again(seconds(ms))),
        Dispatched::Nothing => {
            sweep::look_after_lease(ctx, &call, hint.job).await?;
            Ok(Outcome::Done)
        }
    }
}

/// Moves one settlement one step.
pub async fn payouts(ctx: &Ctx, signers: &Signers, hint: &Settle) -> Result<Outcome, Refusal> {
    match advance(ctx, &Call::live(), signers, hint.settlement).await {
        Ok(Advanced::Nothing) | Err(Refusal::NotFound) => Ok(Outcome::Done),
        Ok(Advanced::Later(ms)) => Ok(Outcome::Again(seconds(ms))),
        Err(refusal) => Err(refusal),
    }
}

/// Looks at every job that is due.
pub async fn sweep(ctx: &Ctx, reach: Reach) -> Result<usize, Refusal> {
    sweep::sweep(ctx, &mut Call::live(), reach).await
}

/// Books what came into escrow.
pub async fn watch(ctx: &Ctx) -> Result<usize, Refusal> {
    watch::watch(ctx, &Call::live()).await
}

/// How often a batch of the ledger is looked after within one call.
const LOOK_AFTER: Duration = Duration::from_secs(2);

/// Seals what is due, what moved in escrow with it, and says it on the chain; for at most about `patience`.
pub async fn anchor(ctx: &Ctx, signer: &Signer, patience: Duration) -> Result<u64, Refusal> {
    // Entries do not wait for a chain that cannot be read, or that has much to say: what is told now is sealed
    // with the next.
    ledger::seal(ctx, &mut Call::live()).await?;
    if let Err(refusal) = ledger::gather(ctx, &mut Call::live()).await {
        tracing::warn!(%refusal, "What moved in escrow could not be told");
    }
    let looks = patience.as_secs() / LOOK_AFTER.as_secs();
    for _ in 0..looks {
        if ledger::anchor(ctx, &Call::live(), signer).await? == 0 {
            return Ok(0);
        }
        tokio::time::sleep(LOOK_AFTER).await;
    }
    ledger::anchor(ctx, &Call::live(), signer).await
}

/// Whole seconds, rounded up, at least one.
fn seconds(ms: i64) -> u32 {
    u32::try_from(ms.max(1).unsigned_abs().div_ceil(1_000)).unwrap_or(u32::MAX)
}
