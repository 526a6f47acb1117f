//! An index as it was some writes ago. Knows which index rows each write moved and takes the
//! newest moves out of an index read: what a lagging index would have said.

use std::collections::VecDeque;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::faults::Lag;
use crate::table::{Index, Item, Key, text};

const CHANGES_MAX: usize = 4_096;

/// The rows of one item in the three indexes.
pub(super) type Rows = [Option<(String, String)>; 3];

/// Reads items past the seam, uncounted.
pub(super) struct Observer {
    pub(super) client: aws_sdk_dynamodb::Client,
    pub(super) table: String,
}

impl Observer {
    /// Best effort: what cannot be read counts as absent.
    pub(super) async fn rows(&self, keys: Vec<Key>) -> Vec<(Key, Rows)> {
        let mut all = Vec::with_capacity(keys.len());
        for key in keys {
            let answer = self
                .client
                .get_item()
                .table_name(&self.table)
                .set_key(Some(key.attributes()))
                .consistent_read(true)
                .send()
                .await;
            let item = answer.ok().and_then(|answer| answer.item).unwrap_or_default();
            all.push((key, rows_of(&item)));
        }
        all
    }
}

fn rows_of(item: &Item) -> Rows {
    Index::ALL.map(|index| {
        let (partition, sort) = index.attributes();
        Some((text(item, partition)?.to_owned(), text(item, sort)?.to_owned()))
    })
}

/// The keys that a write request touches.
pub(super) fn keys(body: &Value) -> Vec<Key> {
    let key = |at: &Value| {
        let part = |name: &str| at[name]["S"].as_str();
        Some(Key::new(part("PK")?, part("SK")?))
    };
    let of = |write: &Value| key(&write["Item"]).or_else(|| key(&write["Key"]));
    match body["TransactItems"].as_array() {
        Some(legs) => {
            legs.iter().filter_map(|leg| leg.as_object()?.values().next()).filter_map(of).collect()
        }
        None => of(body).into_iter().collect(),
    }
}

struct Change {
    at: Instant,
    key: Key,
    before: Rows,
    after: Rows,
}

#[derive(Default)]
pub(super) struct Journal(VecDeque<Change>);

impl Journal {
    pub(super) fn note(&mut self, before: Vec<(Key, Rows)>, after: Vec<(Key, Rows)>) {
        for ((key, before), (_, after)) in before.into_iter().zip(after) {
            if before != after {
                if self.0.len() == CHANGES_MAX {
                    self.0.pop_front();
                }
                self.0.push_back(Change { at: Instant::now(), key, before, after });
            }
        }
    }

    /// Takes the newest changes out of the answer to an index query. The page's end stays where
    /// the present index has it.
    pub(super) fn undo(&self, lag: Lag, query: &Value, answer: &mut Value) {
        let Some((place, index)) = Index::ALL
            .into_iter()
            .enumerate()
            .find(|(_, index)| query["IndexName"] == index.name())
        else {
            return;
        };
        let (partition, sort) = index.attributes();
        let mut items: Vec<Value> = answer["Items"].as_array().cloned().unwrap_or_default();
        for (n, change) in self.0.iter().rev().enumerate() {
            let newer = match lag {
                Lag::Writes(writes) => n < writes,
                Lag::Time(time) => change.at.elapsed() < time,
            };
            if !newer {
                break;
            }
            if change.before[place] == change.after[place] {
                continue;
            }
            items.retain(|item| {
                item["PK"]["S"] != change.key.pk.as_str()
                    || item["SK"]["S"] != change.key.sk.as_str()
            });
            if let Some((p, s)) = &change.before[place]
                && query["ExpressionAttributeValues"][":p"]["S"] == p.as_str()
                && within(query, s)
            {
                items.push(json!({
                    "PK": {"S": change.key.pk}, "SK": {"S": change.key.sk},
                    partition: {"S": p}, sort: {"S": s},
                }));
            }
        }
        let order = |item: &Value| {
            [sort, "PK", "SK"].map(|name| item[name]["S"].as_str().unwrap_or_default().to_owned())
        };
        items.sort_by_key(order);
        if query["ScanIndexForward"] == false {
            items.reverse();
        }
        if let Some(limit) = query["Limit"].as_u64() {
            items.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        }
        answer["Count"] = json!(items.len());
        answer["ScannedCount"] = json!(items.len());
        answer["Items"] = Value::Array(items);
    }
}

/// Whether a sort key is in the range of a query that this crate wrote.
fn within(query: &Value, sort: &str) -> bool {
    let bound =
        |name: &str| query["ExpressionAttributeValues"][name]["S"].as_str().unwrap_or_default();
    let condition = query["KeyConditionExpression"].as_str().unwrap_or_default();
    if condition.contains("<=") {
        sort <= bound(":a")
    } else if condition.contains(">=") {
        sort >= bound(":a")
    } else if condition.contains("BETWEEN") {
        bound(":a") <= sort && sort <= bound(":b")
    } else if condition.contains("begins_with") {
        sort.starts_with(bound(":a"))
    } else {
        true
    }
}
