//! Long-lived sockets of providers and nodes, and the way in for large files. A courier: the table is
//! the truth, and what is held here may be lost at any moment.

mod attempts;
mod connection;
mod fleet;
mod forward;
mod ingest;
mod push;
mod relay;
mod serve;
mod tasks;

pub use forward::{Onward, forward};
pub use ingest::ingest;
pub use relay::Relay;
pub use serve::serve;
