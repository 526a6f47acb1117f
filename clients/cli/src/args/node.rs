//! The command line of `framefair node`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use framefair_domain::money::Lamports;

use super::words::NODE_EXAMPLES;
use super::{ToHub, WithWallet};

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
    /// Take only creators' jobs that need no Blender: echo, cpu_benchmark, generic, inference
    #[arg(long, conflicts_with = "blender")]
    pub(crate) no_blender: bool,
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

/// What a provider asks; nothing is a price too.
fn price(text: &str) -> Result<Lamports, String> {
    let price =
        Lamports::from_sol(text).map_err(|error| format!("{error}; write it as in 0.001"))?;
    let max = framefair_domain::quote::PRICE_MAX;
    if price > max { Err(format!("a price is at most {max}")) } else { Ok(price) }
}
