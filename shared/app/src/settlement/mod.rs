//! Money leaves escrow exactly once. The plan is written with the job's final state; each signed
//! transaction is stored before it is sent, and only what is stored is ever sent.

mod advance;
mod cap;
mod debt;
mod job;
mod keys;
mod out;
mod plan;
mod unpark;

pub use framefair_chain::Signer;

pub use advance::{Advanced, Signers, advance};
pub(crate) use debt::owe;
pub use keys::KeysUnread;
pub(crate) use plan::{plan_payout, plan_refund};
pub use unpark::unpark;
