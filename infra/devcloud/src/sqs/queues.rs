//! Queues as rows, and the attributes that shape them. Knows no messages but their counts.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Deserialize;

use super::ACCOUNT;
use super::error::Refusal;
use super::limits::{
    DELAY_S_MAX, MESSAGE_BYTES_MAX, RETENTION_S_MAX, RETENTION_S_MIN, VISIBILITY_S_MAX, WAIT_S_MAX,
};
use crate::REGION;

pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS queues (
    name TEXT PRIMARY KEY, visibility_s INTEGER NOT NULL, delay_s INTEGER NOT NULL,
    retention_s INTEGER NOT NULL, wait_s INTEGER NOT NULL, bytes_max INTEGER NOT NULL,
    dead_letters TEXT, receives_max INTEGER, created_ms INTEGER NOT NULL,
    modified_ms INTEGER NOT NULL) WITHOUT ROWID;
";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Queue {
    pub(super) name: String,
    pub(super) visibility_s: i64,
    pub(super) delay_s: i64,
    pub(super) retention_s: i64,
    pub(super) wait_s: i64,
    pub(super) bytes_max: i64,
    /// Where a message goes that was received too often, and how often that is.
    pub(super) redrive: Option<(String, i64)>,
    pub(super) created_ms: i64,
    pub(super) modified_ms: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RedrivePolicy {
    dead_letter_target_arn: String,
    max_receive_count: serde_json::Value,
}

impl Queue {
    pub(super) fn new(name: String, now_ms: i64) -> Self {
        Self {
            name,
            visibility_s: 30,
            delay_s: 0,
            retention_s: 345_600,
            wait_s: 0,
            bytes_max: i64::try_from(MESSAGE_BYTES_MAX).unwrap_or(i64::MAX),
            redrive: None,
            created_ms: now_ms,
            modified_ms: now_ms,
        }
    }

    /// Sets what a request names. An unknown name or a value out of range is refused.
    pub(super) fn set(&mut self, attributes: &BTreeMap<String, String>) -> Result<(), Refusal> {
        for (name, value) in attributes {
            let number = |min: i64, max: i64| {
                let read = value.parse().ok().filter(|v| (min..=max).contains(v));
                read.ok_or_else(|| Refusal::InvalidAttributeValue(name.clone()))
            };
            match name.as_str() {
                "VisibilityTimeout" => self.visibility_s = number(0, VISIBILITY_S_MAX)?,
                "DelaySeconds" => self.delay_s = number(0, DELAY_S_MAX)?,
                "MessageRetentionPeriod" => {
                    self.retention_s = number(RETENTION_S_MIN, RETENTION_S_MAX)?;
                }
                "ReceiveMessageWaitTimeSeconds" => self.wait_s = number(0, WAIT_S_MAX)?,
                "MaximumMessageSize" => {
                    self.bytes_max = number(1024, i64::try_from(MESSAGE_BYTES_MAX).unwrap_or(0))?;
                }
                "RedrivePolicy" if value.is_empty() => self.redrive = None,
                "RedrivePolicy" => self.redrive = Some(redrive(value)?),
                // Accepted and without effect here: one account, one key, one disk.
                "Policy"
                | "KmsMasterKeyId"
                | "KmsDataKeyReusePeriodSeconds"
                | "SqsManagedSseEnabled"
                | "RedriveAllowPolicy" => {}
                _ => return Err(Refusal::InvalidAttributeName(name.clone())),
            }
        }
        Ok(())
    }

