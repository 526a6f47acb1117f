//! The HTTP client that the SDK is given: passes a call on, counts it, or fails it. Knows the
//! three protocols' names and errors.

use std::sync::Arc;

use aws_sdk_dynamodb::config::SharedHttpClient;
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use serde_json::{Value, json};

use super::cost::Units;
use super::faults::Fault;
use super::{InFlight, Inner, locked, stale};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Table,
    Queue,
    Object,
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Op {
    pub(super) service: Service,
    pub(super) name: String,
    /// Whether it reads an index.
    pub(super) index: bool,
}

impl Op {
    fn of(request: &HttpRequest, body: &Value) -> Self {
        match request.headers().get("x-amz-target").and_then(|target| target.split_once('.')) {
            Some((service, name)) => Self {
                service: if service.starts_with("DynamoDB") {
                    Service::Table
                } else {
                    Service::Queue
                },
                name: name.to_owned(),
                index: body["IndexName"].is_string(),
            },
            None => {
                let name = match request.method() {
                    "PUT" if request.headers().contains_key("x-amz-copy-source") => "CopyObject",
                    "PUT" => "PutObject",
                    "GET" => "GetObject",
                    "HEAD" => "HeadObject",
                    "DELETE" => "DeleteObject",
                    _ => "PostObject",
                };
                Self { service: Service::Object, name: name.to_owned(), index: false }
            }
        }
    }

    pub(super) fn writes(&self) -> bool {
        matches!(self.name.as_str(), "PutItem" | "UpdateItem" | "DeleteItem" | "TransactWriteItems")
    }
}

struct Client {
    seam: Arc<Inner>,
    plain: SharedHttpClient,
}

struct Connector {
    seam: Arc<Inner>,
    plain: SharedHttpConnector,
}

pub(super) fn wrap(seam: Arc<Inner>, plain: SharedHttpClient) -> SharedHttpClient {
    SharedHttpClient::new(Client { seam, plain })
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SeamClient")
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SeamConnector")
    }
}

impl HttpClient for Client {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Connector {
            seam: self.seam.clone(),
            plain: self.plain.http_connector(settings, components),
        })
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (seam, plain) = (self.seam.clone(), self.plain.clone());
        HttpConnectorFuture::new(async move { pass(&seam, &plain, request).await })
    }
}

async fn pass(
    seam: &Inner,
    plain: &SharedHttpConnector,
    request: HttpRequest,
) -> Result<HttpResponse, ConnectorError> {
    let body: Value = request
        .body()
        .bytes()
        .and_then(|bytes| serde_json::from_slice(bytes).ok())
        .unwrap_or_default();
    let op = Op::of(&request, &body);
    let (_in_flight, label, step) = InFlight::enter(op.service == Service::Table);
    locked(&seam.costs).step(label, step);
    if op.service == Service::Table && !seam.pause.is_zero() {
        tokio::time::sleep(seam.pause).await;
    }
    let fault = seam.plan(&op);
    if fault == Some(Fault::Sleep) {
        seam.sleep().await;
    }
    let answered = match fault {
        Some(Fault::ErrorBefore) => Err(ConnectorError::io("injected: connection reset".into())),
        Some(Fault::DieBefore) => return seam.die().await,
        Some(Fault::Throttle) => Ok(throttled(&op)),
        Some(Fault::Conflict) => Ok(conflicted(&op, &body)),
        Some(Fault::Duplicate) => {
            let again = request.try_clone();
            let first = send(seam, plain, request, &op, &body).await;
            if let Some(again) = again {
                drop(plain.call(again).await);
            }
            first
        }
        _ => send(seam, plain, request, &op, &body).await,
    };
    if fault == Some(Fault::DieAfter) {
        return seam.die().await;
    }
    let (answered, units) = read(answered, &op, &body, |answer| {
        if fault == Some(Fault::StaleIndex)
            && let Some(lag) = seam.lag()
        {
            locked(&seam.journal).undo(lag, &body, answer);
            return true;
        }
        false
    })
    .await;
    let lost = fault == Some(Fault::TimeoutAfterCommit);
    let failed = lost || !answered.as_ref().is_ok_and(|answer| answer.status().is_success());
    locked(&seam.costs).add(label, &op, failed, units);
    if lost {
        return Err(ConnectorError::timeout("injected: the answer was lost".into()));
    }
    answered
}

