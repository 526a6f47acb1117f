//! `framefair-chain` against a real chain on loopback: payments in, payouts out, and nodes that
//! fail, lag, forget and lie.

#![allow(clippy::unwrap_used, reason = "clippy knows #[test] functions, not what they call")]

mod leaving;
mod nodes;
mod paying;
mod stage;
