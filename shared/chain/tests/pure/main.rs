//! What needs no chain: reading encoded transactions, and key files.

#![allow(clippy::unwrap_used, reason = "clippy knows #[test] functions, not what they call")]

mod keys;
mod normalising;
