//! Which sockets stand here, and how hints reach them. Knows no frame's meaning.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::routing::any;
use framefair_app::delivery::{self, Session};
use framefair_app::{Call, Ctx, Hint, Nudge, Queue, Refusal, Replaced};
use framefair_creator::Creator;
use framefair_domain::id::{JobId, ProviderId};
use framefair_http::rate::{Counters, limited};
use framefair_market::Market;
use framefair_outbound::Outbound;
use futures::channel::mpsc;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{connection, fleet, push};

/// A slot's lease is renewed this often; it lives three times as long.
const RENEW_EVERY: Duration = Duration::from_secs(10);
/// While every slot is taken, one is looked for this often.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
const DRAIN_LOOK: Duration = Duration::from_millis(50);
/// A socket that does not take its orders for this many is not read from any more.
const ORDERS_MAX: usize = 64;
/// So many sockets are let in at once. After an outage everybody comes back at once, and each takes
/// several calls to the table and the memory for them; the others wait their turn.
const ENTERING_MAX: usize = 64;

/// What the relay tells the actor of a connection.
#[derive(Debug)]
pub(crate) enum Order {
    /// Something about this job changed: look, and tell the node.
    Look(JobId),
    /// A newer connection of the same node stands.
    Replaced,
}

struct Standing {
    fence: u64,
    orders: mpsc::Sender<Order>,
}

/// One relay process in one slot.
pub struct Relay {
    pub(crate) ctx: Ctx,
    pub(crate) outbound: Outbound,
    pub(crate) slot: u8,
    /// Names this process; what an earlier one held is not ours.
    pub(crate) boot: String,
    pub(crate) closing: CancellationToken,
    pub(crate) entering: Semaphore,
    standing: Mutex<HashMap<ProviderId, Standing>>,
}

impl Relay {
    pub fn new(ctx: Ctx, outbound: Outbound, slot: u8, closing: CancellationToken) -> Arc<Relay> {
        let boot = uuid::Uuid::new_v4().to_string();
        let entering = Semaphore::new(ENTERING_MAX);
        Arc::new(Relay { ctx, outbound, slot, boot, closing, entering, standing: Mutex::default() })
    }

    /// Takes the first free one of `slots`, and waits while there is none, as during a deployment in
    /// which the new relays come before the old ones go. None when closing came first.
    pub async fn settle(
        ctx: Ctx,
        outbound: Outbound,
        slots: u8,
        closing: CancellationToken,
    ) -> Option<Arc<Relay>> {
        loop {
            for slot in 0..slots {
                let relay = Relay::new(ctx.clone(), outbound.clone(), slot, closing.clone());
                match relay.claim().await {
                    Ok(()) => return Some(relay),
                    Err(Refusal::Busy) => {}
                    Err(refusal) => tracing::error!(slot, %refusal, "A slot could not be claimed"),
                }
            }
            tracing::info!(slots, "No slot is free");
            closing.run_until_cancelled(tokio::time::sleep(LOOK_AGAIN)).await?;
        }
    }

    pub fn slot(&self) -> u8 {
        self.slot
    }

    /// Returns once no socket stands.
    pub async fn drained(&self) {
        while !self.standing().is_empty() {
            tokio::time::sleep(DRAIN_LOOK).await;
        }
    }

    /// The sockets' paths.
    pub fn router(self: &Arc<Relay>, counters: Option<&Arc<Counters>>) -> Router {
        let wallets = any(connection::upgrade);
        let wallets = Router::new().route("/ws", wallets.clone()).route("/hub/ws", wallets);
        let nodes = Router::new().route("/api/v1/relay/ws/{node_id}", any(fleet::upgrade));
        let (wallets, nodes) = (wallets.with_state(self.clone()), nodes.with_state(self.clone()));
        let Some(counters) = counters else { return wallets.merge(nodes) };
        let wallets = limited::<Market>(wallets, counters, framefair_market::SURFACE.rates);
        wallets.merge(limited::<Creator>(nodes, counters, framefair_creator::SURFACE.rates))
    }

    /// Claims the slot. Nodes may connect once this has returned.
    pub async fn claim(&self) -> Result<(), Refusal> {
        delivery::renew_relay(&self.ctx, &Call::live(), self.slot, &self.boot).await
    }

