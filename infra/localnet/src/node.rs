//! The one chain of a process, shared by its ports: the lock, the clocks, who is told of changes,
//! and the views that tests open. Knows nothing of methods.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
};

use crate::{
    chain::{Chain, ChainError},
    clock::Now,
    rpc,
};

/// Calls that run or wait for the chain at once; others wait outside.
const TURNS: usize = 64;
const VIEWS_MAX: usize = 64;

/// Through which eyes a port shows the chain.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct View {
    pub(crate) lag_slots: u64,
    pub(crate) history: History,
}

/// What a node knows of the past.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum History {
    #[default]
    Kept,
    /// It once knew, or so it seems: nothing is found.
    Forgotten,
    /// It says that it does not know.
    Refused,
}

pub(crate) struct Node {
    chain: Mutex<Chain>,
    changed: watch::Sender<u64>,
    turns: Semaphore,
    started: Instant,
    views: Mutex<JoinSet<()>>,
}

impl Node {
    /// `chain` was opened at `started`, with the steady clock at zero.
    pub(crate) fn new(chain: Chain, started: Instant) -> Self {
        Self {
            chain: Mutex::new(chain),
            changed: watch::Sender::new(0),
            turns: Semaphore::new(TURNS),
            started,
            views: Mutex::new(JoinSet::new()),
        }
    }

    /// The chain, as long as it can be trusted.
    pub(crate) fn chain(&self) -> Result<MutexGuard<'_, Chain>, ChainError> {
        // A panic while the lock was held may have left the chain between two states.
        let chain = self.chain.lock().map_err(|_| ChainError::Broken)?;
        chain.check_health()?;
        Ok(chain)
    }

    pub(crate) fn now(&self) -> Now {
        now(self.started)
    }

    pub(crate) fn turns(&self) -> &Semaphore {
        &self.turns
    }

    /// Tells every subscriber to look again.
    pub(crate) fn tell(&self) {
        self.changed.send_modify(|version| *version = version.wrapping_add(1));
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Serves the chain through `view` on a free loopback port until the node stops.
    pub(crate) fn open_view(self: &Arc<Self>, view: View) -> io::Result<SocketAddr> {
        let mut views = self.views.lock().map_err(|_| io::Error::other("views are broken"))?;
        if views.len() >= VIEWS_MAX {
            return Err(io::Error::other(format!("at most {VIEWS_MAX} views")));
        }
        let listener = std::net::TcpListener::bind((IpAddr::V4(Ipv4Addr::LOCALHOST), 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let router = rpc::router(self.clone(), view);
        views.spawn(async move {
            if let Err(cause) = axum::serve(listener, router).await {
                tracing::warn!(%cause, "a view of the chain stopped");
            }
        });
        Ok(address)
    }

    /// Ends views and lets go of the data folder; what still asks is told that the node is gone.
    pub(crate) fn stop(&self) {
        if let Ok(mut views) = self.views.lock() {
            views.abort_all();
        }
        if let Ok(mut chain) = self.chain.lock() {
            chain.close();
        }
        self.turns.close();
        self.tell();
    }
}

pub(crate) fn now(started: Instant) -> Now {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now {
        steady_ms: started.elapsed().as_millis() as u64,
        unix_ms: i64::try_from(unix.as_millis()).unwrap_or(i64::MAX),
    }
}
