//! The one port: tells the three protocols apart by header, and answers browsers' preflights.
//! Knows no bucket, table or queue.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use axum::body::{Body, BodyDataStream, HttpBody};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use http_body_util::{BodyExt, Limited};
use s3s::service::S3Service;

use crate::{dynamo, sigv4, sqs};

/// DynamoDB's own limit.
const DYNAMO_BODY_MAX: usize = 16 * 1024 * 1024;
/// A batch of 1 MiB, whose JSON may escape every byte.
const SQS_BODY_MAX: usize = 8 * 1024 * 1024;
/// How much of a refused upload is read, so that the client gets to see why.
const DRAIN_BYTES_MAX: usize = 64 * 1024 * 1024;
const DRAIN_TIME_MAX: Duration = Duration::from_secs(2);

/// How often each operation of DynamoDB and SQS was asked for under a good signature.
pub(crate) type Calls = Arc<Mutex<BTreeMap<String, u64>>>;

pub(crate) struct Front {
    pub(crate) calls: Calls,
    pub(crate) keys: sigv4::Keys,
    pub(crate) s3: S3Service,
    pub(crate) dynamo: dynamo::Dynamo,
    pub(crate) sqs: sqs::Sqs,
}

impl Front {
    fn count(&self, operation: &str) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        match calls.get_mut(operation) {
            Some(count) => *count += 1,
            None => drop(calls.insert(operation.to_owned(), 1)),
        }
    }
}

enum Protocol {
    Dynamo(String),
    Sqs(String),
    S3,
}

pub(crate) async fn answer(
    State(front): State<Arc<Front>>,
    request: Request<Body>,
) -> Response<Body> {
    if !is_local(request.headers()) {
        // A name that resolves to loopback is how a web page reaches what is not its own.
        return plain(StatusCode::FORBIDDEN, "devcloud answers to loopback names only\n");
    }
    match protocol(request.headers()) {
        Protocol::Dynamo(operation) => {
            let read = signed_body(&front.keys, request, DYNAMO_BODY_MAX).await;
            match read {
                Ok(body) => {
                    front.count(&operation);
                    front.dynamo.answer(operation, body).await
                }
                Err(refusal) => refusal,
            }
        }
        Protocol::Sqs(operation) => {
            let read = signed_body(&front.keys, request, SQS_BODY_MAX).await;
            match read {
                Ok(body) => {
                    front.count(&operation);
                    front.sqs.answer(&operation, &body).await
                }
                Err(refusal) => refusal,
            }
        }
        Protocol::S3 if request.method() == Method::OPTIONS => preflight(request.headers()),
        Protocol::S3 => {
            let mut answer = s3_answer(&front, request).await;
            let headers = answer.headers_mut();
            headers.insert("access-control-allow-origin", HeaderValue::from_static("*"));
            headers.insert("access-control-expose-headers", HeaderValue::from_static(EXPOSED));
            answer
        }
    }
}

const EXPOSED: &str = "ETag, Content-Length, Content-Range, Content-Disposition, Accept-Ranges, \
                       x-amz-checksum-sha256, x-amz-request-id";

fn protocol(headers: &HeaderMap) -> Protocol {
    let target = headers.get("x-amz-target").and_then(|v| v.to_str().ok()).unwrap_or("");
    for prefix in ["DynamoDB_20120810.", "DynamoDBStreams_20120810."] {
        if let Some(operation) = target.strip_prefix(prefix) {
            return Protocol::Dynamo(operation.to_owned());
        }
    }
    match target.strip_prefix("AmazonSQS.") {
        Some(operation) => Protocol::Sqs(operation.to_owned()),
        None => Protocol::S3,
    }
}

fn is_local(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get("host").and_then(|v| v.to_str().ok()) else {
        return false;
    };
    if let Ok(addr) = host.parse::<std::net::SocketAddr>() {
        return addr.ip().is_loopback();
    }
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

async fn signed_body(
    keys: &sigv4::Keys,
    request: Request<Body>,
    bytes_max: usize,
) -> Result<Bytes, Response<Body>> {
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, bytes_max).collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(_) => {
            return Err(dynamo::refusal(
                "RequestEntityTooLargeException",
                "The request is too large or was cut off.",
                StatusCode::PAYLOAD_TOO_LARGE,
            ));
        }
    };
    match sigv4::check(keys, &parts, &body, SystemTime::now()) {
        Ok(()) => Ok(body),
        Err(refused) => {
            Err(dynamo::refusal(refused.code(), refused.message(), StatusCode::BAD_REQUEST))
        }
    }
}

/// Lets a page use presigned URLs. A page has no business with DynamoDB or SQS: no such target
/// header is allowed.
fn preflight(headers: &HeaderMap) -> Response<Body> {
    let wanted = headers.get("access-control-request-headers");
    let names_target = wanted
        .and_then(|v| v.to_str().ok())
        .is_some_and(|v| v.to_ascii_lowercase().contains("x-amz-target"));
    if !headers.contains_key("origin") || names_target {
        return plain(StatusCode::FORBIDDEN, "no such cross-origin request is allowed\n");
    }
    let mut answer = Response::new(Body::empty());
    let out = answer.headers_mut();
    out.insert("access-control-allow-origin", HeaderValue::from_static("*"));
    out.insert(
        "access-control-allow-methods",
        HeaderValue::from_static("GET, HEAD, PUT, POST, DELETE"),
    );
    out.insert("access-control-max-age", HeaderValue::from_static("3600"));
    out.insert("access-control-expose-headers", HeaderValue::from_static(EXPOSED));
    out.insert("vary", HeaderValue::from_static("Access-Control-Request-Headers"));
    if let Some(wanted) = wanted {
        out.insert("access-control-allow-headers", wanted.clone());
    }
    if headers.contains_key("access-control-request-private-network") {
        out.insert("access-control-allow-private-network", HeaderValue::from_static("true"));
    }
    answer
}

async fn s3_answer(front: &Front, request: Request<Body>) -> Response<Body> {
    let waits = request.headers().contains_key("expect");
    let (parts, body) = request.into_parts();
    let empty = body.size_hint().exact() == Some(0);
    let body = Arc::new(Mutex::new(body.into_data_stream()));
    let rest = Arc::clone(&body);
    // An empty body must say so: a signed GET carries the digest of nothing and no length.
    let body = if empty {
        s3s::Body::empty()
    } else {
        s3s::Body::http_body_unsync(Body::from_stream(shared(body)))
    };
    let answer = match front.s3.call(Request::from_parts(parts, body)).await {
        Ok(answer) => answer.map(Body::new),
        Err(error) => {
            tracing::error!(error = ?error, "S3 failed");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "")
        }
    };
    // A client that is still sending when the socket closes often never reads the refusal.
    if !answer.status().is_success() && !waits && !empty {
        let drained = tokio::time::timeout(DRAIN_TIME_MAX, async {
            let mut rest = std::pin::pin!(shared(rest));
            let mut bytes = 0;
            while let Some(Ok(chunk)) = rest.next().await {
                bytes += chunk.len();
                if bytes > DRAIN_BYTES_MAX {
                    break;
                }
            }
        });
        let _ = drained.await;
    }
    answer
}

/// A request body that outlives the handler that reads it.
fn shared(
    body: Arc<Mutex<BodyDataStream>>,
) -> impl Stream<Item = Result<Bytes, axum::Error>> + Send {
    futures::stream::poll_fn(move |cx| {
        body.lock().unwrap_or_else(PoisonError::into_inner).poll_next_unpin(cx)
    })
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut answer = Response::new(Body::from(text));
    *answer.status_mut() = status;
    answer
}
