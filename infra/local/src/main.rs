//! `framefair-local`: the hub on one machine, and the audit of its money.

mod admin;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use framefair_app::SettlementId;
use framefair_http::{Origins, rate};
use framefair_local::{
    Books, Machine, Options, Ports, Providers, audit, metrics_token_from_env, payments_from_env,
    start_chain, unpark,
};
use framefair_store::Seam;
use tracing_subscriber::EnvFilter;

use crate::admin::{Admin, Whose};

/// The whole of Framefair in one process: hub, workers, relay, table, store, queues and a Solana
/// chain. Everything listens on loopback only and lies in one folder.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: Option<Run>,
}

#[derive(Subcommand)]
enum Command {
    /// Prove to the lamport that escrow holds what it must; exits 1 when it does not.
    Audit {
        #[command(flatten)]
        whose: Whose,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Have a parked settlement tried again, once what stopped it is repaired.
    Unpark {
        #[command(flatten)]
        whose: Whose,
        /// The job, or the wallet that is owed a debt, as the log named it.
        settlement: SettlementId,
    },
    /// Accounts, credits, nodes and jobs, in an operator's hands.
    Admin {
        #[command(subcommand)]
        action: Admin,
    },
    /// Run the embedded chain alone, for what runs elsewhere.
    Chain {
        /// Where the chain is kept; made when missing.
        #[arg(long)]
        data: PathBuf,
        /// The JSON-RPC port; the WebSocket is on the next one.
        #[arg(long, default_value_t = 8899)]
        rpc_port: u16,
        /// Milliseconds per slot.
        #[arg(long, default_value_t = 400, value_parser = slot_ms())]
        slot_ms: u64,
    },
}

#[derive(Args)]
struct Run {
    /// Where everything is kept; made when missing.
    #[arg(long)]
    data: PathBuf,
    /// The hub's port.
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// The chain's JSON-RPC port; its WebSocket is on the next one.
    #[arg(long, default_value_t = 8899)]
    rpc_port: u16,
    /// The port of DynamoDB, S3 and SQS. Keep it: links to files name it.
    #[arg(long, default_value_t = 8001)]
    aws_port: u16,
    /// Milliseconds per slot of the chain; a payment is final after 32.
    #[arg(long, default_value_t = 400, value_parser = slot_ms())]
    slot_ms: u64,
    /// Milliseconds in which a node whose socket is lost may come back and keep its tasks.
    #[arg(long, env = "FRAMEFAIR_RECONNECT_GRACE_MS", default_value_t = 30_000)]
    reconnect_grace_ms: u32,
    /// Milliseconds between two pings of a node's socket.
    #[arg(long, env = "PING_EVERY_MS", default_value_t = 30_000, value_parser = clap::value_parser!(u32).range(100..))]
    ping_every_ms: u32,
    /// Let providers have their endpoints on this machine. Without it the hub dials public addresses
    /// only.
    #[arg(long)]
    allow_loopback_providers: bool,
    /// Milliseconds between two looks at the health of providers that have endpoints.
    #[arg(long, env = "FRAMEFAIR_PROBE_EVERY_MS", default_value_t = 30_000, value_parser = clap::value_parser!(u32).range(100..))]
    probe_every_ms: u32,
    /// Milliseconds for which such a provider may be silent before it is shown as offline and its
    /// task goes to another one.
    #[arg(long, env = "FRAMEFAIR_PROVIDER_SILENCE_MS", default_value_t = 300_000)]
    provider_silence_ms: u32,
    /// Whom clients pay: `escrow`, which pays the provider once the picture is verified and gives the
    /// money back otherwise; or `direct`, the provider itself, without fee and without a way back.
    #[arg(long, env = "SETTLEMENT", default_value = "escrow", value_parser = ["escrow", "direct"])]
    settlement: String,
    /// Milliseconds for which an entry of the ledger may wait before it is anchored on the chain; as long as
    /// ANCHOR_INTERVAL_SECONDS says, or five minutes, if neither is given.
    #[arg(long, env = "FRAMEFAIR_ANCHOR_AFTER_MS")]
    anchor_after_ms: Option<u32>,
    /// For tests: count no requests, as with RATE_LIMITS=off.
    #[arg(long)]
    no_rate_limits: bool,
    /// Open the hub in a browser once it is up.
    #[arg(long)]
    open: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let cli = Cli::parse();
    let done = match (cli.command, cli.run) {
        (Some(Command::Audit { whose, json }), _) => print_audit(&whose.into(), json).await,
        (Some(Command::Unpark { whose, settlement }), _) => {
            unpark(&whose.into(), settlement).await.map(|()| ExitCode::SUCCESS)
        }
        (Some(Command::Admin { action }), _) => admin::administer(action).await,
        (Some(Command::Chain { data, rpc_port, slot_ms }), _) => {
            run_chain(data, rpc_port, slot_ms).await
        }
        (None, Some(run)) => serve(run).await.map(|()| ExitCode::SUCCESS),
        (None, None) => {
            eprintln!("framefair-local: give --data DIR, or see --help");
            return ExitCode::from(2);
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("framefair-local: {error:#}");
        ExitCode::FAILURE
    })
}

async fn serve(run: Run) -> Result<()> {
    Origins::check()?;
    if run.no_rate_limits {
        rate::may_be_off()?;
    }
    let rate_limits = rate::wanted()? && !run.no_rate_limits;
    let ports = Ports { hub: run.port, rpc: run.rpc_port, aws: run.aws_port };
    let data = run.data.clone();
    let machine = Machine::start(Options {
        data: run.data,
        ports,
        slot_ms: run.slot_ms,
        rate_limits,
        direct: run.settlement == "direct",
        anchor_after_ms: run.anchor_after_ms,
        reconnect_grace_ms: run.reconnect_grace_ms,
        ping_every_ms: run.ping_every_ms,
        providers: Providers {
            allow_loopback: run.allow_loopback_providers,
            probe_every_ms: run.probe_every_ms,
            silence_max_ms: run.provider_silence_ms,
            ..Providers::default()
        },
        metrics_token: metrics_token_from_env(),
        payments: payments_from_env(&format!("http://127.0.0.1:{}/providers", run.port))?,
        seam: Seam::off(),
    })
    .await?;
    let url = format!("http://{}", machine.hub);
    println!("hub     {url}");
    println!(
        "rpc     http://127.0.0.1:{} (WebSocket on {})",
        machine.ports.rpc,
        machine.ports.rpc + 1
    );
    println!("aws     http://127.0.0.1:{} (DynamoDB, S3, SQS)", machine.ports.aws);
    println!("escrow  {}", machine.escrow);
    println!("data    {}", data.display());
    println!("ready   Ctrl-C stops it; what was answered stays");
    if run.open {
        drop(std::process::Command::new("xdg-open").arg(format!("{url}/providers")).spawn());
    }
    stop_signal().await?;
    println!("stopping");
    machine.stop().await;
    Ok(())
}

async fn stop_signal() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => {}
        done = tokio::signal::ctrl_c() => done?,
    }
    Ok(())
}

fn slot_ms() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(5..=60_000)
}

async fn run_chain(data: PathBuf, rpc_port: u16, slot_ms: u64) -> Result<ExitCode> {
    let chain = start_chain(data, rpc_port, slot_ms).await?;
    println!("rpc     {}", chain.rpc_url());
    stop_signal().await?;
    chain.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

async fn print_audit(books: &Books, json: bool) -> Result<ExitCode> {
    let audit = audit(books).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&audit)?);
    } else {
        print!("{audit}");
    }
    Ok(if audit.balances() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
