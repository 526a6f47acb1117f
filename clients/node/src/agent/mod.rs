//! The agent's life: register, connect, take work, give it back. Knows no Blender; the hub may
//! vanish at any time, and the work goes on.

mod api;
mod folder;
mod identity;
mod link;
mod task;
mod transfer;

use std::path::PathBuf;
use std::time::Duration;

use framefair_domain::quote::Tariff;
use tokio_util::sync::CancellationToken;

use crate::machine::{self, Machine, NoMachine};

pub use identity::Identity;

/// What the owner decided.
pub struct AgentConfig {
    /// Base URL of the hub, such as `http://127.0.0.1:8000`.
    pub hub: String,
    pub identity: Identity,
    /// The name that others see.
    pub name: String,
    pub tariff: Tariff,
    pub machine: machine::Options,
    /// Jobs at the same time.
    pub slots: u32,
    /// Where scenes and frames in work lie.
    pub work: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error(transparent)]
    NoMachine(#[from] NoMachine),
    #[error("the hub refuses this node: {0}")]
    Refused(String),
    #[error("another agent with this wallet is connected; two of one wallet cannot work at once")]
    Replaced,
    #[error("the hub's address {0} is no http or https URL")]
    Hub(String),
    #[error("the folder {path} for work cannot be used: {cause}")]
    Work { path: PathBuf, cause: std::io::Error },
    #[error(transparent)]
    Http(#[from] reqwest::Error),
}

/// Told as things happen, for whoever shows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    Machine(String),
    Registered(String),
    Online,
    Offline(String),
    Started { job: String, frames: usize },
    Frame { job: String, frame: i32 },
    Delivered { job: String },
    Settled { job: String, outcome: String },
    Failed { job: String, why: String },
}

/// The wait before a further try to reach the hub grows to this.
const RECONNECT_MAX: Duration = Duration::from_secs(30);

/// Runs until `stop`; then gives unfinished work back and goes offline.
pub async fn run(
    config: AgentConfig,
    stop: CancellationToken,
    news: impl Fn(News) + Send + Sync + 'static,
) -> Result<(), AgentError> {
    let machine = machine::detect(&config.machine).await?.remove(0);
    news(News::Machine(machine.summary()));
    std::fs::create_dir_all(&config.work)
        .and_then(|()| folder::tidy(&config.work))
        .map_err(|cause| AgentError::Work { path: config.work.clone(), cause })?;
    let api = api::Hub::new(&config.hub)?;
    let Some(provider) = registered(&api, &config, &machine, &stop, &news).await? else {
        return Ok(());
    };
    news(News::Registered(provider.to_string()));

    let mut link = link::Link::new(config, machine, provider, news);
    let mut wait = Duration::from_millis(500);
    while !stop.is_cancelled() {
        let lasted = link.hold(&api, &stop).await;
        if link.is_replaced() {
            return Err(AgentError::Replaced);
        }
        wait = if lasted > RECONNECT_MAX {
            Duration::from_millis(500)
        } else {
            (wait * 2).min(RECONNECT_MAX)
        };
        let _ = stop.run_until_cancelled(tokio::time::sleep(wait)).await;
    }
    link.leave(&api).await;
    Ok(())
}

/// Registers; a hub that is not up yet is waited for, one that says no is not.
async fn registered(
    api: &api::Hub,
    config: &AgentConfig,
    machine: &Machine,
    stop: &CancellationToken,
    news: &impl Fn(News),
) -> Result<Option<framefair_domain::id::ProviderId>, AgentError> {
    let mut wait = Duration::from_millis(250);
    loop {
        match api.register(config, machine).await {
            Ok(provider) => return Ok(Some(provider)),
            Err(AgentError::Http(error)) => {
                news(News::Offline(format!("the hub cannot be reached: {error}")));
            }
            Err(error) => return Err(error),
        }
        wait = (wait * 2).min(RECONNECT_MAX);
        if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            return Ok(None);
        }
    }
}
