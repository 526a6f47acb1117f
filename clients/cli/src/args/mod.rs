//! The command line: every command, flag, default and help text. Does nothing but read it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use framefair_domain::id::{JobId, ProviderId};
use framefair_domain::money::Lamports;

mod dispatch;
mod node;
mod words;

pub(crate) use self::dispatch::Dispatch;
pub(crate) use self::node::{Node, NodeRun};
use self::words::{
    DOCTOR_EXAMPLES, FIRST_STEPS, JOBS_EXAMPLES, LOGIN_EXAMPLES, RENDER_EXAMPLES, WALLET_EXAMPLES,
    WATCH_EXAMPLES,
};
use crate::exit::{EXIT_CODES, Exit, Failure};
use crate::place::{HubUrl, RpcUrl};
use crate::settings::{Engine, Frames, Picture, Size};

fn long_help() -> String {
    format!("{FIRST_STEPS}\n{EXIT_CODES}")
}

/// Sends scenes to a render marketplace, pays for them on Solana, and brings the frames back.
#[derive(Debug, Parser)]
#[command(name = "framefair", version, after_long_help = long_help(), propagate_version = true)]
pub(crate) struct Cli {
    /// Print one JSON document on stdout, and progress as JSON lines on stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Render scenes: send them, see the price, pay, wait, receive the frames
    Render(Box<Render>),
    /// List the jobs that this machine knows of
    Jobs(Jobs),
    /// Follow a job to its end
    Watch(Watch),
    /// Show how a job stands
    Status(Status),
    /// List who renders, and for how much
    Providers(Providers),
    /// Cancel a job that is not rendering yet; what was paid comes back
    Cancel(Cancel),
    /// Make a wallet, look into it, fill it with play money
    #[command(subcommand, after_long_help = WALLET_EXAMPLES)]
    Wallet(Wallet),
    /// Earn by rendering for others
    #[command(subcommand)]
    Node(Node),
    /// Log in to an account at a hub, or make one
    #[command(after_long_help = LOGIN_EXAMPLES)]
    Login(Login),
    /// Show the credits of the account that is logged in
    Credits(Credits),
    /// Show what can be done for credits at this moment, and for how many
    Nodes(Nodes),
    /// Have something done for credits, wait for it, and receive the result
    Dispatch(Dispatch),
    /// Check the ledger of credits against the chain
    #[command(subcommand)]
    Ledger(Ledger),
    /// Check what a client and a node need: Blender, sandbox, disk, clock, hub, chain, wallet
    Doctor(Box<Doctor>),
    /// Start a hub and a chain on this machine (framefair-local)
    Up(Up),
}

#[derive(Debug, Args)]
pub(crate) struct ToHub {
    /// The hub's address, such as http://127.0.0.1:8000
    #[arg(long, env = "FRAMEFAIR_HUB", value_name = "URL")]
    pub(crate) hub: HubUrl,
}

