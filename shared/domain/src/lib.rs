//! The rules of Framefair as pure functions over values. No I/O, no clock, no chance: time and
//! entropy come in as arguments, and what to do about an answer is the caller's business.

pub mod credits;
pub mod fleet;
pub mod frames;
pub mod id;
pub mod job;
pub mod ledger;
pub mod merkle;
pub mod money;
pub mod payment;
pub mod quote;
pub mod rating;
pub mod reach;
pub mod scheduling;
pub mod settlement;
pub mod signing;
pub mod time;
pub mod wallet;
