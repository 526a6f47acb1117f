//! How long a million leaves of the ledger take, from their texts to the root.

use std::time::Instant;

use framefair_domain::ledger::{Leaf, NOTHING_BEFORE, digits};
use framefair_domain::merkle::{Hash, root};

const LEAVES: u64 = 1_000_000;

fn main() {
    let nothing = digits(&NOTHING_BEFORE);
    let began = Instant::now();
    let leaves: Vec<Hash> = (1..=LEAVES).map(|seq| leaf(seq, &nothing)).collect();
    let hashed = began.elapsed();
    let began = Instant::now();
    let root = root(&leaves).expect("there are leaves");
    let joined = began.elapsed();
    println!(
        "bench: a million leaves are written and hashed in {} ms and joined in {} ms: {}",
        hashed.as_millis(),
        joined.as_millis(),
        digits(&root)
    );
}

fn leaf(seq: u64, prev_leaf: &str) -> Hash {
    let leaf = Leaf {
        account_seq: seq,
        amount: "10.0000",
        balance_after: "990.0000",
        created_at: "2026-03-13T12:00:00Z",
        direction: "DEBIT",
        entry_id: 42,
        id: "0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001",
        prev_leaf,
        reference_id: "job-0195a2c4-7d3e-7a10-9c1b-2f4be3a1c003",
        source: "USAGE",
        unit: None,
        user_id: "0195a2c4-7d3e-7a10-9c1b-2f4be3a1c002",
        v: 1,
    };
    leaf.hash()
}