#[derive(Debug, Args)]
pub(crate) struct WithWallet {
    /// The wallet's file, made by `framefair wallet new`
    #[arg(long, env = "FRAMEFAIR_WALLET", value_name = "FILE")]
    pub(crate) wallet: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct OnChain {
    /// The chain's JSON-RPC address [default: http://127.0.0.1:8899, unless the hub is elsewhere]
    #[arg(long, env = "FRAMEFAIR_RPC", value_name = "URL", hide_env_values = true)]
    pub(crate) rpc: Option<RpcUrl>,
}

#[derive(Debug, Args)]
pub(crate) struct WithSession {
    /// The file that keeps the session [default: ~/.config/framefair/session.json]
    #[arg(long, env = "FRAMEFAIR_SESSION", value_name = "FILE")]
    session: Option<PathBuf>,
}

impl WithSession {
    pub(crate) fn file(&self) -> Result<PathBuf, Failure> {
        if let Some(file) = &self.session {
            return Ok(file.clone());
        }
        let home = std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
        let home = home.ok_or_else(|| {
            Failure::new(Exit::Usage, "there is no place for the session", "HOME is not set")
                .hint("Name a file with --session FILE.")
        })?;
        Ok(home.join(".config/framefair/session.json"))
    }
}

#[derive(Debug, Args)]
pub(crate) struct Login {
    /// The account's e-mail
    pub(crate) email: String,
    #[command(flatten)]
    pub(crate) hub: ToHub,
    /// Make the account
    #[arg(long)]
    pub(crate) register: bool,
    /// What the new account is called [default: the part of the e-mail before the @]
    #[arg(long, requires = "register")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) session: WithSession,
}

#[derive(Debug, Args)]
pub(crate) struct Credits {
    #[command(flatten)]
    pub(crate) session: WithSession,
}

#[derive(Debug, Args)]
pub(crate) struct Nodes {
    #[command(flatten)]
    pub(crate) session: WithSession,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Ledger {
    /// Prove an entry from its own text and the chain, without believing the hub
    Verify(Verify),
    /// Check that the anchors on the chain are a chain of roots, and that the hub lists just these
    Audit(Audit),
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The entry's number or id, from `framefair credits`; or a transaction of the market's escrow
    #[arg(value_name = "ENTRY")]
    pub(crate) entry: String,
    /// Who must have signed the anchor [default: whoever did is shown]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) authority: Option<framefair_domain::wallet::Wallet>,
    #[command(flatten)]
    pub(crate) chain: OnChain,
    #[command(flatten)]
    pub(crate) session: WithSession,
}

#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// Who signs the anchors [default: whom the hub names, which the answer shows]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) authority: Option<framefair_domain::wallet::Wallet>,
    /// Prove every entry of the account as well, and that none is missing
    #[arg(long)]
    pub(crate) entries: bool,
    /// Prove everything that the chain says of this wallet as well: the `payTo` of a market's quotes
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) escrow: Option<framefair_domain::wallet::Wallet>,
    #[command(flatten)]
    pub(crate) chain: OnChain,
    #[command(flatten)]
    pub(crate) session: WithSession,
}

#[derive(Debug, Args)]
pub(crate) struct Patience {
    /// Seconds without an answer from the hub after which to give up
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
}

impl Patience {
    pub(crate) fn time(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}

/// A hub takes ten orders a minute of one address.
const SCENES_MAX: usize = 32;

#[derive(Debug, Args)]
#[command(after_long_help = RENDER_EXAMPLES)]
pub(crate) struct Render {
    /// The scenes, 32 at most: .blend, .obj, .fbx, .gltf, .glb, .stl or .dae
    #[arg(required = true, num_args = 1..=SCENES_MAX, value_name = "SCENE")]
    pub(crate) scenes: Vec<PathBuf>,
    /// Frames to render, as in 5 or 1-8 [default: the start frame of the file]
    #[arg(long, value_name = "N[-M]", allow_hyphen_values = true)]
    pub(crate) frames: Option<Frames>,
    /// The render engine [default: the file's]
    #[arg(long)]
    pub(crate) engine: Option<Engine>,
    /// Samples per pixel [default: the file's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) samples: Option<u32>,
    /// The picture's size in pixels, as in 1280x720 [default: the hub's, 1920x1080]
    #[arg(long, value_name = "WxH")]
    pub(crate) size: Option<Size>,
    /// The picture's format
    #[arg(long, default_value = "PNG", ignore_case = true)]
    pub(crate) format: Picture,
    /// Who shall render, by id from `framefair providers` [default: the cheapest that can]
    #[arg(long, value_name = "ID")]
    pub(crate) provider: Option<ProviderId>,
    /// Decline every price above this many SOL; with several scenes it counts for each by itself
    #[arg(long, value_name = "SOL", value_parser = sol)]
    pub(crate) max_price: Option<Lamports>,
    /// Pay without asking
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Hide the job from everybody without its token; DIR/.framefair keeps the token
    #[arg(long)]
    pub(crate) private: bool,
    #[command(flatten)]
    pub(crate) hub: ToHub,
    #[command(flatten)]
    pub(crate) wallet: WithWallet,
    /// The folder for the frames; it is made when absent
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) chain: OnChain,
    #[command(flatten)]
    pub(crate) patience: Patience,
    /// Start a new job even if DIR holds an unfinished one of the same scene
    #[arg(long)]
    pub(crate) new: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// The job's id, as `framefair render` printed it
    pub(crate) job: JobId,
    #[command(flatten)]
    pub(crate) hub: ToHub,
    /// The folder given to `render`, for what this machine knows of the job
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_long_help = JOBS_EXAMPLES)]
pub(crate) struct Jobs {
    /// The folder given to `render`
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) out: PathBuf,
    /// Ask this hub about every job [default: for each job the hub that it was ordered at]
    #[arg(long, value_name = "URL")]
    pub(crate) hub: Option<HubUrl>,
}

