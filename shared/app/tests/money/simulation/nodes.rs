//! Nodes behind one relay: most render, some fail, decline, lose their socket, or are never heard
//! of again. What they do under a lease is fated, so that a hint that comes twice changes nothing.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use framefair_app::delivery::{self, Connection, ProgressRow, Session};
use framefair_app::{Hint, Refusal, Report, verification};
use framefair_domain::id::{JobId, ProviderId};
use framefair_domain::money::LAMPORTS_PER_SOL;
use framefair_domain::signing;
use framefair_domain::wallet::Wallet;
use framefair_store::Queue;
use tokio::task::JoinSet;

use super::Sim;
use crate::world::{BASE, BOOT, Party, World};

const SLOTS: u32 = 40;
const TRIES: u32 = 12;
/// What the poor one asks: several of its jobs together open its wallet.
const LITTLE: u64 = 100_000;

pub(super) struct Node {
    pub(super) id: ProviderId,
    pub(super) party: Party,
    /// What its wallet held before it had rendered anything.
    pub(super) had: u64,
    session: Mutex<Session>,
    /// Leases that it is at, or was silent about.
    at: Mutex<HashSet<(JobId, u32)>>,
}

impl Node {
    pub(super) fn wallet(&self) -> Wallet {
        self.party.wallet()
    }

    fn session(&self) -> Session {
        *self.session.lock().unwrap()
    }
}

/// Three with a wallet that is open, and one that is poor.
pub(super) async fn register(world: &World) -> Vec<Node> {
    let mut nodes = Vec::new();
    for (seed, price, had) in [
        (101, BASE, LAMPORTS_PER_SOL),
        (102, BASE, LAMPORTS_PER_SOL),
        (103, BASE, LAMPORTS_PER_SOL),
        (104, LITTLE, 0),
    ] {
        let party = Party::new(seed);
        if had > 0 {
            world.give(&party.wallet(), had).await;
        }
        let known = party.wallet() == world.home_party.wallet();
        let id = if known { world.home } else { world.provider(&party, price).await };
        let session = Session { node: id, fence: 1 };
        delivery::ready(&world.ctx, &world.call(), session, SLOTS).await.unwrap();
        let (session, at) = (Mutex::new(session), Mutex::default());
        nodes.push(Node { id, party, had, session, at });
    }
    nodes
}

pub(super) fn start(sim: &Arc<Sim>, crew: &mut JoinSet<()>) {
    for _ in 0..3 {
        let sim = sim.clone();
        crew.spawn(async move { relay(sim).await });
    }
    let renewing = sim.clone();
    crew.spawn(async move { renew(&renewing).await });
    for n in 0..sim.nodes.len() {
        let sim = sim.clone();
        crew.spawn(async move { lose_socket_now_and_then(&sim, &sim.nodes[n]).await });
    }
}

async fn renew(sim: &Sim) {
    while !sim.is_over() {
        let call = sim.world.call();
        let _ = sim.mortal(delivery::renew_relay(&sim.world.ctx, &call, 0, BOOT)).await;
        sim.nap(1_500, 2_500).await;
    }
}

/// Passes hints on to nodes, each of which has a task of its own.
async fn relay(sim: Arc<Sim>) {
    let mut visits = JoinSet::new();
    let queue = Queue::Relay(0);
    let queues = sim.world.ctx.store.queues().clone();
    while !sim.is_over() {
        let Ok(messages) = queues.receive(queue, 10, 1, 4).await else {
            sim.nap(10, 50).await;
            continue;
        };
        for message in messages {
            let _ = queues.delete(queue, &message.receipt).await;
            let hint: Hint = serde_json::from_str(&message.body).unwrap();
            let sim = sim.clone();
            visits.spawn(async move { visit(&sim, hint.job).await });
        }
        while visits.try_join_next().is_some_and(|ended| ended.is_ok()) {}
    }
    while let Some(ended) = visits.join_next().await {
        ended.unwrap();
    }
}

/// Has the holder of a job see to it.
async fn visit(sim: &Sim, job: JobId) {
    let ask = || delivery::assignment(&sim.world.ctx, job);
    let Some(Ok(Some(order))) = sim.insist(TRIES, ask).await else { return };
    let epoch = order.epoch;
    let node = sim.nodes.iter().find(|node| node.id == order.lease.node).unwrap();
    if !node.at.lock().unwrap().insert((job, epoch)) {
        return;
    }
    match sim.fate(job, epoch, 1) {
        0..30 => return,
        30..90 => decline(sim, node, job, epoch).await,
        90..160 => fail(sim, node, job, epoch, false).await,
        160..190 => fail(sim, node, job, epoch, true).await,
        190..240 => {
            speak_out_of_turn(sim, node, job, epoch).await;
            render(sim, node, job, epoch).await;
        }
        _ => render(sim, node, job, epoch).await,
    }
    node.at.lock().unwrap().remove(&(job, epoch));
}

