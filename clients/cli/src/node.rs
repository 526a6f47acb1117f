//! `framefair node run`: hands this machine over to the node agent. Renders nothing itself.

use framefair_domain::quote::Tariff;
use framefair_node::agent::{self, AgentConfig, AgentError, Identity, News};
use framefair_node::machine::{Eevee, Options};
use framefair_node::sandbox::Sandbox;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::args::NodeRun;
use crate::exit::{Exit, Failure, plain};
use crate::screen::{Report, Screen};

/// Runs until Ctrl-C or SIGTERM; unfinished work is given back first.
pub(crate) async fn run(args: &NodeRun, screen: &Screen) -> Result<Report, Failure> {
    let wallet = crate::purse::load(&args.wallet.wallet)?.wallet();
    let key = crate::key::load(&args.wallet.wallet)?;
    let sandbox = if args.no_sandbox {
        Sandbox::None
    } else {
        Sandbox::detect().await.map_err(|why| {
            let next = "install bubblewrap, or take the risk with --no-sandbox";
            Failure::new(Exit::Usage, format!("scenes cannot be sandboxed here: {why}"), next)
        })?
    };
    let machine = Options {
        blenders: args.blender.iter().cloned().collect(),
        sandbox,
        eevee: Eevee::IfGpu,
        gpu: true,
    };
    let config = AgentConfig {
        hub: args.hub.hub.to_string(),
        identity: Identity::new(wallet, move |text| key.sign(text)),
        name: args.name.clone().unwrap_or_else(machine_name),
        tariff: Tariff {
            frame: args.price_frame,
            second: args.price_second,
            gb: args.price_gb,
            minimum: args.price_min,
        },
        machine,
        renders: !args.no_blender,
        slots: args.max_jobs,
        work: args.work.clone().unwrap_or_else(|| std::env::temp_dir().join("framefair-node")),
    };
    let stop = CancellationToken::new();
    tokio::spawn(cancel_on_signal(stop.clone()));
    let screen = screen.clone();
    agent::run(config, stop, move |news| tell(&screen, news)).await.map_err(failure)?;
    Ok(Report::new("stopped", &json!({ "ok": true })))
}

fn failure(error: AgentError) -> Failure {
    let (exit, next) = match &error {
        AgentError::NoMachine(_) => (Exit::Usage, "see --blender and --no-blender"),
        AgentError::Refused(_) => (Exit::Network, "check the wallet, the clock and the prices"),
        AgentError::Replaced => {
            (Exit::Usage, "stop the other one, or give this one its own wallet")
        }
        AgentError::Hub(_) => (Exit::Usage, "give --hub http://HOST:PORT"),
        AgentError::Work { .. } => (Exit::Files, "give another folder with --work"),
        AgentError::Http(_) | AgentError::Garbled(_) => {
            (Exit::Network, "check that the hub runs and try again")
        }
    };
    Failure::new(exit, error.to_string(), next)
}

/// What a line shows at most of what a hub says.
const LINE_CHARS_MAX: usize = 1_000;

/// One line for each thing that happens.
fn tell(screen: &Screen, news: News) {
    let (event, human, json) = match news {
        News::Machine(what) => ("machine", what.clone(), json!({ "what": what })),
        News::Registered(id) => {
            ("registered", format!("as provider {id}"), json!({ "provider": id }))
        }
        News::Joined { node, capabilities } => {
            let human = format!("creators' node {node}: {}", capabilities.join(", "));
            ("joined", human, json!({ "node": node, "capabilities": capabilities }))
        }
        News::Online => ("online", "waiting for work".to_owned(), json!({})),
        News::Offline(why) => ("offline", why.clone(), json!({ "why": why })),
        News::Started { job, frames } => {
            ("started", format!("{job}, frames: {frames}"), json!({ "job": job, "frames": frames }))
        }
        News::Frame { job, frame } => {
            ("uploaded", format!("{job}, frame {frame}"), json!({ "job": job, "frame": frame }))
        }
        News::Delivered { job } => ("delivered", job.clone(), json!({ "job": job })),
        News::Settled { job, outcome } => {
            ("settled", format!("{job}: {outcome}"), json!({ "job": job, "outcome": outcome }))
        }
        News::Failed { job, why } => {
            ("failed", format!("{job}: {why}"), json!({ "job": job, "why": why }))
        }
    };
    screen.tell(event, &format!("{event:<10} {}", plain(&human, LINE_CHARS_MAX)), json);
}

fn machine_name() -> String {
    let name = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "framefair node".to_owned() } else { name.chars().take(100).collect() }
}

async fn cancel_on_signal(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    if let Ok(mut terminate) = signal(SignalKind::terminate()) {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    } else {
        drop(tokio::signal::ctrl_c().await);
    }
    stop.cancel();
}
