//! `framefair up`: becomes `framefair-local`, which lies beside this program. Knows nothing of hubs.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use crate::args::Up;
use crate::exit::{Exit, Failure};

const PROGRAM: &str = "framefair-local";

/// Returns only when it could not start. The program takes this one's place, so signals and the
/// exit code are its own.
pub(crate) fn run(args: &Up) -> Result<std::convert::Infallible, Failure> {
    let program = beside().map_err(|error| absent(&error))?;
    let mut command = Command::new(&program);
    command.args(&args.arguments);
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        Err(absent(&command.exec()))
    }
    #[cfg(not(unix))]
    {
        let ended = command.status().map_err(|error| absent(&error))?;
        Err(Failure::new(Exit::Files, format!("{PROGRAM} ended"), ended))
    }
}

/// Only there: a program of this name elsewhere on PATH may be of another version.
fn beside() -> std::io::Result<PathBuf> {
    let own = env::current_exe()?;
    Ok(own.with_file_name(format!("{PROGRAM}{}", env::consts::EXE_SUFFIX)))
}

fn absent(error: &std::io::Error) -> Failure {
    Failure::new(Exit::Files, format!("{PROGRAM} could not be started"), error).hint(format!(
        "It belongs into the same folder as this program. In a checkout: `cargo build --package {PROGRAM}`."
    ))
}
