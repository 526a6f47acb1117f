//! Money against a real cloud and a real chain, both in this process: what may be taken for a
//! payment, and that what is owed leaves once. Knows no HTTP.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod anchors;
mod blames;
mod cancel;
mod cap;
mod crashes;
mod debts;
mod direct;
#[path = "../faults/mod.rs"]
mod faults;
mod fences;
mod payment_fraud;
mod payment_races;
mod payment_unseen;
mod pushes;
mod races;
mod settlement;
mod simulation;
mod slots;
mod stray;
mod tampering;
mod vanished;
mod world;
mod writes;