async fn render(sim: &Sim, node: &Node, job: JobId, epoch: u32) {
    sim.nap(5, 150).await;
    let at = sim.world.now();
    let row = ProgressRow {
        job,
        epoch,
        frames_done: 0,
        frames_total: 1,
        frame: 1,
        sample: 7,
        samples: 64,
        started: at,
        at,
    };
    if sim.odds(250) {
        let _ = sim.mortal(delivery::progress(&sim.world.ctx, node.session(), row)).await;
    }
    let report = Report { epoch, render_ms: 900 };
    // It says so again until it hears what became of it.
    for _ in 0..TRIES {
        let ask = || delivery::done(&sim.world.ctx, node.session(), job, report);
        if let Some(Err(Refusal::StaleLease)) = sim.insist(TRIES, ask).await {
            return;
        }
        for _ in 0..3 {
            sim.nap(500, 1_500).await;
            let outcome = verification::outcome(&sim.world.ctx, job, epoch).await;
            if outcome.is_ok_and(|outcome| outcome.is_some()) {
                return;
            }
        }
    }
}

async fn fail(sim: &Sim, node: &Node, job: JobId, epoch: u32, scene_fault: bool) {
    sim.nap(5, 50).await;
    let why = if scene_fault { "no camera" } else { "out of memory" };
    let ask = || async {
        let (ctx, call) = (&sim.world.ctx, sim.world.call());
        delivery::failed(ctx, &call, node.session(), job, epoch, scene_fault, why).await
    };
    let _ = sim.insist(TRIES, ask).await;
}

async fn decline(sim: &Sim, node: &Node, job: JobId, epoch: u32) {
    let ask = || async {
        delivery::decline(&sim.world.ctx, &sim.world.call(), node.session(), job, epoch).await
    };
    let _ = sim.insist(TRIES, ask).await;
}

/// Reports under a lease that is over, and by a node that has none, count for nothing.
async fn speak_out_of_turn(sim: &Sim, node: &Node, job: JobId, epoch: u32) {
    let stranger = sim.nodes.iter().find(|other| other.id != node.id).unwrap();
    for (who, epoch) in [(node, epoch - 1), (stranger, epoch)] {
        let (ctx, call) = (&sim.world.ctx, sim.world.call());
        let said = delivery::failed(ctx, &call, who.session(), job, epoch, true, "no").await;
        assert!(said.is_err(), "{said:?}");
        let report = Report { epoch, render_ms: 1 };
        let said = delivery::done(ctx, who.session(), job, report).await;
        assert!(said.is_err(), "{said:?}");
    }
}

async fn lose_socket_now_and_then(sim: &Sim, node: &Node) {
    while !sim.is_over() {
        sim.nap(1_000, 8_000).await;
        if !sim.is_stormy() {
            continue;
        }
        let (ctx, session) = (&sim.world.ctx, node.session());
        let call = sim.world.call();
        let _ = sim.mortal(delivery::disconnect(ctx, &call, session, call.now)).await;
        sim.nap(50, 800).await;
        connect(sim, node).await;
    }
}

/// Comes back, however long it takes, and goes on with what it holds.
async fn connect(sim: &Sim, node: &Node) {
    loop {
        let at = sim.world.now();
        let proof = node.party.says(&signing::socket(node.id, at));
        let connection = Connection { relay: 0, boot: BOOT.to_owned() };
        let (ctx, call) = (&sim.world.ctx, sim.world.call());
        let connect = delivery::connect(ctx, &call, node.id, at, &proof, connection);
        let connected = match sim.mortal(connect).await {
            Some(Ok(connected)) => connected,
            Some(Err(Refusal::Replayed | Refusal::Busy | Refusal::Broken(_))) | None => {
                sim.nap(20, 100).await;
                continue;
            }
            Some(Err(other)) => panic!("a node was refused: {other:?}"),
        };
        *node.session.lock().unwrap() = connected.session;
        let ready = || async {
            delivery::ready(&sim.world.ctx, &sim.world.call(), node.session(), SLOTS).await
        };
        let Some(Ok(held)) = sim.insist(TRIES, ready).await else { continue };
        for job in held {
            sim.world.ctx.hint(Queue::Relay(0), &Hint::to(node.id, job), 0).await;
        }
        return;
    }
}
