//! What each operation of a small market job costs in calls, round trips and units, in a table that many
//! others have used: printed, held to the write budget of the design, and compared with what it was
//! before. `FRAMEFAIR_BENCH_ITEMS` says how many items lie there; the costs are the same. Times nothing.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod costs {
    pub(crate) mod crowd;
    pub(crate) mod job;
}

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use costs::crowd::fill;
use costs::job::Market;
use framefair_store::seam::Cost;

/// Write units by the design: what each step of a one-frame job may cost.
const BUDGET: [(&str, u64); 6] =
    [("quote", 2), ("pay", 4), ("lease", 2), ("done", 2), ("settlement stored", 1), ("settled", 5)];
/// Counted beside the budget: totals on a page, and what only reads.
const OTHERS: [&str; 5] = ["statistics", "status", "result", "providers", "totals"];
/// How often these look depends on how fast the chain is, so only what they write is compared.
const PATIENT: [&str; 2] = ["settlement stored", "settled"];
/// What a caller waits for, and how many sequential round trips to the table that may take.
const REQUESTS: [&str; 6] = ["quote", "pay", "status", "result", "providers", "totals"];
const TRIPS_MAX: u64 = 2;
const ITEMS: u64 = 1_000;
const TRIES: usize = 8;
/// What the table looked like when it was last agreed to.
const GOLDEN: &str = include_str!("costs/golden.txt");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_job_costs_what_it_did_however_many_items_there_are() {
    let items = std::env::var("FRAMEFAIR_BENCH_ITEMS").ok();
    let items = items.map_or(ITEMS, |items| items.parse().expect("a number of items"));
    let market = Box::pin(Market::open()).await;
    let session = Box::pin(market.node_joins()).await;
    let first = Box::pin(market.run_one_job(session)).await;
    fill(&market.ctx, items, &first).await;
    let (mut costs, mut table) = (Vec::new(), String::new());
    // Calls that are made at once count as one trip where they overlap, and a busy machine may bring
    // them one after the other. Nothing else may differ.
    for _ in 0..TRIES {
        let before = std::mem::take(&mut costs);
        market.forget_costs().await;
        Box::pin(market.run_one_job(session)).await;
        costs = market.costs();
        let bare = |costs: &[Cost]| table_of(costs, &HashMap::new());
        assert!(before.is_empty() || bare(&before) == bare(&costs), "{}", bare(&costs));
        table = table_of(&costs, &market.depths());
        if table == GOLDEN {
            break;
        }
    }
    println!("chain calls: {}", market.chain_calls());
    println!("bench: beside {items} items in the table");
    table.lines().for_each(|line| println!("bench: {line}"));
    let written = |label: &str| -> u64 {
        costs.iter().filter(|cost| cost.label == label).map(|cost| cost.wcu).sum()
    };
    for (step, most) in BUDGET {
        let units = written(step);
        assert!(units > 0, "{step} wrote nothing: the step was not seen");
        assert!(units <= most, "{step} wrote {units} units, the budget is {most}");
    }
    let total: u64 = BUDGET.iter().map(|(step, _)| written(step)).sum();
    assert!(total <= 16, "{total} write units, the budget is 16");
    let transactions: u64 =
        costs.iter().filter(|cost| cost.op == "TransactWriteItems").map(|cost| cost.calls).sum();
    assert_eq!(transactions, 2, "{costs:#?}");
    assert!(costs.iter().all(|cost| cost.op != "Scan"), "something scans: {costs:#?}");
    let depths = market.depths();
    for request in REQUESTS {
        assert!((1..=TRIPS_MAX).contains(&depths[request]), "{request}: {depths:?}");
    }
    assert_eq!(table, GOLDEN, "if the new costs are right, they belong into costs/golden.txt");
}

fn table_of(costs: &[Cost], depths: &HashMap<&str, u64>) -> String {
    let mut steps: BTreeMap<&str, Vec<&Cost>> = BTreeMap::new();
    for cost in costs {
        steps.entry(cost.label).or_default().push(cost);
    }
    let mut table = String::new();
    let mut line = |step: &str, calls: &str, trips: &str, read: &str, written: &str| {
        writeln!(table, "{step:<18}{calls:<58}{trips:>6}{read:>8}{written:>8}").unwrap();
    };
    line("step", "calls", "trips", "read", "written");
    for step in BUDGET.iter().map(|(step, _)| *step).chain(OTHERS) {
        let Some(costs) = steps.get(step) else { continue };
        let written = costs.iter().map(|cost| cost.wcu).sum::<u64>().to_string();
        if PATIENT.contains(&step) {
            line(step, "", "", "", &written);
            continue;
        }
        let calls: Vec<String> =
            costs.iter().map(|cost| format!("{}×{}", cost.calls, cost.op)).collect();
        let halves: u64 = costs.iter().map(|cost| cost.rcu_halves).sum();
        let read = format!("{}.{}", halves / 2, halves % 2 * 5);
        // Of what happens between workers and nodes nobody waits for the trips, and how many overlap
        // depends on who is faster.
        let trips = depths.get(step).filter(|_| REQUESTS.contains(&step)).map(u64::to_string);
        line(step, &calls.join(" "), &trips.unwrap_or_default(), &read, &written);
    }
    table
}
