//! Hints from one process to another. Knows sending, receiving and putting off; a message decides
//! nothing, so one that is lost or comes twice costs time, never money.

use aws_sdk_sqs::types::MessageSystemAttributeName;
use serde::Serialize;

use crate::Broken;

/// What SQS takes.
const DELAY_MAX_S: u32 = 900;
const WAIT_MAX_S: u32 = 20;
const VISIBILITY_MAX_S: u32 = 43_200;
const BATCH_MAX: u32 = 10;
const BODY_MAX: usize = 256 * 1024;

/// The queues of one deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Queue {
    Dispatch,
    Verify,
    Payouts,
    /// What is to be sent to providers' endpoints, or asked there; shared by all relays.
    Push,
    /// Hints for the relay that holds this slot.
    Relay(u8),
}

impl Queue {
    /// The part of the queue's name behind the deployment's prefix.
    pub fn name(self) -> String {
        match self {
            Self::Dispatch => "dispatch".to_owned(),
            Self::Verify => "verify".to_owned(),
            Self::Payouts => "payouts".to_owned(),
            Self::Push => "push".to_owned(),
            Self::Relay(slot) => format!("relay-{slot}"),
        }
    }
}

/// A hint that was received and not yet deleted.
#[derive(Clone, Debug)]
pub struct Message {
    pub body: String,
    /// For [`Queues::delete`] and [`Queues::defer`].
    pub receipt: String,
    /// 1 at the first receive.
    pub receive_count: u32,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Queues {
    client: aws_sdk_sqs::Client,
    url_prefix: String,
}

impl Queues {
    pub(crate) fn new(client: aws_sdk_sqs::Client, url_prefix: String) -> Self {
        Self { client, url_prefix }
    }

    pub(crate) fn client(&self) -> &aws_sdk_sqs::Client {
        &self.client
    }

    pub(crate) fn url(&self, queue: Queue) -> String {
        format!("{}{}", self.url_prefix, queue.name())
    }

    /// The queue's full name: the last step of its URL.
    pub(crate) fn full_name(&self, queue: Queue) -> String {
        let url = self.url(queue);
        url.rsplit('/').next().unwrap_or(&url).to_owned()
    }

    /// Sends `hint` as JSON, to be seen after `delay_s` (at most 900).
    pub async fn send(
        &self,
        queue: Queue,
        hint: &impl Serialize,
        delay_s: u32,
    ) -> Result<(), Broken> {
        let body =
            serde_json::to_string(hint).map_err(|cause| Broken::new("SendMessage", cause))?;
        if body.len() > BODY_MAX {
            return Err(Broken::new("SendMessage", "larger than a message may be"));
        }
        self.client
            .send_message()
            .queue_url(self.url(queue))
            .message_body(body)
            .set_delay_seconds((delay_s > 0).then(|| whole(delay_s.min(DELAY_MAX_S))))
            .send()
            .await
            .map(|_| ())
            .map_err(|cause| Broken::new("SendMessage", cause))
    }

    /// Up to `max` (at most 10) messages, waiting up to `wait_s` (at most 20) for the first; they
    /// are hidden from others for `visibility_s`.
    pub async fn receive(
        &self,
        queue: Queue,
        max: u32,
        wait_s: u32,
        visibility_s: u32,
    ) -> Result<Vec<Message>, Broken> {
        let answer = self
            .client
            .receive_message()
            .queue_url(self.url(queue))
            .max_number_of_messages(whole(max.clamp(1, BATCH_MAX)))
            .wait_time_seconds(whole(wait_s.min(WAIT_MAX_S)))
            .visibility_timeout(whole(visibility_s.min(VISIBILITY_MAX_S)))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .send()
            .await
            .map_err(|cause| Broken::new("ReceiveMessage", cause))?;
        let messages = answer.messages.unwrap_or_default();
        Ok(messages.into_iter().filter_map(message).collect())
    }

    pub async fn delete(&self, queue: Queue, receipt: &str) -> Result<(), Broken> {
        self.client
            .delete_message()
            .queue_url(self.url(queue))
            .receipt_handle(receipt)
            .send()
            .await
            .map(|_| ())
            .map_err(|cause| Broken::new("DeleteMessage", cause))
    }

    /// Shows the message again in `seconds` from now; 0 is at once.
    pub async fn defer(&self, queue: Queue, receipt: &str, seconds: u32) -> Result<(), Broken> {
        self.client
            .change_message_visibility()
            .queue_url(self.url(queue))
            .receipt_handle(receipt)
            .visibility_timeout(whole(seconds.min(VISIBILITY_MAX_S)))
            .send()
            .await
            .map(|_| ())
            .map_err(|cause| Broken::new("ChangeMessageVisibility", cause))
    }
}

fn whole(seconds: u32) -> i32 {
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

fn message(message: aws_sdk_sqs::types::Message) -> Option<Message> {
    let receive_count = message
        .attributes
        .as_ref()
        .and_then(|attributes| attributes.get(&MessageSystemAttributeName::ApproximateReceiveCount))
        .and_then(|count| count.parse().ok())
        .unwrap_or(1);
    Some(Message { body: message.body?, receipt: message.receipt_handle?, receive_count })
}
