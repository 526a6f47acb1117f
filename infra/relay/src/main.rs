//! The relay as a service of its own: told what to do by its environment, asked by `GET /health` how it
//! is, and ended in order by SIGTERM. What a socket is served with stands in the library.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::routing::get;
use axum::{Json, Router};
use framefair_app::{Call, Ctx};
use framefair_creator::Creator;
use framefair_http::rate::{Counters, limited, wanted};
use framefair_http::{Flush, Front, flush_for_ever, measured};
use framefair_market::Market;
use framefair_outbound::{Home, Outbound};
use framefair_relay::{Onward, Relay, forward, ingest, serve};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// All interfaces: a container is shut in by its security group.
const LISTEN: &str = "0.0.0.0:8080";
/// How long sockets may take to end.
const SOCKETS_END: Duration = Duration::from_secs(20);
/// How long requests may take to end: they carry files. A container has 120 s.
const REQUESTS_END: Duration = Duration::from_secs(110);

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// `LISTEN` (an address and a port), `RELAY_SLOTS` (how many hint queues there are), `API_ORIGIN` (where
/// a request goes whose file was taken in), what [`Front::from_env`] reads, and [`Ctx::from_env`].
async fn run() -> Result<()> {
    let listen = std::env::var("LISTEN").unwrap_or_else(|_| LISTEN.into());
    let listen: SocketAddr = listen.parse().context("LISTEN must be ADDRESS:PORT")?;
    let slots = std::env::var("RELAY_SLOTS").context("RELAY_SLOTS is not set")?;
    let slots: u8 = slots.parse().ok().filter(|slots| *slots > 0).with_context(|| {
        format!("RELAY_SLOTS must be the number of hint queues, 1 to 255, not {slots:?}")
    })?;
    let origin = std::env::var("API_ORIGIN").context("API_ORIGIN is not set")?;
    let (front, home) = (Front::from_env()?, Home::new(&origin).context("API_ORIGIN")?);
    open_many_files();
    let ctx = Ctx::from_env().await?;
    ctx.upload_secret()?;
    let outbound = Outbound::new(ctx.platform.reach.clone())?;
    let listener =
        TcpListener::bind(listen).await.with_context(|| format!("no port at {listen}"))?;

    let closing = CancellationToken::new();
    tokio::spawn(close_on_signal(closing.clone())?);
    let Some(relay) = Relay::settle(ctx.clone(), outbound, slots, closing.clone()).await else {
        return Ok(());
    };
    tracing::info!(slot = relay.slot(), %listen, "The relay serves");
    let onward = Onward { home, front: front.clone() };
    let counters = wanted()?.then(|| Arc::new(Counters::default()));
    let mut way_in = ingest::<Market>(ctx.clone(), forward::<Market>(onward));
    let mut pages = framefair_docs::router();
    if let Some(counters) = &counters {
        // Before anything is read. What goes on to the API is counted there, too, for all relays together.
        way_in = limited::<Market>(way_in, counters, framefair_market::SURFACE.rates);
        pages = limited::<Creator>(pages, counters, framefair_creator::SURFACE.rates);
    }
    let open = relay.router(counters.as_ref()).merge(pages);
    let open = measured(framefair_edge::surround(open), ctx.clone(), Flush::Aside);
    let mut router = open.merge(way_in);
    if let Some(front) = front {
        router = front.before(router);
    }
    let router = router.merge(health(relay.slot()));
    let running = tokio::spawn(relay.clone().run());
    tokio::spawn(flush_for_ever(ctx.clone()));
    let stopped = closing.clone();
    let serving = tokio::spawn(serve(listener, framefair_http::frame(router), stopped));
    closing.cancelled().await;
    let sockets = async {
        relay.drained().await;
        running.await
    };
    let (sockets, requests) = tokio::join!(
        tokio::time::timeout(SOCKETS_END, sockets),
        tokio::time::timeout(REQUESTS_END, serving)
    );
    ctx.flush_all_metrics(&mut Call::live()).await;
    if sockets.is_err() || requests.is_err() {
        tracing::warn!("Some connections did not end in time");
    }
    sockets.unwrap_or(Ok(()))?;
    requests.map_or(Ok(()), |served| served?.context("the port failed"))
}

/// A socket is an open file, and a shell's usual 1,024 of them are few.
fn open_many_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "The limit of open files could not be raised");
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
