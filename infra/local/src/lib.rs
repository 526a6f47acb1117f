//! The whole system in one process, for one machine: the same routers, workers and relay as in
//! the cloud, over an embedded table, store, queues and chain. No business logic here.

mod accounting;
mod folder;
mod machine;
mod payments;
mod people;
mod work;

pub use accounting::{Books, audit, unpark};
pub use folder::{FolderRefused, Ports};
pub use machine::{Machine, Options, Providers, start_chain};
pub use payments::{metrics_token_from_env, payments_from_env};
pub use people::{admit, appoint, credit, dead_letters, redrive, set_price};
