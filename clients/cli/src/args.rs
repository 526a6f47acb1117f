//! The command line: every command, flag, default and help text. Does nothing but read it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use framefair_domain::id::{JobId, ProviderId};
use framefair_domain::money::Lamports;

use crate::exit::EXIT_CODES;
use crate::place::{HubUrl, RpcUrl};
use crate::settings::{Engine, Frames, Picture, Size};

const FIRST_STEPS: &str = "\
A first render on one machine, nothing but this:
  framefair up &                                        hub and chain on this machine
  framefair wallet new me.json                          a wallet for what you spend
  framefair wallet airdrop 2 --wallet me.json           play money of the local chain
  framefair wallet new node.json                        a wallet for what your node earns
  framefair wallet airdrop 0.1 --wallet node.json
  framefair node run --hub http://127.0.0.1:8000 --wallet node.json &
  framefair render scene.blend --hub http://127.0.0.1:8000 --wallet me.json --out frames
";

const RENDER_EXAMPLES: &str = "\
Examples:
  framefair render scene.blend --hub http://127.0.0.1:8000 --wallet me.json --out frames
  framefair render scene.blend --frames 1-8 --size 1280x720 --samples 64 \\
      --hub https://hub.example.org --rpc https://rpc.example.org --wallet me.json --out frames
  framefair render scene.blend --max-price 0.01 --yes --json --hub ... --wallet ... --out ...

What happens: the scene is checked here, sent, and priced. You see the price and say yes; only then
is it paid, and only then does anyone render. Frames arrive as DIR/SCENE_0001.png and so on, and
replace files of the same names. If the job fails, the money comes back by itself.

Stopped in the middle? The same command again goes on where it stopped and never pays twice; what it
needs for that is in DIR/.framefair.";

const WALLET_EXAMPLES: &str = "\
Examples:
  framefair wallet new me.json
  framefair wallet airdrop 2 --wallet me.json
  framefair wallet balance --wallet me.json

A wallet is one file that holds a secret key, in the form of Solana's own tools. Whoever has the
file has the money: keep a copy, and show it to nobody.";

const NODE_EXAMPLES: &str = "\
Examples:
  framefair node run --hub http://127.0.0.1:8000 --wallet node.json
  framefair node run --hub https://hub.example.org --wallet node.json --name attic \\
      --price-frame 0.002 --price-second 0.0001 --price-min 0.005

The node finds Blender and the machine's devices, registers under its wallet, and renders what is
sent to it, each scene in a sandbox. Ctrl-C gives unfinished work back and ends it.";

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
    /// Render a scene: send it, see the price, pay, wait, receive the frames
    Render(Box<Render>),
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
#[command(after_long_help = RENDER_EXAMPLES)]
pub(crate) struct Render {
    /// The scene: .blend, .obj, .fbx, .gltf, .glb, .stl or .dae
    pub(crate) scene: PathBuf,
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
    /// Decline every price above this many SOL
    #[arg(long, value_name = "SOL", value_parser = sol)]
    pub(crate) max_price: Option<Lamports>,
    /// Pay without asking
    #[arg(long, short)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) hub: ToHub,
    #[command(flatten)]
    pub(crate) wallet: WithWallet,
    /// The folder for the frames; it is made when absent
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) chain: OnChain,
    /// Seconds without an answer from the hub after which to give up
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) timeout: u64,
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

#[derive(Debug, Subcommand)]
pub(crate) enum Node {
    /// Register this machine and render for money until Ctrl-C
    #[command(after_long_help = NODE_EXAMPLES)]
    Run(Box<NodeRun>),
}

#[derive(Debug, Args)]
pub(crate) struct NodeRun {
    #[command(flatten)]
    pub(crate) hub: ToHub,
    #[command(flatten)]
    pub(crate) wallet: WithWallet,
    /// Asked for each frame, in SOL
    #[arg(long, value_name = "SOL", default_value = "0.001", value_parser = price)]
    pub(crate) price_frame: Lamports,
    /// Asked for each second, in SOL; a job counts as 60 seconds
    #[arg(long, value_name = "SOL", default_value = "0.0001", value_parser = price)]
    pub(crate) price_second: Lamports,
    /// Asked for each GiB of scene, in SOL
    #[arg(long, value_name = "SOL", default_value = "0.01", value_parser = price)]
    pub(crate) price_gb: Lamports,
    /// Asked at least for a job, in SOL
    #[arg(long, value_name = "SOL", default_value = "0.005", value_parser = price)]
    pub(crate) price_min: Lamports,
    /// The name that others see [default: the machine's]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// The Blender to use, if not the one on PATH
    #[arg(long, value_name = "PATH")]
    pub(crate) blender: Option<PathBuf>,
    /// Render without a sandbox: a scene can then do all that you can do on this machine
    #[arg(long)]
    pub(crate) no_sandbox: bool,
    /// Jobs at the same time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) max_jobs: u32,
    /// The folder for scenes and frames in work [default: one under the system's temporary folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) work: Option<PathBuf>,
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

/// What a provider asks; nothing is a price too.
fn price(text: &str) -> Result<Lamports, String> {
    let price =
        Lamports::from_sol(text).map_err(|error| format!("{error}; write it as in 0.001"))?;
    let max = framefair_domain::quote::PRICE_MAX;
    if price > max { Err(format!("a price is at most {max}")) } else { Ok(price) }
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;
