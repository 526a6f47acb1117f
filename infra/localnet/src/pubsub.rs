//! The WebSocket: `signatureSubscribe` and `slotSubscribe`, as stock clients use them to confirm.
//! One task per connection, which looks at the chain when it is told that something changed.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{
        State,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade},
    },
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::any,
};
use serde_json::{Value, json};
use solana_rpc_client_types::config::{CommitmentLevel, RpcSignatureSubscribeConfig};
use solana_sdk::signature::Signature;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use crate::{
    chain::{ChainError, FINALIZED_AFTER},
    node::Node,
    rpc::{Params, RpcError, context, envelope},
};

const CONNECTIONS_MAX: usize = 1_024;
const SUBSCRIPTIONS_MAX: usize = 1_024;
const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Slots told one by one after a leap; of a longer one only the last are told.
const SLOTS_TOLD_MAX: u64 = 64;
const PING_EVERY: Duration = Duration::from_secs(20);
/// Nothing heard for this long, not even a pong: the client is gone.
const SILENCE_MAX: Duration = Duration::from_secs(90);
const SEND_MAX: Duration = Duration::from_secs(10);
const GOING_AWAY: u16 = 1001;

#[derive(Clone)]
struct Pubsub {
    node: Arc<Node>,
    connections: Arc<Semaphore>,
}

pub(crate) fn router(node: Arc<Node>) -> Router {
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    Router::new().route("/", any(connect)).with_state(Pubsub { node, connections })
}

async fn connect(State(pubsub): State<Pubsub>, upgrade: WebSocketUpgrade) -> Response {
    let Ok(place) = pubsub.connections.try_acquire_owned() else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    upgrade
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX)
        .write_buffer_size(0)
        .on_upgrade(move |socket| serve(socket, pubsub.node, place))
}

#[derive(Debug, Clone, Copy)]
enum Subscription {
    Signature {
        signature: Signature,
        level: CommitmentLevel,
    },
    /// The last slot told.
    Slots(u64),
}

async fn serve(mut socket: WebSocket, node: Arc<Node>, _place: OwnedSemaphorePermit) {
    let mut session = Session { node, subscriptions: BTreeMap::new(), next: 0 };
    let mut changes = session.node.changes();
    let mut pings = interval(PING_EVERY);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = Instant::now();
    loop {
        let replies = tokio::select! {
            biased;
            changed = changes.changed() => {
                if changed.is_err() || session.node.turns().is_closed() {
                    let gone = CloseFrame { code: GOING_AWAY, reason: "the chain stops".into() };
                    // Nothing depends on a farewell that does not arrive.
                    let _ = timeout(SEND_MAX, socket.send(Message::Close(Some(gone)))).await;
                    return;
                }
                session.news().await
            }
            message = socket.recv() => {
                heard = Instant::now();
                match message {
                    Some(Ok(Message::Text(text))) => session.hear(text.as_bytes()).await,
                    Some(Ok(Message::Binary(bytes))) => session.hear(&bytes).await,
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => Vec::new(),
                    Some(Ok(Message::Close(_))) => {
                        // The answer goes out with the next look at the socket.
                        drop(timeout(SEND_MAX, socket.recv()).await);
                        return;
                    }
                    Some(Err(_)) | None => return,
                }
            }
            _ = pings.tick() => {
                let ping = socket.send(Message::Ping(Default::default()));
                if heard.elapsed() > SILENCE_MAX || !matches!(timeout(SEND_MAX, ping).await, Ok(Ok(()))) {
                    return;
                }
                Vec::new()
            }
        };
        for reply in replies {
            let sent = socket.send(Message::Text(reply.to_string().into()));
            if !matches!(timeout(SEND_MAX, sent).await, Ok(Ok(()))) {
                return;
            }
        }
    }
}

struct Session {
    node: Arc<Node>,
    subscriptions: BTreeMap<u64, Subscription>,
    next: u64,
}

