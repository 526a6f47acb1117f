//! Making, finding and shaping queues, one transaction a call.

use std::collections::BTreeMap;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::error::Refusal;
use super::queues::{self, Queue};
use super::wire::*;
use super::{ACCOUNT, Sqs, limits, messages, now_ms};

const LIST_MAX: i64 = 1000;

pub(super) fn begin(conn: &mut Connection) -> Result<Transaction<'_>, Refusal> {
    Ok(conn.transaction_with_behavior(TransactionBehavior::Immediate)?)
}

/// Queues are told apart by name alone, so a URL outlives a change of port.
pub(super) fn name_of(url: &str) -> Result<String, Refusal> {
    let name = url.rsplit('/').next().unwrap_or("");
    limits::queue_name(name).map_err(|_| Refusal::QueueDoesNotExist)?;
    Ok(name.to_owned())
}

impl Sqs {
    fn url(&self, name: &str) -> String {
        format!("{}/{ACCOUNT}/{name}", self.endpoint)
    }

    pub(super) async fn create_queue(&self, req: CreateQueue) -> Result<QueueUrl, Refusal> {
        limits::queue_name(&req.queue_name)?;
        let queue_url = self.url(&req.queue_name);
        let attributes = req.attributes.unwrap_or_default();
        self.rows
            .call(move |conn| {
                let tx = begin(conn)?;
                let mut asked = Queue::new(req.queue_name, now_ms());
                match queues::find(&tx, &asked.name) {
                    Ok(there) => {
                        // Attributes that are not named are as they are.
                        asked = there.clone();
                        asked.set(&attributes)?;
                        match there.difference(&asked) {
                            Some(name) => Err(Refusal::QueueNameExists(name)),
                            None => Ok(()),
                        }
                    }
                    Err(Refusal::QueueDoesNotExist) => {
                        asked.set(&attributes)?;
                        queues::save(&tx, &asked)?;
                        Ok(tx.commit()?)
                    }
                    Err(other) => Err(other),
                }
            })
            .await?;
        Ok(QueueUrl { queue_url })
    }

    pub(super) async fn delete_queue(&self, req: OnQueue) -> Result<Nothing, Refusal> {
        let name = name_of(&req.queue_url)?;
        self.rows
            .call(move |conn| {
                let tx = begin(conn)?;
                queues::find(&tx, &name)?;
                messages::purge(&tx, &name)?;
                tx.execute("DELETE FROM queues WHERE name = ?1", [&name])?;
                Ok(tx.commit()?)
            })
            .await
            .map(|()| Nothing {})
    }

    pub(super) async fn get_queue_url(&self, req: NamedQueue) -> Result<QueueUrl, Refusal> {
        let queue_url = self.url(&req.queue_name);
        self.rows.call(move |conn| queues::find(conn, &req.queue_name)).await?;
        Ok(QueueUrl { queue_url })
    }

    pub(super) async fn list_queues(&self, req: ListQueues) -> Result<QueueUrls, Refusal> {
        let max = limits::range("MaxResults", req.max_results.unwrap_or(LIST_MAX), 1, LIST_MAX)?;
        let prefix = req.queue_name_prefix.unwrap_or_default();
        let after = req.next_token.unwrap_or_default();
        let more = max + 1;
        let names: Result<Vec<String>, Refusal> =
            self.rows.call(move |conn| queues::names(conn, &prefix, &after, more)).await;
        let mut names = names?;
        let page = usize::try_from(max).unwrap_or(0);
        let cut = names.len() > page;
        names.truncate(page);
        Ok(QueueUrls {
            queue_urls: names.iter().map(|name| self.url(name)).collect(),
            next_token: names.pop().filter(|_| cut),
        })
    }

    pub(super) async fn get_queue_attributes(
        &self,
        req: GetQueueAttributes,
    ) -> Result<QueueAttributes, Refusal> {
        let name = name_of(&req.queue_url)?;
        let wanted = req.attribute_names.unwrap_or_default();
        let mut attributes: BTreeMap<&'static str, String> = self
            .rows
            .call(move |conn| {
                let queue = queues::find(conn, &name)?;
                Ok::<_, Refusal>(queue.attributes(messages::counts(conn, &name, now_ms())?))
            })
            .await?;
        attributes.retain(|name, _| wanted.iter().any(|w| w == "All" || w == name));
        Ok(QueueAttributes { attributes })
    }

    pub(super) async fn set_queue_attributes(
        &self,
        req: SetQueueAttributes,
    ) -> Result<Nothing, Refusal> {
        let name = name_of(&req.queue_url)?;
        self.rows
            .call(move |conn| {
                let tx = begin(conn)?;
                let mut queue = queues::find(&tx, &name)?;
                queue.set(&req.attributes)?;
                queue.modified_ms = now_ms();
                queues::save(&tx, &queue)?;
                Ok(tx.commit()?)
            })
            .await
            .map(|()| Nothing {})
    }

    pub(super) async fn purge_queue(&self, req: OnQueue) -> Result<Nothing, Refusal> {
        let name = name_of(&req.queue_url)?;
        self.rows
            .call(move |conn| {
                let tx = begin(conn)?;
                queues::find(&tx, &name)?;
                messages::purge(&tx, &name)?;
                Ok(tx.commit()?)
            })
            .await
            .map(|()| Nothing {})
    }
}
