//! A creator's account: who is logged in here, and what they ask. Passwords are read and never kept.

pub(crate) mod audit;
pub(crate) mod credits;
pub(crate) mod dispatch;
pub(crate) mod ledger;
pub(crate) mod login;
pub(crate) mod nodes;
mod session;
