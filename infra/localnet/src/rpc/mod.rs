//! JSON-RPC over HTTP: envelopes, batches, limits, and which method is which. Knows nothing of
//! what a method does.

mod accounts;
mod cluster;
mod error;
mod history;
mod params;
mod send;
mod simulate;
mod tests_only;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use tower_http::{
    cors::{Any, CorsLayer},
    timeout::TimeoutLayer,
};

pub(crate) use self::{cluster::context, error::RpcError, params::Params};
use crate::node::{Node, View};

/// A request, or a whole batch.
const BODY_BYTES_MAX: usize = 256 * 1024;
const BATCH_MAX: usize = 100;
const TIMEOUT: Duration = Duration::from_secs(30);

/// A method call: on which node, and through which eyes.
pub(crate) struct Call {
    pub(crate) node: Arc<Node>,
    pub(crate) view: View,
    /// Asked by a page in a browser.
    from_page: bool,
}

type Answer = Result<Value, RpcError>;

/// The routes of one port.
pub(crate) fn router(node: Arc<Node>, view: View) -> Router {
    let cors = CorsLayer::new().allow_origin(Any).allow_methods(Any).allow_headers(Any);
    Router::new()
        .route("/", post(answer))
        .route("/health", get(|| async { "ok" }))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, TIMEOUT))
        .layer(cors)
        .with_state((node, view))
}

async fn answer(
    State((node, view)): State<(Arc<Node>, View)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let from_page = headers.contains_key(header::ORIGIN);
    let call = Call { node: node.clone(), view, from_page };
    // The chain is one value behind one lock: waiting for it must not hold up the sockets.
    let _turn = match node.turns().acquire().await {
        Ok(turn) => turn,
        Err(_) => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
    };
    let reply = tokio::task::spawn_blocking(move || reply(&call, &body)).await;
    match reply {
        Ok(Some(reply)) => {
            ([(header::CONTENT_TYPE, "application/json")], reply.to_string()).into_response()
        }
        Ok(None) => StatusCode::NO_CONTENT.into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn reply(call: &Call, body: &[u8]) -> Option<Value> {
    let failed = |error: RpcError| Some(envelope(Value::Null, Err(error)));
    match serde_json::from_slice(body) {
        Ok(Value::Array(batch)) if batch.is_empty() || batch.len() > BATCH_MAX => {
            failed(RpcError::request(format!("a batch has 1 to {BATCH_MAX} requests")))
        }
        Ok(Value::Array(batch)) => {
            let replies: Vec<_> =
                batch.into_iter().filter_map(|request| reply_one(call, request)).collect();
            (!replies.is_empty()).then_some(Value::Array(replies))
        }
        Ok(request) => reply_one(call, request),
        Err(_) => failed(RpcError::parse()),
    }
}

/// `None` for a notification.
fn reply_one(call: &Call, request: Value) -> Option<Value> {
    let Value::Object(mut request) = request else {
        return Some(envelope(Value::Null, Err(RpcError::request("Invalid request"))));
    };
    let id = request.remove("id");
    let answer = match (request.remove("jsonrpc"), request.remove("method")) {
        (Some(Value::String(version)), Some(Value::String(method))) if version == "2.0" => {
            Params::new(request.remove("params"))
                .and_then(|params| dispatch(call, &method, &params))
        }
        _ => Err(RpcError::request("Invalid request")),
    };
    id.map(|id| envelope(id, answer))
}

pub(crate) fn envelope(id: Value, answer: Answer) -> Value {
    match answer {
        Ok(result) => json!({"jsonrpc": "2.0", "result": result, "id": id}),
        Err(error) => json!({"jsonrpc": "2.0", "error": error, "id": id}),
    }
}

fn dispatch(call: &Call, method: &str, params: &Params) -> Answer {
    match method {
        "getHealth" => cluster::health(call, params),
        "getVersion" => cluster::version(call, params),
        "getGenesisHash" => cluster::genesis_hash(call, params),
        "getSlot" => cluster::slot(call, params),
        "getBlockHeight" => cluster::block_height(call, params),
        "getBlockTime" => cluster::block_time(call, params),
        "getEpochInfo" => cluster::epoch_info(call, params),
        "getFirstAvailableBlock" | "minimumLedgerSlot" => cluster::first_block(call, params),
        "getTransactionCount" => cluster::transaction_count(call, params),
        "getLatestBlockhash" => cluster::latest_blockhash(call, params),
        "isBlockhashValid" => cluster::is_blockhash_valid(call, params),
        "getRecentPrioritizationFees" => cluster::prioritization_fees(call, params),
        "getMinimumBalanceForRentExemption" => accounts::minimum_balance(call, params),
        "getBalance" => accounts::balance(call, params),
        "getAccountInfo" => accounts::account_info(call, params),
        "getMultipleAccounts" => accounts::multiple(call, params),
        "getTokenAccountBalance" => accounts::token_balance(call, params),
        "getFeeForMessage" => simulate::fee_for_message(call, params),
        "simulateTransaction" => simulate::simulate_transaction(call, params),
        "sendTransaction" => send::send_transaction(call, params),
        "requestAirdrop" => send::request_airdrop(call, params),
        "getSignatureStatuses" => history::signature_statuses(call, params),
        "getTransaction" => history::transaction(call, params),
        "getSignaturesForAddress" => history::signatures_for_address(call, params),
        _ if method.starts_with("localnet") && !call.from_page => {
            tests_only::dispatch(call, method, params)
        }
        _ => Err(RpcError::method(method)),
    }
}
