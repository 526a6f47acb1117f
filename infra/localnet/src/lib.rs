//! A Solana chain on loopback, inside the process, behind real JSON-RPC and WebSocket: what a
//! market needs of a cluster, on one machine and in tests. Knows nothing of markets.
//!
//! Everything that was accepted is on disk before it is answered, and a chain that is killed goes
//! on where it was. Slots tick from one clock; a block is confirmed by the next and finalized by
//! the thirty-second after it. Programs run on `litesvm`, transactions are shown by agave's own
//! encoder, so stock clients work unchanged. There is one node, hence no forks, no votes and no
//! rewards; durable nonces, precompiles and versions beyond 0 are not served.
//!
//! Methods named `localnet…` are for tests: they are listed in `rpc/tests_only.rs`.

mod accounts;
mod blockhash;
mod chain;
mod clock;
mod execute;
mod journal;
mod ledger;
mod node;
mod pubsub;
mod rpc;
mod testing;
mod tokens;

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::{net::TcpListener, sync::watch, task::JoinSet};

pub use crate::{
    blockhash::BLOCKHASH_AGE_MAX,
    chain::{CONFIRMED_AFTER, FINALIZED_AFTER, LAG_SLOTS_MAX},
    clock::FIRST_SLOT,
    journal::JournalError,
};
use crate::{
    chain::Chain,
    node::{Node, View, now},
};

const SLOT_MS_MIN: u64 = 5;
const SLOT_MS_MAX: u64 = 60_000;
/// How often a free pair of neighbouring ports is looked for.
const PORT_PAIRS_TRIED: usize = 32;
/// How long a shutdown waits for requests that are being answered.
const GRACE: Duration = Duration::from_secs(2);

/// Where a chain lives and how fast it goes.
#[derive(Debug, Clone)]
pub struct Config {
    /// One chain for one folder, made when it is missing.
    pub data_dir: PathBuf,
    /// The WebSocket is on the next port. Port 0 takes a free pair.
    pub rpc_addr: SocketAddr,
    /// Milliseconds per slot, 400 on a real cluster; 5 to 60,000.
    pub slot_ms: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("a slot lasts {SLOT_MS_MIN} to {SLOT_MS_MAX} ms, not {0}")]
    SlotLength(u64),
    #[error("port {0} has no next port for the WebSocket")]
    LastPort(u16),
    #[error("{what} cannot listen on {address}: {cause}")]
    Listen { what: &'static str, address: SocketAddr, cause: io::Error },
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("starting the chain: {0}")]
    Start(io::Error),
}

/// A running chain. Dropping it stops it, too, without waiting for its sockets.
pub struct Localnet {
    node: Arc<Node>,
    rpc_addr: SocketAddr,
    ws_addr: SocketAddr,
    stopping: watch::Sender<bool>,
    servers: JoinSet<io::Result<()>>,
    ticker: Option<Ticker>,
}

impl Localnet {
    /// Starts the chain in `config.data_dir`, or goes on with the one that is there.
    pub async fn start(config: Config) -> Result<Self, Error> {
        if !(SLOT_MS_MIN..=SLOT_MS_MAX).contains(&config.slot_ms) {
            return Err(Error::SlotLength(config.slot_ms));
        }
        let (rpc, ws) = listen(config.rpc_addr).await?;
        let rpc_addr = rpc.local_addr().map_err(Error::Start)?;
        let ws_addr = ws.local_addr().map_err(Error::Start)?;

        let started = Instant::now();
        let open =
            move || Chain::open(&config.data_dir, config.slot_ms, rand::random(), now(started));
        let chain = tokio::task::spawn_blocking(open)
            .await
            .map_err(|cause| Error::Start(io::Error::other(cause)))??;
        let node = Arc::new(Node::new(chain, started));
        let ticker = Ticker::start(node.clone()).map_err(Error::Start)?;

        let stopping = watch::Sender::new(false);
        let mut servers = JoinSet::new();
        let routers =
            [(rpc, rpc::router(node.clone(), View::default())), (ws, pubsub::router(node.clone()))];
        for (listener, router) in routers {
            let mut stop = stopping.subscribe();
            let stopped = async move {
                // An error means that the chain was dropped: a stop like any other.
                let _ = stop.wait_for(|stop| *stop).await;
            };
            servers.spawn(async move {
                axum::serve(listener, router).with_graceful_shutdown(stopped).await
            });
        }
        tracing::info!(%rpc_addr, %ws_addr, "the chain runs");
        Ok(Self { node, rpc_addr, ws_addr, stopping, servers, ticker: Some(ticker) })
    }

    pub fn rpc_url(&self) -> String {
        format!("http://{}", self.rpc_addr)
    }

    pub fn ws_url(&self) -> String {
        format!("ws://{}", self.ws_addr)
    }

    pub fn rpc_addr(&self) -> SocketAddr {
        self.rpc_addr
    }

    /// Stops the sockets, then lets go of the data folder: another chain may start on it at once.
    pub async fn shutdown(mut self) {
        self.stopping.send_replace(true);
        let ticker = self.ticker.take();
        // Joining waits for at most one tick.
        let _ = tokio::task::spawn_blocking(move || drop(ticker)).await;
        self.node.stop();
        let ended = async { while self.servers.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, ended).await.is_err() {
            self.servers.abort_all();
        }
    }
}

impl Drop for Localnet {
    fn drop(&mut self) {
        self.stopping.send_replace(true);
        self.ticker = None;
        self.node.stop();
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, TcpListener), Error> {
    let bind = async |what, address| {
        TcpListener::bind(address).await.map_err(|cause| Error::Listen { what, address, cause })
    };
    let next = |address: SocketAddr| {
        let port = address.port().checked_add(1).ok_or(Error::LastPort(address.port()))?;
        Ok::<_, Error>(SocketAddr::new(address.ip(), port))
    };
    if address.port() != 0 {
        let rpc = bind("the chain's RPC", address).await?;
        return Ok((rpc, bind("the chain's WebSocket", next(address)?).await?));
    }
    for _ in 0..PORT_PAIRS_TRIED {
        let rpc = bind("the chain's RPC", address).await?;
        let Ok(ws) = next(rpc.local_addr().map_err(Error::Start)?) else { continue };
        if let Ok(ws) = TcpListener::bind(ws).await {
            return Ok((rpc, ws));
        }
    }
    // Clients that are told the WebSocket's address do not need a neighbour.
    Ok((bind("the chain's RPC", address).await?, bind("the chain's WebSocket", address).await?))
}

/// Makes slots pass. A thread of its own: a busy runtime must not stop the chain's time.
struct Ticker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    fn start(node: Arc<Node>) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::Builder::new()
            .name("localnet-slots".to_owned())
            .spawn(move || tick(&node, &stopped))?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("the chain's slots stopped before the chain did");
            }
        }
    }
}

fn tick(node: &Node, stopped: &AtomicBool) {
    while !stopped.load(Ordering::Acquire) {
        let ticked = node.chain().and_then(|mut chain| {
            let moved = chain.tick(node.now())?;
            Ok((moved, chain.clock.wait_ms(node.now())))
        });
        match ticked {
            Ok((moved, wait_ms)) => {
                if moved {
                    node.tell();
                }
                thread::park_timeout(Duration::from_millis(wait_ms));
            }
            Err(cause) => {
                tracing::error!(%cause, "the chain's slots have stopped");
                return;
            }
        }
    }
}
