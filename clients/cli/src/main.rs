//! The program `framefair`. Everything it knows is in the library beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    framefair_cli::run(std::env::args_os())
}
