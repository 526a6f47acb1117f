//! Solana: read payments, sign and send payouts. The only crate of the service that sees solana-*.
//!
//! Every call to a node goes through `rpc::Rpc::call`, and so through the caller's `Seam`. What a
//! node answers is believed only as far as it can be checked; what cannot be is `Untrustworthy`.

mod anchor;
mod chain;
mod error;
mod fate;
mod instructions;
mod out;
mod rpc;
mod seam;
mod signer;

pub mod facts;
pub mod wallet;

pub use anchor::check_memo;
pub use chain::{Chain, Commitment, Config, Seen};
pub use error::{ChainError, UNSUPPORTED_VERSION};
pub use fate::{Fate, Sent};
pub use instructions::MEMO_PROGRAM;
pub use out::{
    GuardRefused, LEGS_MAX, Order, PRICE_MAX, SignedOut, UNITS_MAX, check_out, memo_out,
    signature_of,
};
pub use seam::{Fault, Seam};
pub use signer::{KeyError, Signer};

/// What a wallet without data must hold, in lamports; a transfer that leaves a new one with less
/// fails the whole transaction.
pub const RENT_EXEMPT_MIN: u64 = 890_880;
