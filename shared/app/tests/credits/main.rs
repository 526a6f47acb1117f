//! Credits, whatever fails: a storm over many accounts, one over jobs, and purchases and jobs of which every
//! write meets every fault. Who gets a job and when; and what it costs, however much there is.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../faults/mod.rs"]
mod faults;
mod flat;
mod ground;
mod insist;
mod jobs;
mod lives;
mod payloads;
mod places;
mod purchases;
mod storm;
