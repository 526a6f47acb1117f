//! What is visible: buckets, objects, uploads and their parts, as rows. Knows no bytes and no HTTP.

use std::collections::{BTreeMap, HashSet};

use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use serde::{Deserialize, Serialize};

use super::checksums::Checksums;
use crate::sqlite::Fault;

pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS buckets (name TEXT PRIMARY KEY, created_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS objects (
    bucket TEXT NOT NULL, key TEXT NOT NULL, blob TEXT NOT NULL, size INTEGER NOT NULL,
    etag TEXT NOT NULL, modified_ms INTEGER NOT NULL, headers TEXT NOT NULL, checksums TEXT NOT NULL,
    PRIMARY KEY (bucket, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY, bucket TEXT NOT NULL, key TEXT NOT NULL, started_ms INTEGER NOT NULL,
    headers TEXT NOT NULL, algorithm TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parts (
    upload TEXT NOT NULL, number INTEGER NOT NULL, blob TEXT NOT NULL, size INTEGER NOT NULL,
    etag TEXT NOT NULL, modified_ms INTEGER NOT NULL, checksums TEXT NOT NULL,
    PRIMARY KEY (upload, number)) WITHOUT ROWID;
";

pub(super) struct Bucket {
    pub(super) name: String,
    pub(super) created_ms: i64,
}

/// The headers that an object is stored with and served with.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Headers {
    pub(super) content_type: Option<String>,
    pub(super) content_disposition: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) content_language: Option<String>,
    pub(super) cache_control: Option<String>,
    pub(super) metadata: BTreeMap<String, String>,
}

/// One stored object, or one part of an upload (whose headers are empty).
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) blob: String,
    pub(super) size: u64,
    pub(super) etag: String,
    pub(super) modified_ms: i64,
    pub(super) headers: Headers,
    pub(super) checksums: Checksums,
}

pub(super) struct Upload {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) headers: Headers,
    pub(super) algorithm: Option<String>,
}

/// What must hold of the object that is there now for a write to happen.
#[derive(Debug, Clone)]
pub(super) enum Condition {
    None,
    Absent,
    Present,
    ETag(String),
}

pub(super) enum Written {
    /// With the blob that the new one displaced.
    Done(Option<String>),
    ConditionFailed,
    NoSuchKey,
    NoSuchBucket,
}

pub(super) fn create_bucket(conn: &Connection, name: &str, now_ms: i64) -> Result<bool, Fault> {
    let sql = "INSERT INTO buckets (name, created_ms) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    Ok(conn.execute(sql, params![name, now_ms])? == 1)
}

/// False when the bucket still holds objects.
pub(super) fn delete_bucket(conn: &mut Connection, name: &str) -> Result<bool, Fault> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let held: bool = tx.query_row(
        "SELECT EXISTS (SELECT 1 FROM objects WHERE bucket = ?1)
             OR EXISTS (SELECT 1 FROM uploads WHERE bucket = ?1)",
        [name],
        |row| row.get(0),
    )?;
    if !held {
        tx.execute("DELETE FROM buckets WHERE name = ?1", [name])?;
        tx.commit()?;
    }
    Ok(!held)
}

pub(super) fn has_bucket(conn: &Connection, name: &str) -> Result<bool, Fault> {
    let sql = "SELECT EXISTS (SELECT 1 FROM buckets WHERE name = ?1)";
    Ok(conn.prepare_cached(sql)?.query_row([name], |row| row.get(0))?)
}

