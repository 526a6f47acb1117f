//! One actor per socket: it authenticates, then passes frames between the node and the table.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::{IntoResponse, Response};
use framefair_app::delivery::{self, Connected, Session};
use framefair_app::{Call, Hint, Queue, Refusal};
use framefair_domain::time::Timestamp;
use framefair_http::Refused;
use framefair_market::Market;
use framefair_wire::close;
use framefair_wire::market::{
    AUTH_WITHIN_MS, FRAME_BYTES_MAX, FromProvider, SILENCE_MAX_MS, ToProvider,
};
use futures::StreamExt;
use futures::channel::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use crate::Relay;
use crate::attempts::Attempts;
use crate::relay::Order;

/// Most frames are shorter, and a longer one gets what it needs: ten thousand idle sockets cost forty
/// megabytes at most (the test `sockets`).
pub(crate) const READ_BUFFER_BYTES: usize = 512;
/// Work that was not accepted is sent again.
const RESEND_EVERY: Duration = Duration::from_secs(10);
/// One frame must leave within this time, or the peer is taken for gone.
pub(crate) const SEND_WITHIN: Duration = Duration::from_secs(20);

/// Why a connection ends, as the peer is told.
pub(crate) type Goodbye = (u16, &'static str);

const SILENT: Goodbye = (close::SILENT, "nothing was heard for 90 seconds");
const UNAUTHORIZED: Goodbye = (close::UNAUTHORIZED, "unauthorized");
pub(crate) const UNREADY: Goodbye = (close::UNREADY, "busy, try again in a moment");
pub(crate) const GONE: Goodbye = (1000, "");
pub(crate) const REPLACED: Goodbye = (close::REPLACED, "a newer connection of this node took over");
/// Nobody is waited for longer than this.
const GOODBYE_WITHIN: Duration = Duration::from_secs(2);
pub(crate) const RESTARTING: Goodbye = (close::RESTARTING, "the hub restarts");

/// Whoever asks for such a path without wanting a socket is told so.
pub(crate) type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

pub(crate) async fn upgrade(State(relay): State<Arc<Relay>>, upgrade: Upgrade) -> Response {
    let Ok(upgrade) = upgrade else {
        return Refused::<Market>::new(Refusal::NoUpgrade).into_response();
    };
    upgrade
        .max_message_size(FRAME_BYTES_MAX)
        .max_frame_size(FRAME_BYTES_MAX)
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        // A socket that a future is given, and not lent, has room in it twice.
        .on_upgrade(move |mut socket| async move { serve(&relay, &mut socket).await })
}

async fn serve(relay: &Relay, socket: &mut WebSocket) {
    // What runs seldom and needs room gets it from the heap, for as long as it runs.
    let connected = match Box::pin(authenticate(relay, socket)).await {
        Ok(connected) => connected,
        Err(why) => {
            let error = if why == UNREADY { why.1 } else { "Unauthorized" };
            let error = ToProvider::Error { error: error.into() };
            let _ = Box::pin(send(socket, &error)).await;
            return Box::pin(goodbye(socket, why)).await;
        }
    };
    let session = connected.session;
    tracing::info!(node = %session.node, fence = session.fence, "A node connected");
    let orders = relay.stand(session);
    let mut times = Times::new(Duration::from_millis(relay.ctx.platform.ping_every_ms));
    let why = converse(relay, connected, socket, orders, &mut times).await;
    relay.leave(session);
    Box::pin(goodbye(socket, why)).await;
    // Where the relay itself goes away, the rows keep its name: that tells its nodes' absence from
    // one of their own.
    if why.0 != close::RESTARTING {
        Box::pin(part(relay, session, times.heard.elapsed())).await;
    }
    tracing::info!(node = %session.node, fence = session.fence, code = why.0, "A node is gone");
}

async fn authenticate(relay: &Relay, socket: &mut WebSocket) -> Result<Connected, Goodbye> {
    let first = timeout(Duration::from_millis(AUTH_WITHIN_MS), socket.recv()).await;
    let Ok(Some(Ok(Message::Text(text)))) = first else { return Err(UNAUTHORIZED) };
    let Ok(FromProvider::Auth { provider_id, timestamp, signature }) = serde_json::from_str(&text)
    else {
        return Err(UNAUTHORIZED);
    };
    let _turn = relay.entering.acquire().await.map_err(|_| UNREADY)?;
    let place = delivery::Connection { relay: relay.slot, boot: relay.boot.clone() };
    let timestamp = Timestamp(timestamp);
    let call = Call::live();
    let connecting =
        delivery::connect(&relay.ctx, &call, provider_id, timestamp, &signature, place);
    match Box::pin(connecting).await {
        Ok(connected) => match send(socket, &ToProvider::Authenticated).await {
            Ok(()) => Ok(connected),
            Err(()) => {
                part(relay, connected.session, Duration::ZERO).await;
                Err(GONE)
            }
        },
        Err(refusal @ (Refusal::Busy | Refusal::Broken(_))) => {
            tracing::warn!(provider = %provider_id, %refusal, "A socket could not be let in");
            Err(UNREADY)
        }
        Err(refusal) => {
            tracing::info!(provider = %provider_id, %refusal, "A socket did not authenticate");
            Err(UNAUTHORIZED)
        }
    }
}

async fn converse(
    relay: &Relay,
    connected: Connected,
    socket: &mut WebSocket,
    mut orders: mpsc::Receiver<Order>,
    times: &mut Times,
) -> Goodbye {
    let mut attempts = Attempts::new(&relay.ctx, connected);
    loop {
        let (at, due) = times.next();
        let answers = tokio::select! {
            biased;
            () = relay.closing.cancelled() => return RESTARTING,
            order = orders.next() => match order {
                Some(Order::Look(job)) => Box::pin(attempts.look(job)).await,
                Some(Order::Replaced) => {
                    return REPLACED;
                }
                None => return GONE,
            },
            frame = socket.recv() => {
                // A line that breaks is no sign of life.
                let Some(Ok(frame)) = frame else { return GONE };
                times.heard = Instant::now();
                match frame {
                    Message::Text(text) => match serde_json::from_str(&text) {
                        Ok(frame) => Box::pin(attempts.take(frame)).await,
                        Err(_) => return (close::MISBEHAVED, "a frame was not of this protocol"),
                    },
                    Message::Binary(_) => {
                        return (close::MISBEHAVED, "this protocol has no binary frames");
                    }
                    Message::Ping(_) | Message::Pong(_) => Vec::new(),
                    Message::Close(_) => return GONE,
                }
            }
            () = sleep_until(at) => match due {
                Due::Silence => return SILENT,
                Due::Ping => {
                    times.ping = Instant::now() + times.ping_every;
                    let ping = socket.send(Message::Ping(Default::default()));
                    if Box::pin(ping).await.is_err() {
                        return GONE;
                    }
                    Vec::new()
                }
                Due::Resend => {
                    times.resend = Instant::now() + RESEND_EVERY;
                    attempts.unaccepted()
                }
            },
        };
        for answer in &answers {
            if Box::pin(send(socket, answer)).await.is_err() {
                return GONE;
            }
        }
    }
}

/// What a connection does by the clock. One timer serves all of it, whichever comes first.
struct Times {
    heard: Instant,
    ping: Instant,
    /// So that a dead network shows.
    ping_every: Duration,
    resend: Instant,
}

#[derive(Clone, Copy)]
enum Due {
    Silence,
    Ping,
    Resend,
}

impl Times {
    fn new(ping_every: Duration) -> Times {
        let now = Instant::now();
        let ping = now + jittered(ping_every);
        Times { heard: now, ping, ping_every, resend: now + RESEND_EVERY }
    }

    fn next(&self) -> (Instant, Due) {
        let silence = self.heard + Duration::from_millis(SILENCE_MAX_MS);
        let all = [(silence, Due::Silence), (self.ping, Due::Ping), (self.resend, Due::Resend)];
        all.into_iter().min_by_key(|(at, _)| *at).unwrap_or(all[0])
    }
}

/// The node's row says that the socket is gone, after a silence; its tasks are looked after once the time in
/// which it may come back is over.
pub(crate) async fn part(relay: &Relay, session: Session, silence: Duration) {
    let call = Call::live();
    let heard = call.now.plus_ms(-i64::try_from(silence.as_millis()).unwrap_or(0));
    match delivery::disconnect(&relay.ctx, &call, session, heard).await {
        Ok(Some(node)) => {
            let grace = relay.ctx.platform.reconnect_grace_ms;
            let grace_s = u32::try_from(grace / 1_000 + 1).unwrap_or(u32::MAX);
            for job in node.leases.keys().filter_map(|job| job.parse().ok()) {
                relay.ctx.hint(Queue::Dispatch, &Hint::about(job), grace_s).await;
            }
        }
        Ok(None) => {}
        Err(refusal) => tracing::warn!(%refusal, "A disconnection was not recorded"),
    }
}

async fn send(socket: &mut WebSocket, frame: &ToProvider) -> Result<(), ()> {
    let text = serde_json::to_string(frame).map_err(|_| ())?;
    let sent = timeout(SEND_WITHIN, socket.send(Message::Text(text.into()))).await;
    sent.map_err(|_| ())?.map_err(|_| ())
}

/// Ends the conversation as the protocol has it: a close of the other side is answered, and one of ours waits
/// for its answer. Who goes on talking is not heard any more.
pub(crate) async fn goodbye(socket: &mut WebSocket, (code, reason): Goodbye) {
    let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
    let ends = async {
        // Where the other side closed first, its answer goes out with the next look at the socket.
        let _ = socket.send(close).await;
        while let Some(Ok(_)) = socket.recv().await {}
    };
    drop(timeout(GOODBYE_WITHIN, ends).await);
}

/// Spreads what would otherwise happen to all sockets at once.
pub(crate) fn jittered(period: Duration) -> Duration {
    let lot = u32::try_from(Call::live().lot() % 1_000).unwrap_or(0);
    period * lot / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How large a future is that `make` would return.
    fn size<A, B, F>(_: impl Fn(A, B) -> F) -> usize {
        size_of::<F>()
    }

    fn serving(relay: &'static Relay, socket: &'static mut WebSocket) -> impl Future {
        serve(relay, socket)
    }

    #[test]
    fn an_idle_socket_holds_little_more_than_its_state() {
        let bytes = size_of::<WebSocket>() + size(serving);
        assert!(bytes <= 1_152, "{bytes} bytes for each socket");
    }
}
