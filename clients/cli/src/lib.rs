//! framefair: render, pay, watch, wallet, node. The command line of the marketplace, as a library so
//! that its parts can be tested; `main.rs` only starts it.

mod account;
mod args;
mod clock;
mod doctor;
mod exit;
mod follow;
mod hub;
mod jobs;
mod key;
mod node;
mod place;
mod providers;
mod purse;
mod record;
mod render;
mod result;
mod screen;
mod settings;
mod status;
mod table;
mod up;
mod wallet;
mod watch;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::args::{Cli, Command, Ledger, Node};
use crate::exit::{Exit, Failure};
use crate::screen::{Report, Screen};

/// Runs one command line and says how it ended.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(refused) => return usage(&refused, &arguments),
    };
    let json = cli.json;
    let ended = prepare(&cli).and_then(|runtime| {
        let ended = runtime.block_on(perform(&cli));
        // A thread may still wait for an answer on the terminal; nobody waits for the thread.
        runtime.shutdown_background();
        ended
    });
    match ended {
        Ok(report) => {
            say(if json { &report.json } else { &report.human });
            ExitCode::SUCCESS
        }
        Err(failure) => fail(&failure, json),
    }
}

fn prepare(cli: &Cli) -> Result<tokio::runtime::Runtime, Failure> {
    // A second call finds the provider in place, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| {
        EnvFilter::new(if matches!(cli.command, Command::Node(_)) { "info" } else { "warn" })
    });
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Already set only where a test runs two commands in one process.
    let _ = if cli.json { logs.json().try_init() } else { logs.with_target(false).try_init() };
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
        Failure::new(Exit::Files, "the program could not start its threads", error)
    })
}

async fn perform(cli: &Cli) -> Result<Report, Failure> {
    let screen = Screen::new(cli.json);
    let work = async {
        match &cli.command {
            Command::Render(args) => render::run(args, &screen).await,
            Command::Jobs(args) => jobs::run(args).await,
            Command::Watch(args) => watch::run(args, &screen).await,
            Command::Status(args) => status::status(args).await,
            Command::Providers(args) => providers::run(args).await,
            Command::Cancel(args) => status::cancel(args).await,
            Command::Wallet(command) => wallet::run(command).await,
            Command::Node(Node::Run(args)) => node::run(args, &screen).await,
            Command::Login(args) => account::login::run(args).await,
            Command::Credits(args) => account::credits::run(args).await,
            Command::Nodes(args) => account::nodes::run(args).await,
            Command::Dispatch(args) => account::dispatch::run(args, &screen).await,
            Command::Ledger(Ledger::Verify(args)) => account::ledger::verify(args).await,
            Command::Ledger(Ledger::Audit(args)) => account::audit::audit(args, &screen).await,
            Command::Doctor(args) => doctor::run(args).await,
            Command::Up(args) => match up::run(args)? {},
        }
    };
    if matches!(cli.command, Command::Node(_)) {
        return work.await;
    }
    tokio::select! {
        ended = work => ended,
        Ok(()) = tokio::signal::ctrl_c() => Err(interrupted(&cli.command)),
    }
}

fn interrupted(command: &Command) -> Failure {
    let failure = Failure::new(Exit::Interrupted, "interrupted", "");
    match command {
        Command::Render(_) => failure
            .hint("The same command again goes on where this one stopped, and does not pay twice."),
        Command::Watch(_) => failure.hint("The job goes on without us."),
        _ => failure,
    }
}

fn fail(failure: &Failure, json: bool) -> ExitCode {
    if json {
        say(&failure.to_json().to_string());
    } else {
        if !failure.shown().is_empty() {
            say(failure.shown());
        }
        // Nobody is left to tell when stderr is gone.
        let _ = writeln!(std::io::stderr().lock(), "{failure}");
    }
    ExitCode::from(failure.exit.code())
}

/// clap's own words; with `--json` in a document, like any other failure.
fn usage(refused: &clap::Error, arguments: &[OsString]) -> ExitCode {
    let json = arguments.iter().any(|argument| argument == "--json");
    if json && refused.use_stderr() {
        let text = refused.to_string();
        let text = text
            .strip_prefix("error: ")
            .unwrap_or(&text)
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned();
        let failure = Failure::new(Exit::Usage, "the command line was wrong", text)
            .hint("`framefair --help` shows what there is.");
        return fail(&failure, true);
    }
    let _ = refused.print();
    ExitCode::from(if refused.use_stderr() { Exit::Usage.code() } else { 0 })
}

/// A closed pipe (`| head`) is no failure of the command.
fn say(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}
