//! SQS, standard queues only, over one SQLite file. Knows the JSON protocol and who waits for
//! what; `queues` and `messages` know the rows.

mod digest;
mod error;
mod limits;
mod messages;
mod operations;
mod queues;
mod receive;
mod sending;
mod wire;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Notify, watch};

use self::error::Refusal;
use crate::sqlite::{Durability, Fault, Sqlite};

/// The account in every queue's URL and ARN.
const ACCOUNT: &str = "000000000000";

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Sqs {
    rows: Sqlite,
    endpoint: Arc<str>,
    bells: Arc<Mutex<HashMap<String, Arc<Notify>>>>,
    stopped: watch::Receiver<bool>,
}

impl Sqs {
    pub(crate) fn open(
        path: &Path,
        endpoint: String,
        stopped: watch::Receiver<bool>,
    ) -> Result<Self, Fault> {
        // A message lost to a power cut is harmless by design: queues carry hints.
        let schema = [queues::SCHEMA, messages::SCHEMA].concat();
        Ok(Self {
            rows: Sqlite::open(path, &schema, Durability::Process)?,
            endpoint: endpoint.into(),
            bells: Arc::default(),
            stopped,
        })
    }

    /// Runs one operation, named as in `X-Amz-Target`, and answers when it is committed.
    pub(crate) async fn answer(&self, operation: &str, body: &[u8]) -> Response<Body> {
        let answer = match operation {
            "CreateQueue" => run(body, |r| self.create_queue(r)).await,
            "DeleteQueue" => run(body, |r| self.delete_queue(r)).await,
            "GetQueueUrl" => run(body, |r| self.get_queue_url(r)).await,
            "ListQueues" => run(body, |r| self.list_queues(r)).await,
            "GetQueueAttributes" => run(body, |r| self.get_queue_attributes(r)).await,
            "SetQueueAttributes" => run(body, |r| self.set_queue_attributes(r)).await,
            "PurgeQueue" => run(body, |r| self.purge_queue(r)).await,
            "SendMessage" => run(body, |r| self.send_message(r)).await,
            "SendMessageBatch" => run(body, |r| self.send_message_batch(r)).await,
            "ReceiveMessage" => run(body, |r| self.receive_message(r)).await,
            "DeleteMessage" => run(body, |r| self.delete_message(r)).await,
            "DeleteMessageBatch" => run(body, |r| self.delete_message_batch(r)).await,
            "ChangeMessageVisibility" => run(body, |r| self.change_visibility(r)).await,
            "ChangeMessageVisibilityBatch" => run(body, |r| self.change_visibility_batch(r)).await,
            _ => Err(Refusal::UnsupportedOperation),
        };
        match answer {
            Ok(json) => respond(StatusCode::OK, json, None),
            Err(refusal) => {
                if let Refusal::Broken(fault) = &refusal {
                    tracing::error!(%fault, operation, "SQS failed");
                }
                let json = serde_json::json!({
                    "__type": format!("com.amazonaws.sqs#{}", refusal.json_code()),
                    "message": refusal.to_string(),
                });
                respond(refusal.status(), json.to_string(), Some(&refusal))
            }
        }
    }

    /// Deletes messages older than their queue keeps them.
    pub(crate) async fn sweep(&self) {
        let swept = self.rows.call(|conn| messages::sweep(conn, now_ms())).await;
        if let Err(Refusal::Broken(fault)) = swept {
            tracing::warn!(%fault, "old messages could not be deleted");
        }
    }

    /// Rung when a message arrives in `queue`, or becomes visible at a time not known before.
    fn bell(&self, queue: &str) -> Arc<Notify> {
        let mut bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(bells.entry(queue.to_owned()).or_default())
    }
}

async fn run<Q, A, F>(body: &[u8], operation: impl FnOnce(Q) -> F) -> Result<String, Refusal>
where
    Q: DeserializeOwned,
    A: Serialize,
    F: Future<Output = Result<A, Refusal>>,
{
    let request = serde_json::from_slice(body).map_err(|e| Refusal::Unreadable(e.to_string()))?;
    let answer = operation(request).await?;
    serde_json::to_string(&answer).map_err(|e| Refusal::Broken(Fault::Json(e)))
}

fn respond(status: StatusCode, json: String, refusal: Option<&Refusal>) -> Response<Body> {
    let mut answer = Response::new(Body::from(json));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/x-amz-json-1.0"));
    if let Ok(id) = uuid::Uuid::now_v7().to_string().parse() {
        headers.insert("x-amzn-requestid", id);
    }
    // Older clients look here for the code that the query protocol had.
    if let Some(value) = refusal.and_then(|r| r.query_error().parse().ok()) {
        headers.insert("x-amzn-query-error", value);
    }
    answer
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
