//! The JSON of the contract, in and out.

mod account;
mod credit;
mod entry;
mod job;
pub(crate) mod metrics;
mod time;

pub(crate) use account::{Account, Tokens};
pub(crate) use credit::{CreditEntry, CreditItem, Number};
pub(crate) use entry::PathEntry;
pub(crate) use job::{Job, PathJob};
pub(crate) use time::Time;
