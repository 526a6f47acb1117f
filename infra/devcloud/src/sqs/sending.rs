//! Sending, deleting and hiding messages, one transaction a call, alone or in batches.

use rusqlite::Connection;

use super::error::Refusal;
use super::limits::{self, DELAY_S_MAX, MESSAGE_BYTES_MAX, VISIBILITY_S_MAX};
use super::messages::{self, New};
use super::operations::{begin, name_of};
use super::queues::{self, Queue};
use super::wire::*;
use super::{Sqs, digest, now_ms};

impl Sqs {
    pub(super) async fn send_message(&self, req: SendMessage) -> Result<Sent, Refusal> {
        let entry = SendEntry {
            id: "0".to_owned(),
            message_body: req.message_body,
            delay_seconds: req.delay_seconds,
            message_attributes: req.message_attributes,
        };
        let (_, sent) = self
            .send_all(&req.queue_url, vec![entry])
            .await?
            .pop()
            .ok_or_else(|| Refusal::Broken(crate::Fault::Lost))?;
        sent
    }

    pub(super) async fn send_message_batch(
        &self,
        req: Batch<SendEntry>,
    ) -> Result<BatchResult<Sent>, Refusal> {
        limits::batch(req.entries.iter().map(|e| e.id.as_str()))?;
        let bytes: usize = req.entries.iter().map(|e| e.message_body.len()).sum();
        if bytes > MESSAGE_BYTES_MAX {
            return Err(Refusal::BatchTooLong(MESSAGE_BYTES_MAX));
        }
        self.send_all(&req.queue_url, req.entries).await.map(result)
    }

    /// Sends in one transaction; an entry that is refused does not keep the others back.
    async fn send_all(
        &self,
        url: &str,
        entries: Vec<SendEntry>,
    ) -> Result<Vec<(String, Result<Sent, Refusal>)>, Refusal> {
        let name = name_of(url)?;
        let bell = self.bell(&name);
        let sent = self
            .rows
            .call(move |conn| {
                let tx = begin(conn)?;
                let queue = queues::find(&tx, &name)?;
                let mut all = Vec::with_capacity(entries.len());
                for entry in entries {
                    let id = entry.id.clone();
                    match send_one(&tx, &queue, entry) {
                        Err(Refusal::Broken(fault)) => return Err(Refusal::Broken(fault)),
                        other => all.push((id, other)),
                    }
                }
                tx.commit()?;
                Ok(all)
            })
            .await?;
        bell.notify_waiters();
        Ok(sent)
    }

    pub(super) async fn delete_message(&self, req: DeleteMessage) -> Result<Nothing, Refusal> {
        let entry = DeleteEntry { id: "0".to_owned(), receipt_handle: req.receipt_handle };
        let done = self.delete_all(&req.queue_url, vec![entry]).await?.pop();
        done.map_or(Ok(Nothing {}), |(_, done)| done)
    }

    pub(super) async fn delete_message_batch(
        &self,
        req: Batch<DeleteEntry>,
    ) -> Result<BatchResult<Nothing>, Refusal> {
        limits::batch(req.entries.iter().map(|e| e.id.as_str()))?;
        self.delete_all(&req.queue_url, req.entries).await.map(result)
    }

    async fn delete_all(
        &self,
        url: &str,
        entries: Vec<DeleteEntry>,
    ) -> Result<Vec<(String, Result<Nothing, Refusal>)>, Refusal> {
        let name = name_of(url)?;
        self.rows
            .call(move |conn| {
                let tx = begin(conn)?;
                queues::find(&tx, &name)?;
                let each = |e: DeleteEntry| {
                    let done = messages::delete(&tx, &name, &e.receipt_handle);
                    (e.id, done.map(|()| Nothing {}))
                };
                let all = entries.into_iter().map(each).collect();
                tx.commit()?;
                Ok(all)
            })
            .await
    }

    pub(super) async fn change_visibility(
        &self,
        req: ChangeVisibility,
    ) -> Result<Nothing, Refusal> {
        let entry = ChangeEntry {
            id: "0".to_owned(),
            receipt_handle: req.receipt_handle,
            visibility_timeout: req.visibility_timeout,
        };
        let done = self.change_all(&req.queue_url, vec![entry]).await?.pop();
        done.map_or(Ok(Nothing {}), |(_, done)| done)
    }

    pub(super) async fn change_visibility_batch(
        &self,
        req: Batch<ChangeEntry>,
    ) -> Result<BatchResult<Nothing>, Refusal> {
        limits::batch(req.entries.iter().map(|e| e.id.as_str()))?;
        self.change_all(&req.queue_url, req.entries).await.map(result)
    }

    async fn change_all(
        &self,
        url: &str,
        entries: Vec<ChangeEntry>,
    ) -> Result<Vec<(String, Result<Nothing, Refusal>)>, Refusal> {
        let name = name_of(url)?;
        // A poll that waits for the old time must look again.
        let bell = self.bell(&name);
        let changed = self
            .rows
            .call(move |conn| {
                let tx = begin(conn)?;
                queues::find(&tx, &name)?;
                let each = |e: ChangeEntry| {
                    let s = limits::range(
                        "VisibilityTimeout",
                        e.visibility_timeout,
                        0,
                        VISIBILITY_S_MAX,
                    );
                    let done = s.and_then(|s| {
                        messages::change_visibility(&tx, &name, &e.receipt_handle, s, now_ms())
                    });
                    (e.id, done.map(|()| Nothing {}))
                };
                let all = entries.into_iter().map(each).collect();
                tx.commit()?;
                Ok::<_, Refusal>(all)
            })
            .await?;
        bell.notify_waiters();
        Ok(changed)
    }
}

fn send_one(conn: &Connection, queue: &Queue, entry: SendEntry) -> Result<Sent, Refusal> {
    let attributes = entry.message_attributes.unwrap_or_default();
    limits::size(limits::message(&entry.message_body, &attributes)?, queue.bytes_max)?;
    let delay_s = match entry.delay_seconds {
        Some(s) => limits::range("DelaySeconds", s, 0, DELAY_S_MAX)?,
        None => queue.delay_s,
    };
    let sent = Sent {
        message_id: uuid::Uuid::new_v4().to_string(),
        md5_of_body: digest::of_body(&entry.message_body),
        md5_of_attributes: digest::of_attributes(&attributes),
    };
    let new = New {
        message_id: sent.message_id.clone(),
        body: entry.message_body,
        attributes: serde_json::to_string(&attributes)?,
        delay_s,
    };
    messages::send(conn, queue, &new, now_ms())?;
    Ok(sent)
}

fn result<T>(all: Vec<(String, Result<T, Refusal>)>) -> BatchResult<T> {
    let mut result = BatchResult { successful: Vec::new(), failed: Vec::new() };
    for (id, one) in all {
        match one {
            Ok(of) => result.successful.push(Success { id, of }),
            Err(refusal) => result.failed.push(Failure {
                id,
                sender_fault: !refusal.status().is_server_error(),
                code: refusal.json_code(),
                message: refusal.to_string(),
            }),
        }
    }
    result
}
