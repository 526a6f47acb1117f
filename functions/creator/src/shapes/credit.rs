//! Movements of credits, in the two families of members that clients read.

use framefair_app::credits::{Direction, EntryRow, Source};
use framefair_domain::credits::Credits;
use framefair_domain::id::EntryId;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::Time;

/// As the documents show it.
#[derive(Debug, Serialize)]
pub(crate) struct CreditEntry {
    id: EntryId,
    entry_id: i64,
    amount: String,
    direction: Direction,
    source: Source,
    reference_id: String,
    balance_after: String,
    description: Option<String>,
    created_at: Time,
}

impl From<EntryRow> for CreditEntry {
    fn from(row: EntryRow) -> CreditEntry {
        CreditEntry {
            id: row.id,
            entry_id: row.number,
            amount: row.amount.to_string(),
            direction: row.direction,
            source: row.source,
            reference_id: row.reference,
            balance_after: row.balance_after.to_string(),
            description: row.description,
            created_at: Time(row.created),
        }
    }
}

/// As the page style of the clients has it: its amounts are numbers.
#[derive(Debug, Serialize)]
pub(crate) struct CreditItem {
    id: EntryId,
    date: Time,
    #[serde(rename = "type")]
    kind: &'static str,
    amount: Number,
    description: String,
    balance_after: Number,
}

impl From<&EntryRow> for CreditItem {
    fn from(row: &EntryRow) -> CreditItem {
        let kind = match (row.direction, row.source) {
            (Direction::Credit, Source::Refund) => "refund",
            (Direction::Credit, _) => "purchase",
            (Direction::Debit, _) => "deduction",
        };
        CreditItem {
            id: row.id,
            date: Time(row.created),
            kind,
            amount: Number(row.amount),
            description: row.description.clone().unwrap_or_default(),
            balance_after: Number(row.balance_after),
        }
    }
}

/// Credits as a JSON number, written digit by digit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number(pub(crate) Credits);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let digits = RawValue::from_string(self.0.to_string());
        digits.map_err(serde::ser::Error::custom)?.serialize(to)
    }
}