    /// The first attribute in which a queue that exists differs from one that is asked for.
    pub(super) fn difference(&self, other: &Queue) -> Option<&'static str> {
        let pairs = [
            (self.visibility_s == other.visibility_s, "VisibilityTimeout"),
            (self.delay_s == other.delay_s, "DelaySeconds"),
            (self.retention_s == other.retention_s, "MessageRetentionPeriod"),
            (self.wait_s == other.wait_s, "ReceiveMessageWaitTimeSeconds"),
            (self.bytes_max == other.bytes_max, "MaximumMessageSize"),
            (self.redrive == other.redrive, "RedrivePolicy"),
        ];
        pairs.into_iter().find(|(same, _)| !same).map(|(_, name)| name)
    }

    pub(super) fn attributes(&self, counts: Counts) -> BTreeMap<&'static str, String> {
        let mut all = BTreeMap::from([
            ("QueueArn", arn(&self.name)),
            ("VisibilityTimeout", self.visibility_s.to_string()),
            ("DelaySeconds", self.delay_s.to_string()),
            ("MessageRetentionPeriod", self.retention_s.to_string()),
            ("ReceiveMessageWaitTimeSeconds", self.wait_s.to_string()),
            ("MaximumMessageSize", self.bytes_max.to_string()),
            ("CreatedTimestamp", (self.created_ms / 1000).to_string()),
            ("LastModifiedTimestamp", (self.modified_ms / 1000).to_string()),
            ("ApproximateNumberOfMessages", counts.visible.to_string()),
            ("ApproximateNumberOfMessagesNotVisible", counts.in_flight.to_string()),
            ("ApproximateNumberOfMessagesDelayed", counts.delayed.to_string()),
            ("SqsManagedSseEnabled", "false".to_owned()),
        ]);
        if let Some((queue, receives_max)) = &self.redrive {
            let policy = serde_json::json!({
                "deadLetterTargetArn": arn(queue), "maxReceiveCount": receives_max,
            });
            all.insert("RedrivePolicy", policy.to_string());
        }
        all
    }
}

/// Exact here, though SQS calls them approximate.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) visible: i64,
    pub(super) in_flight: i64,
    pub(super) delayed: i64,
}

pub(super) fn arn(name: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}")
}

fn redrive(policy: &str) -> Result<(String, i64), Refusal> {
    let refused = || Refusal::InvalidAttributeValue("RedrivePolicy".to_owned());
    let policy: RedrivePolicy = serde_json::from_str(policy).map_err(|_| refused())?;
    // Both `5` and `"5"` are common.
    let receives_max = match &policy.max_receive_count {
        serde_json::Value::String(text) => text.parse().ok(),
        other => other.as_i64(),
    };
    let queue = policy.dead_letter_target_arn.rsplit(':').next().filter(|q| !q.is_empty());
    match (queue, receives_max.filter(|n| (1..=1000).contains(n))) {
        (Some(queue), Some(max)) => Ok((queue.to_owned(), max)),
        _ => Err(refused()),
    }
}

pub(super) fn find(conn: &Connection, name: &str) -> Result<Queue, Refusal> {
    let mut one = conn.prepare_cached(
        "SELECT name, visibility_s, delay_s, retention_s, wait_s, bytes_max, dead_letters,
                receives_max, created_ms, modified_ms FROM queues WHERE name = ?1",
    )?;
    one.query_row([name], read).optional()?.ok_or(Refusal::QueueDoesNotExist)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Queue> {
    let dead_letters: Option<String> = row.get(6)?;
    let receives_max: Option<i64> = row.get(7)?;
    Ok(Queue {
        name: row.get(0)?,
        visibility_s: row.get(1)?,
        delay_s: row.get(2)?,
        retention_s: row.get(3)?,
        wait_s: row.get(4)?,
        bytes_max: row.get(5)?,
        redrive: dead_letters.zip(receives_max),
        created_ms: row.get(8)?,
        modified_ms: row.get(9)?,
    })
}

/// Writes a queue as it now is. Its dead-letter queue must exist.
pub(super) fn save(conn: &Connection, queue: &Queue) -> Result<(), Refusal> {
    if let Some((dead_letters, _)) = &queue.redrive
        && find(conn, dead_letters).is_err()
    {
        return Err(Refusal::InvalidAttributeValue("RedrivePolicy".to_owned()));
    }
    let (dead_letters, receives_max) = queue.redrive.clone().unzip();
    conn.execute(
        "INSERT OR REPLACE INTO queues (name, visibility_s, delay_s, retention_s, wait_s, bytes_max,
            dead_letters, receives_max, created_ms, modified_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            queue.name,
            queue.visibility_s,
            queue.delay_s,
            queue.retention_s,
            queue.wait_s,
            queue.bytes_max,
            dead_letters,
            receives_max,
            queue.created_ms,
            queue.modified_ms,
        ],
    )?;
    Ok(())
}

/// Up to `max` names that begin with `prefix`, after `after`.
pub(super) fn names(
    conn: &Connection,
    prefix: &str,
    after: &str,
    max: i64,
) -> Result<Vec<String>, Refusal> {
    let mut all = conn.prepare_cached(
        "SELECT name FROM queues WHERE name > ?1 AND substr(name, 1, length(?2)) = ?2
         ORDER BY name LIMIT ?3",
    )?;
    let rows = all.query_map(params![after, prefix, max], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
