//! The chain as its clients see it: real sockets, stock clients, real processes. One binary, so
//! that the clients are linked once.

// Clippy's own exception for tests does not reach the functions that tests share.
#![allow(clippy::unwrap_used)]

mod cost;
mod durability;
mod faults;
mod foreign_clients;
mod money;
mod protocol;
mod pubsub;
mod rules;
mod rust_client;
mod stage;
mod tokens;
