//! An index as it was some writes ago. Knows which index rows each write moved and takes the
//! newest moves out of an index read: what a lagging index would have said.

use std::collections::{HashMap, VecDeque};

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

/// One item that a write request touches.
pub(super) struct Touched {
    pub(super) key: Key,
    /// What the request says of its index rows.
    says: Says,
}

enum Says {
    Rows(Rows),
    /// Leaves them as they are.
    Nothing,
    /// Only a look afterwards can tell.
    Unclear,
}

pub(super) fn touched(body: &Value) -> Vec<Touched> {
    match body["TransactItems"].as_array() {
        Some(legs) => {
            legs.iter().filter_map(|leg| leg.as_object()?.values().next()).filter_map(one).collect()
        }
        None => one(body).into_iter().collect(),
    }
}

fn one(write: &Value) -> Option<Touched> {
    let of = |at: &Value, name: &str| at[name]["S"].as_str().map(str::to_owned);
    let (at, put) = match &write["Item"] {
        Value::Null => (&write["Key"], false),
        item => (item, true),
    };
    let key = Key::new(of(at, "PK")?, of(at, "SK")?);
    let names = || write["ExpressionAttributeNames"].as_object().into_iter().flatten();
    let moves = || {
        names().any(|(_, name)| Index::ALL.into_iter().any(|index| *name == index.attributes().0))
    };
    let says = if put {
        Says::Rows(Index::ALL.map(|index| {
            let (partition, sort) = index.attributes();
            Some((of(at, partition)?, of(at, sort)?))
        }))
    } else if write["UpdateExpression"].is_string() && !moves() {
        Says::Nothing
    } else {
        Says::Unclear
    };
    Some(Touched { key, says })
}

struct Change {
    at: Instant,
    key: Key,
    before: Rows,
    after: Rows,
}

#[derive(Default)]
pub(super) struct Journal {
    changes: VecDeque<Change>,
    /// The rows of items as the last write left them, so that they need not be read before the
    /// next one.
    known: HashMap<Key, Rows>,
}

impl Journal {
    /// Which of these must be read before they are written.
    pub(super) fn unknown(&self, touched: &[Touched]) -> Vec<Key> {
        let unknown = touched.iter().filter(|one| !self.known.contains_key(&one.key));
        unknown.map(|one| one.key.clone()).collect()
    }

    /// Which of these must be read after they were written.
    pub(super) fn unclear(touched: &[Touched]) -> Vec<Key> {
        let unclear = touched.iter().filter(|one| matches!(one.says, Says::Unclear));
        unclear.map(|one| one.key.clone()).collect()
    }

    /// Remembers what was read before a write.
    pub(super) fn know(&mut self, rows: Vec<(Key, Rows)>) {
        for (key, rows) in rows {
            self.known.entry(key).or_insert(rows);
        }
    }

    /// Notes what a write that was applied has moved.
    pub(super) fn note(&mut self, touched: Vec<Touched>, read: Vec<(Key, Rows)>) {
        let mut read: HashMap<Key, Rows> = read.into_iter().collect();
        for Touched { key, says } in touched {
            let after = match says {
                Says::Rows(rows) => rows,
                Says::Nothing => continue,
                Says::Unclear => read.remove(&key).unwrap_or_default(),
            };
            let before = self.known.insert(key.clone(), after.clone()).unwrap_or_default();
            if before != after {
                if self.changes.len() == CHANGES_MAX {
                    self.changes.pop_front();
                }
                self.changes.push_back(Change { at: Instant::now(), key, before, after });
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
        for (n, change) in self.changes.iter().rev().enumerate() {
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
