//! DynamoDB by dynoxide on one SQLite file. Knows which operation goes to which call and how an
//! error looks on the wire; the semantics are dynoxide's.
//!
//! dynoxide's own HTTP server is not used: it runs the database on the thread that serves the
//! socket, checks no signature, and would open a second port.

use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use bytes::Bytes;
use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;

const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

/// Cheap to clone; all clones share the one connection.
#[derive(Clone)]
pub(crate) struct Dynamo {
    db: Arc<Database>,
}

impl Dynamo {
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let path = path.to_str().ok_or("the path is not UTF-8")?;
        let db = Database::new(path).map_err(|e| e.to_string())?;
        Ok(Self { db: Arc::new(db) })
    }

    /// Deletes items whose TTL has passed. AWS does so within days; readers compare the time.
    pub(crate) async fn sweep(&self) {
        let db = Arc::clone(&self.db);
        match tokio::task::spawn_blocking(move || db.sweep_ttl()).await {
            Ok(Ok(0)) => {}
            Ok(Ok(items)) => tracing::debug!(items, "expired items deleted"),
            Ok(Err(error)) => tracing::warn!(%error, "expired items could not be deleted"),
            Err(error) => tracing::error!(%error, "the TTL sweep ended early"),
        }
    }

    /// Runs one operation, named as in `X-Amz-Target`, and answers when it is committed.
    pub(crate) async fn answer(&self, operation: String, body: Bytes) -> Response<Body> {
        let db = Arc::clone(&self.db);
        let ran = tokio::task::spawn_blocking(move || run(&db, &operation, &body)).await;
        match ran {
            Ok(Ok(json)) => json_answer(StatusCode::OK, json),
            Ok(Err(error)) => {
                let status = StatusCode::from_u16(error.status_code())
                    .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                if status.is_server_error() {
                    tracing::error!(%error, "DynamoDB failed");
                }
                json_answer(status, error.to_json())
            }
            Err(error) => {
                tracing::error!(%error, "a DynamoDB operation ended early");
                refusal("InternalServerError", "internal error", StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }
}

/// An error in DynamoDB's shape that did not come from the database.
pub(crate) fn refusal(code: &str, message: &str, status: StatusCode) -> Response<Body> {
    let body = serde_json::json!({
        "__type": format!("com.amazon.coral.service#{code}"),
        "message": message,
    });
    json_answer(status, body.to_string())
}

fn json_answer(status: StatusCode, json: String) -> Response<Body> {
    let mut answer = Response::new(Body::from(json));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert("content-type", axum::http::HeaderValue::from_static(CONTENT_TYPE));
    if let Ok(id) = uuid::Uuid::now_v7().simple().to_string().parse() {
        headers.insert("x-amzn-requestid", id);
    }
    answer
}

fn run(db: &Database, operation: &str, body: &[u8]) -> Result<String, DynoxideError> {
    match operation {
        "CreateTable" => call(body, |r| db.create_table(r)),
        "DeleteTable" => call(body, |r| db.delete_table(r)),
        "DescribeTable" => call(body, |r| db.describe_table(r)),
        "UpdateTable" => call(body, |r| db.update_table(r)),
        "ListTables" => call(body, |r| db.list_tables(r)),
        "UpdateTimeToLive" => call(body, |r| db.update_time_to_live(r)),
        "DescribeTimeToLive" => call(body, |r| db.describe_time_to_live(r)),
        "PutItem" => call(body, |r| db.put_item(r)),
        "GetItem" => call(body, |r| db.get_item(r)),
        "UpdateItem" => call(body, |r| db.update_item(r)),
        "DeleteItem" => call(body, |r| db.delete_item(r)),
        "Query" => call(body, |r| db.query(r)),
        "Scan" => call(body, |r| db.scan(r)),
        "BatchGetItem" => call(body, |r| db.batch_get_item(r)),
        "BatchWriteItem" => call(body, |r| db.batch_write_item(r)),
        "TransactWriteItems" => call(body, |r| db.transact_write_items(r)),
        "TransactGetItems" => call(body, |r| db.transact_get_items(r)),
        "TagResource" => call(body, |r| db.tag_resource(r)),
        "UntagResource" => call(body, |r| db.untag_resource(r)),
        "ListTagsOfResource" => call(body, |r| db.list_tags_of_resource(r)),
        "ListStreams" => call(body, |r| db.list_streams(r)),
        "DescribeStream" => call(body, |r| db.describe_stream(r)),
        "GetShardIterator" => call(body, |r| db.get_shard_iterator(r)),
        "GetRecords" => call(body, |r| db.get_records(r)),
        _ => Err(DynoxideError::ValidationException(format!(
            "devcloud does not offer the DynamoDB operation {operation}"
        ))),
    }
}

fn call<Q, A>(
    body: &[u8],
    operation: impl FnOnce(Q) -> Result<A, DynoxideError>,
) -> Result<String, DynoxideError>
where
    Q: DeserializeOwned,
    A: Serialize,
{
    let request = serde_json::from_slice(body).map_err(|e| unreadable(&e.to_string()))?;
    let answer = operation(request).map_err(untagged)?;
    serde_json::to_string(&answer).map_err(|e| DynoxideError::InternalServerError(e.to_string()))
}

/// dynoxide's readers mark in the text which error a fault stands for; the mark must not be seen.
fn unreadable(message: &str) -> DynoxideError {
    for mark in ["VALIDATION_REQUEST:", "VALIDATION_AS_READ:", "VALIDATION:"] {
        if let Some(rest) = message.strip_prefix(mark) {
            return DynoxideError::ValidationException(unplaced(rest));
        }
    }
    for mark in ["SERIALIZATION_AS_READ:", "SERIALIZATION:"] {
        if let Some(rest) = message.strip_prefix(mark) {
            return DynoxideError::SerializationException(unplaced(rest));
        }
    }
    if message.contains("missing field") || message.contains("unknown variant") {
        return DynoxideError::ValidationException(unplaced(message));
    }
    DynoxideError::SerializationException(unplaced(message))
}

/// The message without the parser's " at line 1 column 7".
fn unplaced(message: &str) -> String {
    let end = message.rfind(" at line ").unwrap_or(message.len());
    message[..end].to_owned()
}

fn untagged(error: DynoxideError) -> DynoxideError {
    match error {
        DynoxideError::EnvelopedValidation(m) => DynoxideError::ValidationException(m),
        other => other,
    }
}
