//! What a provider may do: register, set its status and its prices. And who sees them.

mod list;
mod register;
mod signed;
mod update;

pub use list::{Known, Listed, get, learn_online, list, with_status};
pub(crate) use list::{online, present};
pub use register::{Registration, register};
pub use signed::Signed;
pub(crate) use signed::nonce_write;
pub use update::{set_pricing, set_status};

pub use framefair_store::rows::Status;