    /// Takes the slot whoever had it: where there is only one relay, its predecessor is dead.
    pub async fn take_over(&self) -> Result<(), Refusal> {
        delivery::take_relay(&self.ctx, &Call::live(), self.slot, &self.boot).await
    }

    /// Renews the slot and follows hints until closing. A slot that another relay took over is the
    /// end: hints go there now, so the nodes must follow.
    pub async fn run(self: Arc<Relay>) {
        let renewing = async {
            loop {
                tokio::time::sleep(RENEW_EVERY).await;
                self.ctx.metrics.sockets_stand(self.standing().len());
                match self.claim().await {
                    Ok(()) => {}
                    Err(Refusal::Busy) => {
                        tracing::error!(slot = self.slot, "Another relay has the slot");
                        return self.closing.cancel();
                    }
                    Err(refusal) => {
                        tracing::error!(slot = self.slot, %refusal, "The slot was not renewed");
                    }
                }
            }
        };
        tokio::select! {
            // Ends once the relay closes and no scene is on its way any more.
            () = push::follow(&self) => {}
            () = renewing => {}
            () = self.follow_hints() => {}
            () = push::probe(&self) => {}
        }
        let left = delivery::leave_relay(&self.ctx, &Call::live(), self.slot, &self.boot).await;
        if let Err(refusal) = left {
            tracing::warn!(slot = self.slot, %refusal, "The relay's slot runs out by itself");
        }
    }

    async fn follow_hints(&self) {
        let (queues, queue) = (self.ctx.store.queues(), Queue::Relay(self.slot));
        loop {
            let messages = match queues.receive(queue, 10, 20, 30).await {
                Ok(messages) => messages,
                Err(broken) => {
                    tracing::warn!(cause = broken.detail(), "Hints could not be received");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    continue;
                }
            };
            for message in messages {
                match serde_json::from_str(&message.body) {
                    Ok(Nudge::Look(hint)) => self.tell(&hint).await,
                    Ok(Nudge::Replaced(by)) => self.replace(by),
                    Err(_) => {}
                }
                if let Err(broken) = queues.delete(queue, &message.receipt).await {
                    tracing::warn!(cause = broken.detail(), "A hint will come twice");
                }
            }
        }
    }

    /// Has the actor of the hinted node look at the job, or the one of its lease's holder. A queue
    /// that is full belongs to a node that does not read; the sweeper hints again.
    async fn tell(&self, hint: &Hint) {
        let node = match hint.node {
            Some(node) => Some(node),
            None => match delivery::holder(&self.ctx, hint.job).await {
                Ok(holder) => holder,
                Err(refusal) => {
                    tracing::warn!(job = %hint.job, %refusal, "A hinted job could not be read");
                    return;
                }
            },
        };
        let sent = node.and_then(|node| {
            let mut standing = self.standing();
            standing.get_mut(&node).map(|known| known.orders.try_send(Order::Look(hint.job)))
        });
        if let Some(Err(error)) = sent {
            tracing::warn!(job = %hint.job, %error, "A node does not take its orders");
        }
    }

    /// Puts a connection in its place and tells the one it replaces.
    pub(crate) fn stand(&self, session: Session) -> mpsc::Receiver<Order> {
        let (orders, receiver) = mpsc::channel(ORDERS_MAX);
        let standing = Standing { fence: session.fence, orders };
        if let Some(mut older) = self.standing().insert(session.node, standing) {
            drop(older.orders.try_send(Order::Replaced));
        }
        receiver
    }

    /// Ends a connection that has an older fence than the one that stands elsewhere.
    fn replace(&self, by: Replaced) {
        let mut standing = self.standing();
        if let Some(older) = standing.get_mut(&by.node).filter(|known| known.fence < by.fence) {
            drop(older.orders.try_send(Order::Replaced));
        }
    }

    /// Removes a connection, unless a newer one stands in its place.
    pub(crate) fn leave(&self, session: Session) {
        let mut standing = self.standing();
        if standing.get(&session.node).is_some_and(|known| known.fence == session.fence) {
            standing.remove(&session.node);
        }
    }

    fn standing(&self) -> std::sync::MutexGuard<'_, HashMap<ProviderId, Standing>> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
