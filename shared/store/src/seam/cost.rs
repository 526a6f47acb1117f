//! What was spent. Knows labels, operations and units; nothing of prices.

use std::collections::BTreeMap;

use serde_json::Value;

use super::connector::{Op, Service};

/// What one operation of the cloud cost under one label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Empty for calls outside any [`super::labelled`].
    pub label: &'static str,
    /// As the protocol spells it: `TransactWriteItems`, `SendMessage`, `PutObject`.
    pub op: String,
    /// Round trips, retries included.
    pub calls: u64,
    /// Of these, those answered by an error or by nothing.
    pub failed: u64,
    /// Read units in halves: an eventually consistent read of 4 KB is 1.
    pub rcu_halves: u64,
    /// Write units, index writes included.
    pub wcu: u64,
}

/// How far a label's calls to the table form a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Depth {
    pub label: &'static str,
    /// Runs that made such a call at all.
    pub runs: u64,
    /// Calls that started while no other of their run was under way, over all runs.
    pub sequential: u64,
    /// The same in the run that had most of them.
    pub most: u64,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Step {
    pub(super) first: bool,
    pub(super) sequential: bool,
    /// Sequential calls of this run, this one included.
    pub(super) of_run: usize,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Units {
    rcu_halves: u64,
    wcu: u64,
}

#[derive(Clone, Copy, Default)]
struct Row {
    calls: u64,
    failed: u64,
    units: Units,
}

#[derive(Default)]
pub(super) struct Costs {
    rows: BTreeMap<(&'static str, String), Row>,
    depths: BTreeMap<&'static str, (u64, u64, u64)>,
}

impl Costs {
    pub(super) fn step(&mut self, label: &'static str, step: Step) {
        if label.is_empty() {
            return;
        }
        let (runs, sequential, most) = self.depths.entry(label).or_default();
        *most = (*most).max(step.of_run as u64);
        *runs += u64::from(step.first);
        *sequential += u64::from(step.sequential);
    }

    pub(super) fn add(&mut self, label: &'static str, op: &Op, failed: bool, units: Units) {
        let row = self.rows.entry((label, op.name.clone())).or_default();
        row.calls += 1;
        row.failed += u64::from(failed);
        row.units.rcu_halves += units.rcu_halves;
        row.units.wcu += units.wcu;
    }

    pub(super) fn rows(&self) -> Vec<Cost> {
        let cost = |((label, op), row): (&(&'static str, String), &Row)| Cost {
            label,
            op: op.clone(),
            calls: row.calls,
            failed: row.failed,
            rcu_halves: row.units.rcu_halves,
            wcu: row.units.wcu,
        };
        self.rows.iter().map(cost).collect()
    }

    pub(super) fn depths(&self) -> Vec<Depth> {
        let each = self.depths.iter();
        each.map(|(label, (runs, sequential, most))| Depth {
            label,
            runs: *runs,
            sequential: *sequential,
            most: *most,
        })
        .collect()
    }
}

impl Units {
    /// Of a DynamoDB answer.
    pub(super) fn of(op: &Op, request: &Value, answer: &Value, ok: bool) -> Self {
        if op.service != Service::Table {
            return Self::default();
        }
        if !ok {
            return Self::of_failure(op, request, answer);
        }
        let consumed = &answer["ConsumedCapacity"];
        let mut units = Self::default();
        let one = std::slice::from_ref(consumed);
        for table in consumed.as_array().map_or(one, Vec::as_slice) {
            // A transaction answered from its token is billed as a read.
            let read = table["ReadCapacityUnits"].is_number();
            let halves = halves(&table["CapacityUnits"]);
            if op.writes() && !read {
                units.wcu += halves / 2;
            } else {
                units.rcu_halves += halves;
            }
        }
        units
    }

    fn of_failure(op: &Op, request: &Value, answer: &Value) -> Self {
        let kind = answer["__type"].as_str().unwrap_or_default();
        let wcu = if kind.ends_with("ConditionalCheckFailedException") {
            1
        } else if kind.ends_with("TransactionCanceledException") && op.writes() {
            2 * request["TransactItems"].as_array().map_or(0, |legs| legs.len() as u64)
        } else {
            0
        };
        Self { rcu_halves: 0, wcu }
    }
}

/// Units come as a decimal number of halves.
fn halves(units: &Value) -> u64 {
    let halves = units.as_f64().unwrap_or(0.0) * 2.0;
    // Never negative, and far below 2^53: the conversion is exact.
    halves.round() as u64
}