#[derive(Debug, Args)]
#[command(after_long_help = WATCH_EXAMPLES)]
pub(crate) struct Watch {
    /// The job's id, as `framefair render` printed it
    pub(crate) job: JobId,
    #[command(flatten)]
    pub(crate) hub: ToHub,
    /// The folder given to `render`: with it the frames are brought here
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) patience: Patience,
}

#[derive(Debug, Args)]
#[command(after_long_help = DOCTOR_EXAMPLES)]
pub(crate) struct Doctor {
    /// The hub to look for, such as http://127.0.0.1:8000
    #[arg(long, env = "FRAMEFAIR_HUB", value_name = "URL")]
    pub(crate) hub: Option<HubUrl>,
    #[command(flatten)]
    pub(crate) chain: OnChain,
    /// The wallet to look into
    #[arg(long, env = "FRAMEFAIR_WALLET", value_name = "FILE")]
    pub(crate) wallet: Option<PathBuf>,
    /// The Blender to look at, if not the one on PATH
    #[arg(long, value_name = "PATH")]
    pub(crate) blender: Option<PathBuf>,
    /// The node's folder for scenes and frames in work [default: the system's temporary folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) work: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Providers {
    #[command(flatten)]
    pub(crate) hub: ToHub,
    /// Only those of this status
    #[arg(long)]
    pub(crate) status: Option<ProviderStatus>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProviderStatus {
    Online,
    Offline,
    Busy,
    Maintenance,
}

impl ProviderStatus {
    pub(crate) fn word(self) -> &'static str {
        match self {
            ProviderStatus::Online => "online",
            ProviderStatus::Offline => "offline",
            ProviderStatus::Busy => "busy",
            ProviderStatus::Maintenance => "maintenance",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Cancel {
    /// The job's id
    pub(crate) job: JobId,
    #[command(flatten)]
    pub(crate) hub: ToHub,
    #[command(flatten)]
    pub(crate) wallet: WithWallet,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Wallet {
    /// Make a new wallet; an existing file is never overwritten
    New {
        /// The file to make
        file: PathBuf,
    },
    /// Show a wallet's address and what it holds
    Balance {
        #[command(flatten)]
        wallet: WithWallet,
        #[command(flatten)]
        chain: OnChain,
    },
    /// Ask a test chain for play money
    Airdrop {
        /// How much, in SOL
        #[arg(value_name = "SOL", value_parser = sol)]
        amount: Lamports,
        #[command(flatten)]
        wallet: WithWallet,
        #[command(flatten)]
        chain: OnChain,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Up {
    /// Passed on to framefair-local, as in --data DIR --port 8000
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    pub(crate) arguments: Vec<std::ffi::OsString>,
}

/// An amount of SOL above nothing.
fn sol(text: &str) -> Result<Lamports, String> {
    match Lamports::from_sol(text) {
        Ok(Lamports::ZERO) => Err("an amount is more than 0".to_owned()),
        Ok(amount) => Ok(amount),
        Err(error) => Err(format!("{error}; write it as in 0.0084")),
    }
}

#[cfg(test)]
mod tests;
