//! The verbs of the platform: what a caller may ask for, and what workers do about it. Over the
//! store, the chain, a clock and chance that the edges give. Knows no HTTP and no SDK.

pub mod account;
mod address;
pub mod audit;
mod call;
pub mod credits;
mod ctx;
pub mod delivery;
mod environment;
pub mod fleet;
pub mod health;
mod idempotency;
pub mod jobs;
pub mod ledger;
pub mod market;
pub mod metrics;
pub mod provider;
pub mod rates;
mod refusal;
pub mod settlement;
pub mod statistics;
pub mod sweep;
mod tidy;
pub mod uploads;
pub mod verification;
pub mod watch;
mod write;

pub use address::network;
pub use call::Call;
pub use ctx::{Ctx, Doubt, Hint, Nudge, Platform, Replaced, Report, Settle};
pub use environment::NotReady;
pub use framefair_domain::job::State as JobState;
pub use framefair_domain::settlement::SettlementId;
pub use framefair_store::Queue;
pub use framefair_store::seam::labelled;
pub use idempotency::IdempotencyKey;
pub use refusal::{BadField, Broken, Refusal};
