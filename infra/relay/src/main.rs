//! The relay as a service of its own: told what to do by its environment, asked by `GET /health` how it
//! is, and ended in order by SIGTERM. What a socket is served with stands in the library.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::routing::get;
use axum::{Json, Router};
use framefair_app::Ctx;
use framefair_outbound::Outbound;
use framefair_relay::Relay;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// All interfaces: a container is shut in by its security group.
const LISTEN: &str = "0.0.0.0:8080";
/// How long sockets and requests may take to end. A container has 120 s.
const DRAIN: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).init();
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// `LISTEN` (an address and a port), `RELAY_SLOTS` (how many hint queues there are), and what
/// [`Ctx::from_env`] reads.
async fn serve() -> Result<()> {
    let listen = std::env::var("LISTEN").unwrap_or_else(|_| LISTEN.into());
    let listen: SocketAddr = listen.parse().context("LISTEN must be ADDRESS:PORT")?;
    let slots = std::env::var("RELAY_SLOTS").context("RELAY_SLOTS is not set")?;
    let slots: u8 = slots.parse().ok().filter(|slots| *slots > 0).with_context(|| {
        format!("RELAY_SLOTS must be the number of hint queues, 1 to 255, not {slots:?}")
    })?;
    let ctx = Ctx::from_env().await?;
    let outbound = Outbound::new(ctx.platform.reach.clone())?;
    let listener =
        TcpListener::bind(listen).await.with_context(|| format!("no port at {listen}"))?;

    let closing = CancellationToken::new();
    tokio::spawn(close_on_signal(closing.clone())?);
    let Some(relay) = Relay::settle(ctx, outbound, slots, closing.clone()).await else {
        return Ok(());
    };
    tracing::info!(slot = relay.slot(), %listen, "The relay serves");
    let router = relay.router().merge(health(relay.slot()));
    let running = tokio::spawn(relay.clone().run());
    let stopped = closing.clone().cancelled_owned();
    let serving = tokio::spawn(async move {
        axum::serve(listener, framefair_http::frame(router)).with_graceful_shutdown(stopped).await
    });
    closing.cancelled().await;
    let ended = async {
        relay.drained().await;
        running.await?;
        serving.await?.context("the sockets' port failed")
    };
    match tokio::time::timeout(DRAIN, ended).await {
        Ok(ended) => ended,
        Err(_) => {
            tracing::warn!("Some connections did not end in time");
            Ok(())
        }
    }
}

/// For the load balancer alone: who answers holds a slot.
fn health(slot: u8) -> Router {
    let body = serde_json::json!({ "status": "ok", "service": "framefair-relay", "slot": slot });
    Router::new().route("/health", get(move || async move { Json(body) }))
}

fn close_on_signal(closing: CancellationToken) -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("The relay closes");
        closing.cancel();
    })
}
