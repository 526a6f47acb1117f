//! The creator's contract against a live hub.

mod accounts;
mod credits;
mod forgeries;
mod ledger;
mod people;
mod sessions;
mod system;