impl Session {
    /// Answers a message, and tells at once what a new subscription already missed.
    async fn hear(&mut self, message: &[u8]) -> Vec<Value> {
        let Ok(Value::Object(mut request)) = serde_json::from_slice(message) else {
            return vec![envelope(Value::Null, Err(RpcError::parse()))];
        };
        // Clients keep the socket open by notifications without an id: they want no answer.
        let Some(id) = request.remove("id") else { return Vec::new() };
        let Some(Value::String(method)) = request.remove("method") else {
            return vec![envelope(id, Err(RpcError::request("Invalid request")))];
        };
        let answer =
            Params::new(request.remove("params")).and_then(|params| self.answer(&method, &params));
        let mut replies = vec![envelope(id, answer)];
        if method == "signatureSubscribe" {
            replies.extend(self.news().await);
        }
        replies
    }

    fn answer(&mut self, method: &str, params: &Params) -> Result<Value, RpcError> {
        let subscription = match method {
            "signatureSubscribe" => {
                params.at_most(2)?;
                let signature = params.signature(0)?;
                let config: RpcSignatureSubscribeConfig = params.optional(1)?.unwrap_or_default();
                let level = config.commitment.map_or(CommitmentLevel::Finalized, |c| c.commitment);
                Subscription::Signature { signature, level }
            }
            "slotSubscribe" => {
                params.at_most(0)?;
                Subscription::Slots(self.node.chain()?.tip())
            }
            "signatureUnsubscribe" | "slotUnsubscribe" => {
                params.at_most(1)?;
                let removed = self.subscriptions.remove(&params.required(0)?);
                return match removed {
                    Some(_) => Ok(json!(true)),
                    None => Err(RpcError::params("Invalid subscription id.")),
                };
            }
            _ => return Err(RpcError::method(method)),
        };
        if self.subscriptions.len() >= SUBSCRIPTIONS_MAX {
            return Err(RpcError::internal(format!("at most {SUBSCRIPTIONS_MAX} subscriptions")));
        }
        let number = self.next;
        self.next += 1;
        self.subscriptions.insert(number, subscription);
        Ok(json!(number))
    }

    /// What subscribers have not been told yet.
    async fn news(&mut self) -> Vec<Value> {
        if self.subscriptions.is_empty() {
            return Vec::new();
        }
        let node = self.node.clone();
        let watched = self.subscriptions.clone();
        // The chain may be busy with a transaction: the socket's thread does not wait for it.
        let looked = tokio::task::spawn_blocking(move || look(&node, watched)).await;
        let Ok(Ok((tip, replies, done))) = looked else { return Vec::new() };
        for number in done {
            self.subscriptions.remove(&number);
        }
        for subscription in self.subscriptions.values_mut() {
            if let Subscription::Slots(told) = subscription {
                *told = tip;
            }
        }
        replies
    }
}

/// The tip, what to say, and which subscriptions have said all they will.
fn look(
    node: &Node,
    watched: BTreeMap<u64, Subscription>,
) -> Result<(u64, Vec<Value>, Vec<u64>), ChainError> {
    let chain = node.chain()?;
    let tip = chain.tip();
    let mut replies = Vec::new();
    let mut done = Vec::new();
    for (number, subscription) in watched {
        match subscription {
            Subscription::Signature { signature, level } => {
                let slot = chain.slot_at(level, 0);
                if let Some(entry) = chain.ledger.find(&signature, slot) {
                    let value = json!({ "context": context(slot), "value": { "err": entry.err } });
                    replies.push(notification("signatureNotification", number, value));
                    done.push(number);
                }
            }
            Subscription::Slots(told) => {
                for slot in told.max(tip.saturating_sub(SLOTS_TOLD_MAX)) + 1..=tip {
                    let value = json!({
                        "slot": slot,
                        "parent": slot - 1,
                        "root": slot.saturating_sub(FINALIZED_AFTER),
                    });
                    replies.push(notification("slotNotification", number, value));
                }
            }
        }
    }
    Ok((tip, replies, done))
}

fn notification(method: &str, subscription: u64, result: Value) -> Value {
    json!({
        "jsonrpc": "2.0",
        "method": method,
        "params": { "result": result, "subscription": subscription },
    })
}
