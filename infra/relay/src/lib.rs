//! Long-lived sockets of providers and nodes. A courier: the table is the truth, and what is held
//! here may be lost at any moment.

mod attempts;
mod connection;
mod push;
mod relay;

pub use relay::Relay;