/// Sends it, and notes which index rows it moved while index reads may lag.
async fn send(
    seam: &Inner,
    plain: &SharedHttpConnector,
    request: HttpRequest,
    op: &Op,
    body: &Value,
) -> Result<HttpResponse, ConnectorError> {
    let observer = seam.observer.get().filter(|_| op.writes() && seam.lag().is_some());
    let Some(observer) = observer.filter(|_| op.service == Service::Table) else {
        return plain.call(request).await;
    };
    let touched = stale::touched(body);
    let unknown = locked(&seam.journal).unknown(&touched);
    let before = observer.rows(unknown).await;
    locked(&seam.journal).know(before);
    let answered = plain.call(request).await;
    if answered.as_ref().is_ok_and(|answer| answer.status().is_success()) {
        let after = observer.rows(stale::Journal::unclear(&touched)).await;
        locked(&seam.journal).note(touched, after);
    }
    answered
}

/// Reads the units out of a table's answer and lets `change` alter it.
async fn read(
    answered: Result<HttpResponse, ConnectorError>,
    op: &Op,
    body: &Value,
    change: impl FnOnce(&mut Value) -> bool,
) -> (Result<HttpResponse, ConnectorError>, Units) {
    let mut response = match answered {
        Ok(response) if op.service == Service::Table => response,
        other => return (other, Units::default()),
    };
    let bytes = match ByteStream::new(response.take_body()).collect().await {
        Ok(bytes) => bytes.into_bytes(),
        Err(cause) => return (Err(ConnectorError::io(cause.into())), Units::default()),
    };
    let mut answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let units = Units::of(op, body, &answer, response.status().is_success());
    let changed = response.status().is_success() && change(&mut answer);
    *response.body_mut() = if changed {
        let text = answer.to_string();
        response.headers_mut().remove("x-amz-crc32");
        response.headers_mut().insert("content-length", text.len().to_string());
        SdkBody::from(text)
    } else {
        SdkBody::from(bytes)
    };
    (Ok(response), units)
}

fn throttled(op: &Op) -> HttpResponse {
    match op.service {
        Service::Table => json_error(
            json!({"__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
                   "message": "injected"}),
        ),
        Service::Queue => json_error(json!({"__type": "com.amazonaws.sqs#RequestThrottled",
                   "message": "injected"})),
        Service::Object => response(
            503,
            "application/xml",
            "<Error><Code>SlowDown</Code><Message>injected</Message></Error>".to_owned(),
        ),
    }
}

fn conflicted(op: &Op, body: &Value) -> HttpResponse {
    const PREFIX: &str = "com.amazonaws.dynamodb.v20120810#";
    if op.name != "TransactWriteItems" {
        return json_error(json!({"__type": format!("{PREFIX}TransactionConflictException"),
            "message": "injected"}));
    }
    let legs = body["TransactItems"].as_array().map_or(1, Vec::len);
    let mut reasons = vec![json!({"Code": "None"}); legs];
    if let Some(first) = reasons.first_mut() {
        *first = json!({"Code": "TransactionConflict", "Message": "injected"});
    }
    json_error(json!({"__type": format!("{PREFIX}TransactionCanceledException"),
        "Message": "injected [TransactionConflict]", "CancellationReasons": reasons}))
}

fn json_error(body: Value) -> HttpResponse {
    response(400, "application/x-amz-json-1.0", body.to_string())
}

fn response(status: u16, content_type: &'static str, body: String) -> HttpResponse {
    let status = status.try_into().expect("400 and 503, the only callers' codes, are valid");
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    response.headers_mut().insert("content-type", content_type);
    response
}
