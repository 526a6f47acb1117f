//! The command line of `framefair dispatch`.

use std::path::PathBuf;

use clap::Args;

use super::words::DISPATCH_EXAMPLES;
use super::{Patience, WithSession};

#[derive(Debug, Args)]
#[command(after_long_help = DISPATCH_EXAMPLES)]
pub(crate) struct Dispatch {
    /// What is to be done: echo, cpu_benchmark, generic, inference, render
    #[arg(value_name = "TYPE")]
    pub(crate) kind: String,
    /// What to work on: text, or a reference such as https://... ; 500 characters at most
    #[arg(value_name = "PAYLOAD", default_value = "{}")]
    pub(crate) payload: String,
    /// Send this file and let the job work on it: a scene, a model, a module, a text
    #[arg(long, value_name = "FILE", conflicts_with = "payload")]
    pub(crate) file: Option<PathBuf>,
    /// Before or after others that wait
    #[arg(long, value_parser = ["low", "normal", "high"])]
    pub(crate) priority: Option<String>,
    /// Only on a machine with a GPU
    #[arg(long)]
    pub(crate) gpu: bool,
    /// The file for the result [default: text is shown, and of anything else its link]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Do not wait for the end
    #[arg(long, conflicts_with = "out")]
    pub(crate) no_wait: bool,
    #[command(flatten)]
    pub(crate) patience: Patience,
    #[command(flatten)]
    pub(crate) session: WithSession,
}
