//! The shapes of SQS's JSON, as the SDK sends and reads them. Nothing is decided here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Reads a request; every name is in Pascal case on the wire.
macro_rules! request {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        pub(super) struct $name { $(pub(super) $field: $type),* }
    };
}

pub(super) type Attributes = BTreeMap<String, MessageAttribute>;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MessageAttribute {
    pub(super) data_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) string_value: Option<String>,
    /// Base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) binary_value: Option<String>,
}

request!(CreateQueue { queue_name: String, attributes: Option<BTreeMap<String, String>> });
request!(NamedQueue { queue_name: String });
request!(OnQueue { queue_url: String });
request!(ListQueues {
    queue_name_prefix: Option<String>,
    max_results: Option<i64>,
    next_token: Option<String>,
});
request!(GetQueueAttributes { queue_url: String, attribute_names: Option<Vec<String>> });
request!(SetQueueAttributes { queue_url: String, attributes: BTreeMap<String, String> });
request!(SendMessage {
    queue_url: String,
    message_body: String,
    delay_seconds: Option<i64>,
    message_attributes: Option<Attributes>,
});
request!(SendEntry {
    id: String,
    message_body: String,
    delay_seconds: Option<i64>,
    message_attributes: Option<Attributes>,
});
request!(Receive {
    queue_url: String,
    max_number_of_messages: Option<i64>,
    visibility_timeout: Option<i64>,
    wait_time_seconds: Option<i64>,
    attribute_names: Option<Vec<String>>,
    message_system_attribute_names: Option<Vec<String>>,
    message_attribute_names: Option<Vec<String>>,
});
request!(DeleteMessage { queue_url: String, receipt_handle: String });
request!(DeleteEntry { id: String, receipt_handle: String });
request!(ChangeVisibility { queue_url: String, receipt_handle: String, visibility_timeout: i64 });
request!(ChangeEntry { id: String, receipt_handle: String, visibility_timeout: i64 });

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Batch<E> {
    pub(super) queue_url: String,
    pub(super) entries: Vec<E>,
}

#[derive(Serialize)]
pub(super) struct Nothing {}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct QueueUrl {
    pub(super) queue_url: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct QueueUrls {
    pub(super) queue_urls: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct QueueAttributes {
    pub(super) attributes: BTreeMap<&'static str, String>,
}

#[derive(Clone, Serialize)]
pub(super) struct Sent {
    #[serde(rename = "MessageId")]
    pub(super) message_id: String,
    #[serde(rename = "MD5OfMessageBody")]
    pub(super) md5_of_body: String,
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    pub(super) md5_of_attributes: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Messages {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) messages: Vec<Message>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Message {
    pub(super) message_id: String,
    pub(super) receipt_handle: String,
    pub(super) body: String,
    #[serde(rename = "MD5OfBody")]
    pub(super) md5_of_body: String,
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    pub(super) md5_of_attributes: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) attributes: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Attributes::is_empty")]
    pub(super) message_attributes: Attributes,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BatchResult<T> {
    pub(super) successful: Vec<Success<T>>,
    pub(super) failed: Vec<Failure>,
}

#[derive(Serialize)]
pub(super) struct Success<T> {
    #[serde(rename = "Id")]
    pub(super) id: String,
    #[serde(flatten)]
    pub(super) of: T,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Failure {
    pub(super) id: String,
    pub(super) sender_fault: bool,
    pub(super) code: &'static str,
    pub(super) message: String,
}
