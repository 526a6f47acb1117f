//! The contracts against a live hub over real HTTP: every documented answer of every operation is brought
//! about, and each body is held against the schema that tests/contracts has. The market's is here, the
//! creator's in a folder of its own.

mod creator;
mod docs;
mod endpoints;
mod hostile;
mod idempotency;
mod latency;
mod people;
mod prices;
mod rates;
mod replays;
mod reports;
mod scenes;
mod schema;
mod signatures;
mod stage;
#[path = "../tree/mod.rs"]
#[allow(dead_code, reason = "each test file uses its own part of the tree")]
mod tree;
mod uploads;
mod verbs;
mod walk;
mod work;
