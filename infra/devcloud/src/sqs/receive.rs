//! Receiving, the one operation that waits. A poll holds no lock and no transaction while it waits.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::error::Refusal;
use super::limits::{self, RECEIVE_MAX, VISIBILITY_S_MAX, WAIT_S_MAX};
use super::messages::{self, Received, Taken};
use super::operations::{begin, name_of};
use super::wire::{Attributes, Message, Messages, Receive};
use super::{ACCOUNT, Sqs, digest, now_ms, queues};

impl Sqs {
    /// Waits, if asked to, until a message arrives, falls due or becomes visible again.
    pub(super) async fn receive_message(&self, req: Receive) -> Result<Messages, Refusal> {
        let name = name_of(&req.queue_url)?;
        let asked = Asked::read(&req)?;
        let bell = self.bell(&name);
        let mut stopped = self.stopped.clone();
        let started = Instant::now();
        loop {
            // Armed before the look, so that a message sent in between still rings.
            let rung = bell.notified();
            tokio::pin!(rung);
            rung.as_mut().enable();
            let (taken, wait_s) = self.take(name.clone(), asked).await?;
            let next_ms = match taken {
                Taken::Some(all) => {
                    let messages = all.into_iter().map(|m| shown(m, &req));
                    return Ok(Messages { messages: messages.collect::<Result<_, _>>()? });
                }
                Taken::None(next_ms) => next_ms,
            };
            let deadline = started + Duration::from_secs(u64::try_from(wait_s).unwrap_or(0));
            let now = Instant::now();
            if now >= deadline {
                return Ok(Messages { messages: Vec::new() });
            }
            let until = match next_ms {
                Some(at) => {
                    let in_ms = u64::try_from(at - now_ms()).unwrap_or(0);
                    deadline.min(now + Duration::from_millis(in_ms))
                }
                None => deadline,
            };
            tokio::select! {
                () = rung => {}
                () = tokio::time::sleep_until(until) => {}
                _ = stopped.wait_for(|stop| *stop) => {
                    return Ok(Messages { messages: Vec::new() });
                }
            }
        }
    }

    /// One look at the queue; also how long its owner wants a poll to wait.
    async fn take(&self, name: String, asked: Asked) -> Result<(Taken, i64), Refusal> {
        let (taken, wait_s, dead) = self
            .rows
            .call(move |conn| {
                let tx = begin(conn)?;
                let queue = queues::find(&tx, &name)?;
                let visibility_s = asked.visibility_s.unwrap_or(queue.visibility_s);
                let (taken, moved) =
                    messages::receive(&tx, &queue, asked.max, visibility_s, now_ms())?;
                tx.commit()?;
                let dead = queue.redrive.filter(|_| moved).map(|(name, _)| name);
                Ok::<_, Refusal>((taken, asked.wait_s.unwrap_or(queue.wait_s), dead))
            })
            .await?;
        if let Some(dead) = dead {
            self.bell(&dead).notify_waiters();
        }
        Ok((taken, wait_s))
    }
}

#[derive(Clone, Copy)]
struct Asked {
    max: i64,
    visibility_s: Option<i64>,
    wait_s: Option<i64>,
}

impl Asked {
    fn read(req: &Receive) -> Result<Self, Refusal> {
        let within = |name, value: Option<i64>, max| {
            value.map(|v| limits::range(name, v, 0, max)).transpose()
        };
        let max = req.max_number_of_messages.unwrap_or(1);
        Ok(Self {
            max: limits::range("MaxNumberOfMessages", max, 1, RECEIVE_MAX)?,
            visibility_s: within("VisibilityTimeout", req.visibility_timeout, VISIBILITY_S_MAX)?,
            wait_s: within("WaitTimeSeconds", req.wait_time_seconds, WAIT_S_MAX)?,
        })
    }
}

/// A message with those of its attributes that were asked for.
fn shown(message: Received, req: &Receive) -> Result<Message, Refusal> {
    let empty = Vec::new();
    let system: Vec<&String> = req
        .attribute_names
        .as_ref()
        .unwrap_or(&empty)
        .iter()
        .chain(req.message_system_attribute_names.as_ref().unwrap_or(&empty))
        .collect();
    let mut attributes = BTreeMap::from([
        ("ApproximateReceiveCount", message.received.to_string()),
        ("ApproximateFirstReceiveTimestamp", message.first_received_ms.to_string()),
        ("SentTimestamp", message.sent_ms.to_string()),
        ("SenderId", ACCOUNT.to_owned()),
    ]);
    attributes.retain(|name, _| system.iter().any(|w| *w == "All" || *w == name));
    let mut own: Attributes = serde_json::from_str(&message.attributes)?;
    let wanted = req.message_attribute_names.as_ref().unwrap_or(&empty);
    own.retain(|name, _| {
        wanted.iter().any(|w| match w.strip_suffix(".*") {
            Some(prefix) => name.starts_with(prefix),
            None => w == "All" || w == name,
        })
    });
    Ok(Message {
        md5_of_body: digest::of_body(&message.body),
        md5_of_attributes: digest::of_attributes(&own),
        message_id: message.message_id,
        receipt_handle: message.receipt,
        body: message.body,
        attributes,
        message_attributes: own,
    })
}
