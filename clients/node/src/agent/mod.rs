//! The agent's life: join every face by one key, connect, take work, give it back. Knows no Blender; the hub
//! may vanish at any time, and the work goes on.

mod api;
mod crew;
mod fleet;
mod folder;
mod identity;
mod link;
mod still;
mod task;
mod transfer;
mod work;

use std::path::PathBuf;
use std::time::Duration;

use framefair_domain::quote::Tariff;
use tokio_util::sync::CancellationToken;

use self::work::Tools;
use crate::machine::{self, NoMachine};
use crate::runners::{Kind, Runners};
use crate::sandbox::Sandbox;

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
    /// Whether it renders; without that it needs no Blender, and takes creators' other jobs alone.
    pub renders: bool,
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
    #[error("the hub cannot be reached: {0}")]
    Http(#[from] reqwest::Error),
    /// Something between it and us may have answered.
    #[error("the hub's answer cannot be read: {0}")]
    Garbled(String),
}

/// Told as things happen, for whoever shows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    Machine(String),
    Registered(String),
    /// Creators' jobs of these types come here.
    Joined {
        node: String,
        capabilities: Vec<String>,
    },
    Online,
    Offline(String),
    Started {
        job: String,
        frames: usize,
    },
    Frame {
        job: String,
        frame: i32,
    },
    Delivered {
        job: String,
    },
    Settled {
        job: String,
        outcome: String,
    },
    Failed {
        job: String,
        why: String,
    },
}

/// The wait before a further try to reach the hub grows to this.
const RECONNECT_MAX: Duration = Duration::from_secs(30);
const FIRST_WAIT: Duration = Duration::from_millis(500);

impl AgentConfig {
    /// The types of creators' jobs that this node takes.
    fn capabilities(&self) -> Vec<&'static str> {
        // Strangers' instructions run in the sandbox or not at all.
        let is_safe = self.machine.sandbox != Sandbox::None;
        let kinds = Kind::ALL.iter().filter(|kind| is_safe || !kind.is_apart());
        let renders = self.renders.then_some(still::WORD);
        kinds.map(|kind| kind.word()).chain(renders).collect()
    }
}

/// Runs until `stop`; then gives unfinished work back and goes offline.
pub async fn run(
    config: AgentConfig,
    stop: CancellationToken,
    news: impl Fn(News) + Send + Sync + 'static,
) -> Result<(), AgentError> {
    let machine = match config.renders {
        true => Some(machine::detect(&config.machine).await?.remove(0)),
        false => None,
    };
    let cores = machine::cores();
    let what = match &machine {
        Some(machine) => machine.summary(),
        None => format!("no Blender, {cores} cores"),
    };
    news(News::Machine(what));
    let unusable = |cause| AgentError::Work { path: config.work.clone(), cause };
    std::fs::create_dir_all(&config.work)
        .and_then(|()| folder::tidy(&config.work))
        .map_err(unusable)?;
    let runners = Runners::here(config.machine.sandbox.clone(), cores).map_err(unusable)?;
    let tools = Tools { runners, machine: machine.clone(), work: config.work.clone() };
    let api = api::Hub::new(&config.hub)?;
    // It shows creators that it lives before it sells to anybody.
    let join = async || fleet::join(&api, &config, cores, machine.as_ref()).await;
    let Some(member) = persist(join, &stop, &news).await? else { return Ok(()) };
    let capabilities = config.capabilities().into_iter().map(str::to_owned).collect();
    news(News::Joined { node: member.node_id.clone(), capabilities });
    let Some(machine) = machine else {
        return crew::work(&api, config, tools, member, &stop, news).await;
    };
    let register = async || api.register(&config, &machine).await;
    let Some(provider) = persist(register, &stop, &news).await? else { return Ok(()) };
    news(News::Registered(provider.to_string()));

    let mut link = link::Link::new(config, machine, tools, provider, news);
    let mut wait = FIRST_WAIT;
    while !stop.is_cancelled() {
        let lasted = link.hold(&api, &stop).await;
        if link.is_replaced() {
            return Err(AgentError::Replaced);
        }
        wait = next_wait(wait, lasted);
        let _ = stop.run_until_cancelled(tokio::time::sleep(wait)).await;
    }
    link.leave(&api).await;
    Ok(())
}

/// How long to wait after a socket that lasted for so long.
fn next_wait(wait: Duration, lasted: Duration) -> Duration {
    if lasted > RECONNECT_MAX { FIRST_WAIT } else { (wait * 2).min(RECONNECT_MAX) }
}

/// Asks the hub; one that is not up yet is waited for, one that says no is not. None when stopped.
async fn persist<T>(
    ask: impl AsyncFn() -> Result<T, AgentError>,
    stop: &CancellationToken,
    news: &impl Fn(News),
) -> Result<Option<T>, AgentError> {
    let mut wait = Duration::from_millis(250);
    loop {
        match ask().await {
            Ok(answer) => return Ok(Some(answer)),
            Err(error @ (AgentError::Http(_) | AgentError::Garbled(_))) => {
                news(News::Offline(error.to_string()));
            }
            Err(error) => return Err(error),
        }
        wait = (wait * 2).min(RECONNECT_MAX);
        if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            return Ok(None);
        }
    }
}
