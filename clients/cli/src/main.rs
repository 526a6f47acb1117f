//! The program `framefair`. Everything it knows is in the library beside it, but for one thing: a node
//! starts it once more to carry out a stranger's payload, and that must come before all else.

use std::env::args_os;
use std::process::ExitCode;

fn main() -> ExitCode {
    framefair_node::runners::child(args_os()).unwrap_or_else(|| framefair_cli::run(args_os()))
}