pub(super) fn buckets(conn: &Connection) -> Result<Vec<Bucket>, Fault> {
    let mut all = conn.prepare_cached("SELECT name, created_ms FROM buckets ORDER BY name")?;
    let rows =
        all.query_map([], |row| Ok(Bucket { name: row.get(0)?, created_ms: row.get(1)? }))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Every blob of a bucket that a row names.
pub(super) fn blobs(conn: &Connection, bucket: &str) -> Result<HashSet<String>, Fault> {
    let mut all = conn.prepare(
        "SELECT blob FROM objects WHERE bucket = ?1
         UNION ALL SELECT p.blob FROM parts p JOIN uploads u ON u.id = p.upload WHERE u.bucket = ?1",
    )?;
    let rows = all.query_map([bucket], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn object(conn: &Connection, bucket: &str, key: &str) -> Result<Option<Entry>, Fault> {
    let mut one = conn.prepare_cached(
        "SELECT blob, size, etag, modified_ms, checksums, headers FROM objects
         WHERE bucket = ?1 AND key = ?2",
    )?;
    let found = one.query_row([bucket, key], |row| Ok(entry(row, Some(5)))).optional()?;
    found.transpose()
}

fn entry(row: &Row<'_>, headers_at: Option<usize>) -> Result<Entry, Fault> {
    Ok(Entry {
        blob: row.get(0)?,
        size: row.get(1)?,
        etag: row.get(2)?,
        modified_ms: row.get(3)?,
        checksums: serde_json::from_str(&row.get::<_, String>(4)?)?,
        headers: match headers_at {
            Some(at) => serde_json::from_str(&row.get::<_, String>(at)?)?,
            None => Headers::default(),
        },
    })
}

/// Makes `entry` the object, if the condition holds. Condition and write are one transaction.
pub(super) fn put(
    conn: &mut Connection,
    bucket: &str,
    key: &str,
    entry: &Entry,
    condition: &Condition,
) -> Result<Written, Fault> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let written = put_in(&tx, bucket, key, entry, condition)?;
    tx.commit()?;
    Ok(written)
}

fn put_in(
    conn: &Connection,
    bucket: &str,
    key: &str,
    entry: &Entry,
    condition: &Condition,
) -> Result<Written, Fault> {
    if !has_bucket(conn, bucket)? {
        return Ok(Written::NoSuchBucket);
    }
    let before = object(conn, bucket, key)?;
    match (condition, &before) {
        (Condition::None, _) | (Condition::Absent, None) | (Condition::Present, Some(_)) => {}
        (Condition::ETag(wanted), Some(before)) if *wanted == before.etag => {}
        (Condition::ETag(_) | Condition::Present, None) => return Ok(Written::NoSuchKey),
        _ => return Ok(Written::ConditionFailed),
    }
    conn.prepare_cached(
        "INSERT OR REPLACE INTO objects (bucket, key, blob, size, etag, modified_ms, headers, checksums)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        bucket,
        key,
        entry.blob,
        entry.size,
        entry.etag,
        entry.modified_ms,
        serde_json::to_string(&entry.headers)?,
        serde_json::to_string(&entry.checksums)?,
    ])?;
    Ok(Written::Done(before.map(|b| b.blob)))
}

/// The blob that was there, if any.
pub(super) fn delete(conn: &Connection, bucket: &str, key: &str) -> Result<Option<String>, Fault> {
    let sql = "DELETE FROM objects WHERE bucket = ?1 AND key = ?2 RETURNING blob";
    let mut delete = conn.prepare_cached(sql)?;
    Ok(delete.query_row([bucket, key], |row| row.get(0)).optional()?)
}

/// The first object at or after `from` (`after`: strictly after it).
pub(super) fn next(
    conn: &Connection,
    bucket: &str,
    from: &str,
    after: bool,
) -> Result<Option<(String, Entry)>, Fault> {
    let mut next = conn.prepare_cached(if after {
        "SELECT blob, size, etag, modified_ms, checksums, key FROM objects
         WHERE bucket = ?1 AND key > ?2 ORDER BY key LIMIT 1"
    } else {
        "SELECT blob, size, etag, modified_ms, checksums, key FROM objects
         WHERE bucket = ?1 AND key >= ?2 ORDER BY key LIMIT 1"
    })?;
    let found =
        next.query_row([bucket, from], |row| Ok((row.get(5)?, entry(row, None)))).optional()?;
    found.map(|(key, entry)| Ok((key, entry?))).transpose()
}

pub(super) fn start_upload(
    conn: &Connection,
    id: &str,
    upload: &Upload,
    now_ms: i64,
) -> Result<bool, Fault> {
    if !has_bucket(conn, &upload.bucket)? {
        return Ok(false);
    }
    conn.execute(
        "INSERT INTO uploads (id, bucket, key, started_ms, headers, algorithm)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            id,
            upload.bucket,
            upload.key,
            now_ms,
            serde_json::to_string(&upload.headers)?,
            upload.algorithm,
        ],
    )?;
    Ok(true)
}

pub(super) fn upload(conn: &Connection, id: &str) -> Result<Option<Upload>, Fault> {
    let mut one =
        conn.prepare_cached("SELECT bucket, key, headers, algorithm FROM uploads WHERE id = ?1")?;
    let found = one
        .query_row([id], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?, row.get(3)?))
        })
        .optional()?;
    found
        .map(|(bucket, key, headers, algorithm)| {
            Ok(Upload { bucket, key, headers: serde_json::from_str(&headers)?, algorithm })
        })
        .transpose()
}

/// None when the upload is gone; else the blob that this part displaced.
pub(super) fn put_part(
    conn: &mut Connection,
    id: &str,
    number: i32,
    part: &Entry,
) -> Result<Option<Option<String>>, Fault> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if upload(&tx, id)?.is_none() {
        return Ok(None);
    }
    let before = tx
        .query_row(
            "SELECT blob FROM parts WHERE upload = ?1 AND number = ?2",
            params![id, number],
            |row| row.get(0),
        )
        .optional()?;
    tx.execute(
        "INSERT OR REPLACE INTO parts (upload, number, blob, size, etag, modified_ms, checksums)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            id,
            number,
            part.blob,
            part.size,
            part.etag,
            part.modified_ms,
            serde_json::to_string(&part.checksums)?,
        ],
    )?;
    tx.commit()?;
    Ok(Some(before))
}

pub(super) fn parts(conn: &Connection, id: &str) -> Result<BTreeMap<i32, Entry>, Fault> {
    let mut all = conn.prepare_cached(
        "SELECT blob, size, etag, modified_ms, checksums, number FROM parts WHERE upload = ?1",
    )?;
    let mut rows = all.query([id])?;
    let mut parts = BTreeMap::new();
    while let Some(row) = rows.next()? {
        parts.insert(row.get(5)?, entry(row, None)?);
    }
    Ok(parts)
}

/// Ends an upload; `with` is the object that it became, or None when it is abandoned.
///
/// Returns how the object was written and every blob that no row names any more. An upload whose
/// condition fails stays open, so that its owner may abort it.
pub(super) fn end_upload(
    conn: &mut Connection,
    id: &str,
    with: Option<(&Entry, &Condition)>,
) -> Result<Option<(Written, Vec<String>)>, Fault> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let Some(upload) = upload(&tx, id)? else {
        return Ok(None);
    };
    let mut freed: Vec<String> = parts(&tx, id)?.into_values().map(|p| p.blob).collect();
    let written = match with {
        Some((entry, condition)) => put_in(&tx, &upload.bucket, &upload.key, entry, condition)?,
        None => Written::Done(None),
    };
    let Written::Done(displaced) = &written else {
        return Ok(Some((written, Vec::new())));
    };
    freed.extend(displaced.clone());
    tx.execute("DELETE FROM parts WHERE upload = ?1", [id])?;
    tx.execute("DELETE FROM uploads WHERE id = ?1", [id])?;
    tx.commit()?;
    Ok(Some((written, freed)))
}
