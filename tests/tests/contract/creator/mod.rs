//! The creator's contract against a live hub.

mod accounts;
mod again;
mod audits;
mod credits;
mod fleet;
mod forgeries;
mod jobs;
mod ledger;
mod line;
mod metrics;
mod people;
mod published;
mod purchases;
mod relay;
mod sessions;
mod stripe;
mod system;
