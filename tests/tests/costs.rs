//! What each operation of a small market job costs in calls, round trips and units, printed as a
//! table and held to the write budget of the design. Times nothing.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod costs {
    pub(crate) mod job;
}

use std::collections::BTreeMap;

use costs::job::Market;
use framefair_store::seam::Cost;

/// Write units by the design: what each step of a one-frame job may cost.
const BUDGET: [(&str, u64); 6] =
    [("quote", 2), ("pay", 4), ("lease", 2), ("done", 2), ("settlement stored", 1), ("settled", 5)];

/// Counted beside the budget: totals on a page, not the job's own rows.
const STATISTICS: &str = "statistics";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_job_stays_within_its_write_budget() {
    let market = Box::pin(Market::open()).await;
    Box::pin(market.run_one_job()).await;
    let costs = market.costs();
    print_table(&costs, &market);

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
}

fn print_table(costs: &[Cost], market: &Market) {
    let mut steps: BTreeMap<&str, Vec<&Cost>> = BTreeMap::new();
    for cost in costs {
        steps.entry(cost.label).or_default().push(cost);
    }
    println!("\n{:<20} {:<46} {:>6} {:>8} {:>8}", "step", "calls", "trips", "read", "written");
    let depths = market.depths();
    let budgeted = BUDGET.iter().map(|(step, _)| *step).chain([STATISTICS, "status", "result"]);
    for step in budgeted {
        let Some(costs) = steps.get(step) else { continue };
        let calls: Vec<String> =
            costs.iter().map(|cost| format!("{}×{}", cost.calls, cost.op)).collect();
        let halves: u64 = costs.iter().map(|cost| cost.rcu_halves).sum();
        let written: u64 = costs.iter().map(|cost| cost.wcu).sum();
        let read = format!("{}.{}", halves / 2, halves % 2 * 5);
        let trips = depths.get(step).copied().unwrap_or(0);
        println!("{step:<20} {:<46} {trips:>6} {read:>8} {written:>8}", calls.join(" "));
    }
    println!("chain calls: {}", market.chain_calls());
}
