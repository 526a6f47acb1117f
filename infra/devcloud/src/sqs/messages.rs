//! Messages as rows: when each is visible, who holds it, how often it was received. Knows no JSON.

use rusqlite::{Connection, OptionalExtension, params};

use super::error::Refusal;
use super::queues::{Counts, Queue};

pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, message_id TEXT NOT NULL,
    body TEXT NOT NULL, attributes TEXT NOT NULL, sent_ms INTEGER NOT NULL,
    visible_ms INTEGER NOT NULL, received INTEGER NOT NULL DEFAULT 0, first_received_ms INTEGER,
    receipt TEXT);
CREATE INDEX IF NOT EXISTS messages_by_time ON messages (queue, visible_ms);
";

pub(super) struct New {
    pub(super) message_id: String,
    pub(super) body: String,
    /// JSON.
    pub(super) attributes: String,
    pub(super) delay_s: i64,
}

pub(super) struct Received {
    pub(super) message_id: String,
    pub(super) body: String,
    pub(super) attributes: String,
    pub(super) receipt: String,
    pub(super) sent_ms: i64,
    pub(super) first_received_ms: i64,
    pub(super) received: i64,
}

pub(super) enum Taken {
    Some(Vec<Received>),
    /// Nothing is visible; the next that will be, if any, is so at this time.
    None(Option<i64>),
}

pub(super) fn send(
    conn: &Connection,
    queue: &Queue,
    new: &New,
    now_ms: i64,
) -> Result<(), Refusal> {
    conn.prepare_cached(
        "INSERT INTO messages (queue, message_id, body, attributes, sent_ms, visible_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        queue.name,
        new.message_id,
        new.body,
        new.attributes,
        now_ms,
        now_ms + new.delay_s * 1000,
    ])?;
    Ok(())
}

/// Takes up to `max` visible messages and hides them for `visibility_s`.
///
/// One that has been received as often as its queue allows goes to the dead-letter queue instead;
/// the second value says whether any did.
pub(super) fn receive(
    conn: &Connection,
    queue: &Queue,
    max: i64,
    visibility_s: i64,
    now_ms: i64,
) -> Result<(Taken, bool), Refusal> {
    let fresh_ms = now_ms - queue.retention_s * 1000;
    let mut moved = false;
    if let Some((dead_letters, receives_max)) = &queue.redrive {
        let sql = "UPDATE messages SET queue = ?1, receipt = NULL
                   WHERE queue = ?2 AND visible_ms <= ?3 AND received >= ?4";
        let mut dead = conn.prepare_cached(sql)?;
        moved = dead.execute(params![dead_letters, queue.name, now_ms, receives_max])? > 0;
    }
    let ids: Vec<i64> = conn
        .prepare_cached(
            "SELECT id FROM messages WHERE queue = ?1 AND visible_ms <= ?2 AND sent_ms > ?3
             ORDER BY id LIMIT ?4",
        )?
        .query_map(params![queue.name, now_ms, fresh_ms, max], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut taken = Vec::with_capacity(ids.len());
    let mut take = conn.prepare_cached(
        "UPDATE messages SET visible_ms = ?2, received = received + 1, receipt = ?3,
                first_received_ms = coalesce(first_received_ms, ?4)
         WHERE id = ?1
         RETURNING message_id, body, attributes, sent_ms, first_received_ms, received",
    )?;
    for id in ids {
        let receipt = uuid::Uuid::new_v4().simple().to_string();
        let until_ms = now_ms + visibility_s * 1000;
        taken.push(take.query_row(params![id, until_ms, receipt, now_ms], |row| {
            Ok(Received {
                message_id: row.get(0)?,
                body: row.get(1)?,
                attributes: row.get(2)?,
                receipt: handle(id, &receipt),
                sent_ms: row.get(3)?,
                first_received_ms: row.get(4)?,
                received: row.get(5)?,
            })
        })?);
    }
    if !taken.is_empty() {
        return Ok((Taken::Some(taken), moved));
    }
    let next: Option<i64> = conn
        .prepare_cached(
            "SELECT min(visible_ms) FROM messages WHERE queue = ?1 AND visible_ms > ?2",
        )?
        .query_row(params![queue.name, now_ms], |row| row.get(0))?;
    Ok((Taken::None(next), moved))
}

fn handle(id: i64, receipt: &str) -> String {
    format!("{id}.{receipt}")
}

fn unhandle(handle: &str) -> Result<(i64, &str), Refusal> {
    let (id, receipt) = handle.split_once('.').ok_or(Refusal::ReceiptHandleIsInvalid)?;
    let id = id.parse().map_err(|_| Refusal::ReceiptHandleIsInvalid)?;
    Ok((id, receipt))
}

/// Deletes the message if `receipt` is its newest; an older one is not an error and does nothing,
/// as SQS documents for standard queues: someone else may be at work on the message by now.
pub(super) fn delete(conn: &Connection, queue: &str, receipt: &str) -> Result<(), Refusal> {
    let (id, receipt) = unhandle(receipt)?;
    conn.prepare_cached("DELETE FROM messages WHERE id = ?1 AND queue = ?2 AND receipt = ?3")?
        .execute(params![id, queue, receipt])?;
    Ok(())
}

/// Hides a message that its holder has in hand until `visibility_s` from now.
pub(super) fn change_visibility(
    conn: &Connection,
    queue: &str,
    receipt: &str,
    visibility_s: i64,
    now_ms: i64,
) -> Result<(), Refusal> {
    let (id, receipt) = unhandle(receipt)?;
    let changed = conn
        .prepare_cached(
            "UPDATE messages SET visible_ms = ?4
             WHERE id = ?1 AND queue = ?2 AND receipt = ?3 AND visible_ms > ?5",
        )?
        .execute(params![id, queue, receipt, now_ms + visibility_s * 1000, now_ms])?;
    if changed == 1 { Ok(()) } else { Err(Refusal::MessageNotInflight) }
}

pub(super) fn counts(conn: &Connection, queue: &str, now_ms: i64) -> Result<Counts, Refusal> {
    let sql = "SELECT coalesce(sum(visible_ms <= ?2), 0),
                      coalesce(sum(visible_ms > ?2 AND receipt IS NOT NULL), 0),
                      coalesce(sum(visible_ms > ?2 AND receipt IS NULL), 0)
               FROM messages WHERE queue = ?1";
    let counted = conn.prepare_cached(sql)?.query_row(params![queue, now_ms], |row| {
        Ok(Counts { visible: row.get(0)?, in_flight: row.get(1)?, delayed: row.get(2)? })
    });
    Ok(counted.optional()?.unwrap_or_default())
}

pub(super) fn purge(conn: &Connection, queue: &str) -> Result<(), Refusal> {
    conn.execute("DELETE FROM messages WHERE queue = ?1", [queue])?;
    Ok(())
}

/// Deletes what is older than its queue keeps.
pub(super) fn sweep(conn: &Connection, now_ms: i64) -> Result<(), Refusal> {
    conn.execute(
        "DELETE FROM messages WHERE sent_ms <= ?1 -
            (SELECT retention_s * 1000 FROM queues WHERE name = messages.queue)",
        [now_ms],
    )?;
    Ok(())
}
