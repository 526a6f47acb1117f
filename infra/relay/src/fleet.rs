//! The creator's dialect: one actor per socket of a registered node. Knows when it lives; what is said of jobs
//! is `tasks`.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use framefair_app::delivery::{self, Session};
use framefair_app::fleet;
use framefair_app::{Call, Refusal};
use framefair_creator::Creator;
use framefair_domain::id::ProviderId;
use framefair_http::{Bearer, Refused};
use framefair_wire::close;
use framefair_wire::fleet::{Empty, FRAME_BYTES_MAX, FromNode, MALFORMED_MAX, ToNode};
use futures::StreamExt;
use futures::channel::mpsc;
use serde::Deserialize;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite;

use crate::Relay;
use crate::connection::{
    GONE, Goodbye, READ_BUFFER_BYTES, REPLACED, RESTARTING, SEND_WITHIN, UNREADY, Upgrade, goodbye,
    jittered, part,
};
use crate::relay::Order;
use crate::tasks::Tasks;

/// Three pings without an answer.
const PINGS_UNANSWERED: u32 = 3;
const STRANGER: Goodbye = (close::UNAUTHORIZED, "Authentication failed");
const SILENT: Goodbye = (close::SILENT, "Heartbeat timeout");
const TOO_LONG: Goodbye = (close::TOO_LONG, "a frame was too long");
const MALFORMED: Goodbye = (close::POLICY, "too many frames that nobody can read");

/// How a node shows who it is, where it cannot set headers.
#[derive(Deserialize)]
pub(crate) struct Shown {
    token: Option<String>,
}

pub(crate) async fn upgrade(
    State(relay): State<Arc<Relay>>,
    Path(node): Path<String>,
    Query(shown): Query<Shown>,
    Bearer(header): Bearer,
    upgrade: Upgrade,
) -> Response {
    let Ok(upgrade) = upgrade else {
        return Refused::<Creator>::new(Refusal::NoUpgrade).into_response();
    };
    let token = header.or(shown.token);
    upgrade
        .max_message_size(FRAME_BYTES_MAX)
        .max_frame_size(FRAME_BYTES_MAX)
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .on_upgrade(move |mut socket| async move {
            serve(&relay, &node, token.as_deref(), &mut socket).await;
        })
}

async fn serve(relay: &Relay, node: &str, token: Option<&str>, socket: &mut WebSocket) {
    let session = match Box::pin(authenticate(relay, node, token)).await {
        Ok(session) => session,
        Err(why) => return Box::pin(goodbye(socket, why)).await,
    };
    tracing::info!(node = %session.node, fence = session.fence, "A registered node connected");
    let orders = relay.stand(session);
    let mut heard = Instant::now();
    let why = converse(relay, session, socket, orders, &mut heard).await;
    relay.leave(session);
    Box::pin(goodbye(socket, why)).await;
    if why.0 != close::RESTARTING {
        Box::pin(part(relay, session, heard.elapsed())).await;
    }
    tracing::info!(node = %session.node, fence = session.fence, code = why.0, "It is gone");
}

async fn authenticate(relay: &Relay, node: &str, token: Option<&str>) -> Result<Session, Goodbye> {
    let (ctx, call) = (&relay.ctx, Call::live());
    let member = fleet::authenticate(ctx, &call, token).map_err(turned_away)?;
    let node: ProviderId = node.parse().map_err(|_| STRANGER)?;
    if member.id != node {
        return Err(STRANGER);
    }
    let _turn = relay.entering.acquire().await.map_err(|_| UNREADY)?;
    let place = delivery::Connection { relay: relay.slot, boot: relay.boot.clone() };
    Box::pin(fleet::connect(ctx, &call, member, place)).await.map_err(turned_away)
}

/// Who can tell says stranger; who cannot tell asks to come again.
fn turned_away(refusal: Refusal) -> Goodbye {
    if let Refusal::Unauthenticated(_) = refusal {
        return STRANGER;
    }
    tracing::warn!(%refusal, "A socket could not be let in");
    UNREADY
}

async fn converse(
    relay: &Relay,
    session: Session,
    socket: &mut WebSocket,
    mut orders: mpsc::Receiver<Order>,
    heard: &mut Instant,
) -> Goodbye {
    let every = Duration::from_millis(relay.ctx.platform.ping_every_ms);
    let mut malformed = 0;
    let mut ping = *heard + jittered(every);
    let mut tasks = Tasks::new(&relay.ctx, session);
    // What it holds from before is sent to it again.
    let mut answers = Box::pin(tasks.held()).await;
    loop {
        for frame in answers.drain(..) {
            if Box::pin(send(socket, &frame)).await.is_err() {
                return GONE;
            }
        }
        let silent = *heard + every * PINGS_UNANSWERED;
        tokio::select! {
            biased;
            () = relay.closing.cancelled() => return RESTARTING,
            order = orders.next() => match order {
                Some(Order::Look(job)) => answers = Box::pin(tasks.look(job)).await,
                Some(Order::Replaced) => return REPLACED,
                None => return GONE,
            },
            frame = socket.recv() => {
                let frame = match frame {
                    Some(Ok(frame)) => frame,
                    Some(Err(error)) if is_too_long(&error) => {
                        Box::pin(tasks.said_too_much()).await;
                        return TOO_LONG;
                    }
                    // A line that breaks is no sign of life.
                    Some(Err(_)) | None => return GONE,
                };
                *heard = Instant::now();
                let said = match frame {
                    Message::Text(text) => serde_json::from_str::<FromNode>(&text).ok(),
                    Message::Binary(_) => None,
                    Message::Ping(_) | Message::Pong(_) => Some(FromNode::HeartbeatPong),
                    Message::Close(_) => return GONE,
                };
                match said {
                    Some(said) => answers = Box::pin(tasks.take(said)).await,
                    None => malformed += 1,
                }
                if malformed >= MALFORMED_MAX {
                    return MALFORMED;
                }
            }
            () = sleep_until(silent) => return SILENT,
            () = sleep_until(ping) => {
                ping = Instant::now() + every;
                if Box::pin(ask(socket)).await.is_err() {
                    return GONE;
                }
            }
        }
    }
}

/// Nothing that was said of it is left to be read.
fn is_too_long(error: &axum::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref());
    matches!(cause, Some(tungstenite::Error::Capacity(_)))
}

/// Asks in the dialect's words and in the protocol's: some nodes know only one of them.
async fn ask(socket: &mut WebSocket) -> Result<(), ()> {
    send(socket, &ToNode::HeartbeatPing { payload: Empty {} }).await?;
    hand(socket, Message::Ping(Default::default())).await
}

async fn send(socket: &mut WebSocket, frame: &ToNode) -> Result<(), ()> {
    let text = serde_json::to_string(frame).map_err(|_| ())?;
    hand(socket, Message::Text(text.into())).await
}

async fn hand(socket: &mut WebSocket, message: Message) -> Result<(), ()> {
    timeout(SEND_WITHIN, socket.send(message)).await.map_err(|_| ())?.map_err(|_| ())
}
