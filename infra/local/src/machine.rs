//! Starts everything in order, and stops it in the reverse order.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use framefair_app::credits::Payments;
use framefair_app::metrics::MetricsToken;
use framefair_app::provider::learn_online;
use framefair_app::settlement::Signers;
use framefair_app::{Call, Ctx, Platform, watch};
use framefair_chain::{Chain, Commitment, Seam as ChainSeam, wallet};
use framefair_creator::Creator;
use framefair_devcloud::DevCloud;
use framefair_domain::money::{LAMPORTS_PER_SOL, Lamports};
use framefair_domain::wallet::Wallet;
use framefair_http::rate::{Counters, limited};
use framefair_http::{Api, Flush, flush_for_ever, frame, measured};
use framefair_localnet::Localnet;
use framefair_market::Market;
use framefair_outbound::{NotReady, Outbound, Reach};
use framefair_relay::{Relay, ingest, serve};
use framefair_store::{Config as StoreConfig, Seam as StoreSeam, Store, setup};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::folder::{CloudKey, Folder, Ports};
use crate::work;

/// How the machine is to run.
#[derive(Clone, Debug)]
pub struct Options {
    pub data: PathBuf,
    pub ports: Ports,
    pub slot_ms: u64,
    pub rate_limits: bool,
    /// Whether clients pay their providers and not escrow.
    pub direct: bool,
    /// How long an entry of the ledger may wait to be anchored.
    pub anchor_after_ms: Option<u32>,
    /// How long a node whose socket is lost may take to come back.
    pub reconnect_grace_ms: u32,
    /// How often sockets are pinged.
    pub ping_every_ms: u32,
    pub providers: Providers,
    /// What credits are sold with.
    pub payments: Payments,
    /// Who shows it may see the totals; without one, everybody may.
    pub metrics_token: Option<MetricsToken>,
    /// What its calls to the embedded cloud pass.
    pub seam: StoreSeam,
}

/// How providers are treated that get their tasks at an endpoint of their own.
#[derive(Clone, Copy, Debug)]
pub struct Providers {
    /// Whether that endpoint may be on this machine.
    pub allow_loopback: bool,
    /// How often they are asked for their health.
    pub probe_every_ms: u32,
    /// How long they may be silent.
    pub silence_max_ms: u32,
    /// What dials them.
    pub outbound: fn(Reach) -> Result<Outbound, NotReady>,
}

impl Default for Providers {
    fn default() -> Providers {
        Providers {
            allow_loopback: false,
            probe_every_ms: 30_000,
            silence_max_ms: 300_000,
            outbound: Outbound::new,
        }
    }
}

/// What escrow owns from the start, so that its account exists whatever else it holds.
const FLOAT: Lamports = Lamports(LAMPORTS_PER_SOL);
/// Pays network fees: of payouts, and of anchors.
const GAS: Lamports = Lamports(10 * LAMPORTS_PER_SOL);
/// The one relay of one machine.
const RELAY_SLOT: u8 = 0;
/// Larger than the largest scene and the largest zip of frames.
const OBJECT_BYTES_MAX: u64 = 8 << 30;
/// How long requests in flight may take to end.
const DRAIN: Duration = Duration::from_secs(5);

/// A running system.
pub struct Machine {
    pub hub: SocketAddr,
    pub ports: Ports,
    pub escrow: Wallet,
    pub ctx: Ctx,
    closing: CancellationToken,
    tasks: JoinSet<()>,
    cloud: DevCloud,
    chain: Localnet,
    _folder: Folder,
}

pub(crate) fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// The embedded cloud and chain of a folder.
pub(crate) async fn start_services(
    folder: &Folder,
    key: &CloudKey,
    ports: Ports,
    slot_ms: u64,
) -> Result<(DevCloud, Localnet)> {
    let cloud = DevCloud::start(framefair_devcloud::Config {
        data_dir: folder.path("cloud"),
        addr: loopback(ports.aws),
        access_key: key.access_key.clone(),
        secret_key: key.secret_key.clone(),
        object_size_max: OBJECT_BYTES_MAX,
    })
    .await
    .context("the embedded cloud did not start")?;
    let chain = start_chain(folder.path("chain"), ports.rpc, slot_ms).await?;
    Ok((cloud, chain))
}

/// The embedded chain alone, on loopback.
pub async fn start_chain(data: PathBuf, rpc_port: u16, slot_ms: u64) -> Result<Localnet> {
    let rpc_addr = loopback(rpc_port);
    let chain = Localnet::start(framefair_localnet::Config { data_dir: data, rpc_addr, slot_ms });
    chain.await.context("the embedded chain did not start")
}

/// The clients of a running cloud and chain.
pub(crate) async fn connect(
    aws_url: &str,
    rpc_url: &str,
    key: &CloudKey,
    escrow: Wallet,
    seam: StoreSeam,
) -> Result<Ctx> {
    let config = StoreConfig::local(aws_url, &key.access_key, &key.secret_key);
    let store = Store::open(config, seam)?;
    let chain = framefair_chain::Config {
        rpc_url: rpc_url.to_owned(),
        second_rpc_url: None,
        genesis_hash: None,
        timeout_ms: 10_000,
    };
    let chain = Chain::connect(chain, ChainSeam::default()).await?;
    Ok(Ctx::new(store, chain, Platform::new(escrow)))
}

impl Machine {
    pub async fn start(options: Options) -> Result<Machine> {
        let folder = Folder::open(&options.data)?;
        let key = folder.cloud_key()?;
        let signers = Signers { escrow: folder.signer("escrow")?, gas: folder.signer("gas")? };
        let escrow = signers.escrow.wallet();
        // The hub's port first: a taken port should cost nothing.
        let listener = TcpListener::bind(loopback(options.ports.hub)).await.with_context(|| {
            format!("port {} cannot be used; choose another with --port", options.ports.hub)
        })?;
        let hub = listener.local_addr()?;
        let (cloud, chain) = start_services(&folder, &key, options.ports, options.slot_ms).await?;
        let mut ctx =
            connect(&cloud.endpoint_url(), &chain.rpc_url(), &key, escrow, options.seam).await?;
        ctx.platform.read_rules()?;
        ctx.platform.upload_secret = Some(folder.upload_secret()?);
        let authority = folder.signer("anchor")?;
        ctx.platform.anchor = Some(authority.wallet());
        if let Some(after_ms) = options.anchor_after_ms {
            ctx.platform.anchor_after_ms = after_ms.into();
        }
        ctx.platform.tokens = Some(folder.token_keys()?);
        ctx.platform.payments = options.payments;
        ctx.platform.metrics_token = options.metrics_token;
        ctx.platform.rate_limits = options.rate_limits;
        ctx.platform.direct = options.direct;
        ctx.platform.reconnect_grace_ms = options.reconnect_grace_ms.into();
        ctx.platform.ping_every_ms = options.ping_every_ms.max(1).into();
        ctx.platform.reach.loopback = options.providers.allow_loopback;
        ctx.platform.probe_every_ms = options.providers.probe_every_ms.into();
        ctx.platform.silence_max_ms = options.providers.silence_max_ms.into();
        setup::ensure(&ctx.store, 1).await.context("the table could not be made")?;
        fund(&ctx, &signers, &authority.wallet()).await?;

        let ports =
            Ports { hub: hub.port(), rpc: chain.rpc_addr().port(), aws: cloud.addr().port() };
        folder.remember_ports(ports)?;
        let closing = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let outbound = (options.providers.outbound)(ctx.platform.reach.clone())?;
        let relay = Relay::new(ctx.clone(), outbound, RELAY_SLOT, closing.clone());
        relay.take_over().await?;
        learn_online(&ctx).await?;
        let router = hub_router(&ctx, &relay, options.rate_limits);
        tasks.spawn(relay.run());
        let (counts, until) = (ctx.clone(), closing.clone());
        tasks.spawn(async move {
            let _ = until.run_until_cancelled(flush_for_ever(counts)).await;
        });
        work::spawn(&mut tasks, &ctx, signers, authority, &closing);
        let stop = closing.clone();
        tasks.spawn(async move {
            if let Err(error) = serve(listener, router, stop).await {
                tracing::error!(%error, "The hub stopped serving");
            }
        });
        Ok(Machine { hub, ports, escrow, ctx, closing, tasks, cloud, chain, _folder: folder })
    }

    /// Ends what is running; what was answered stays.
    pub async fn stop(mut self) {
        self.closing.cancel();
        let drained =
            tokio::time::timeout(DRAIN, async { while self.tasks.join_next().await.is_some() {} });
        if drained.await.is_err() {
            self.tasks.shutdown().await;
        }
        self.ctx.flush_all_metrics(&mut Call::live()).await;
        self.chain.shutdown().await;
        self.cloud.shutdown().await;
    }
}

/// Every face under one origin, the market also under `/hub`.
fn hub_router(ctx: &Ctx, relay: &Arc<Relay>, rate_limits: bool) -> Router {
    let api = Api::new(ctx.clone());
    let (edge, _) = framefair_edge::edge();
    let counters = Arc::new(Counters::default());
    let counters = rate_limits.then_some(&counters);
    let (market, creator) = (framefair_market::SURFACE, framefair_creator::SURFACE);
    let mut others = edge.merge(framefair_docs::router());
    if let Some(counters) = counters {
        others = limited::<Creator>(others, counters, creator.rates);
    }
    // Large files come in once it is known that the call is not one too many.
    let files = |router| ingest::<Market>(ctx.clone(), router);
    let market = market.guarded::<Market>(files(market.whole(api.clone())), counters);
    let creator = creator.guarded::<Creator>(files(creator.whole(api)), counters);
    let all = others.merge(relay.router(counters)).merge(creator);
    let all = all.merge(market.clone()).nest("/hub", market);
    frame(measured(framefair_edge::surround(all), ctx.clone(), Flush::Aside))
}

/// Gives escrow and those who pay fees what they need to start with, from the chain's faucet.
async fn fund(ctx: &Ctx, signers: &Signers, anchor: &Wallet) -> Result<()> {
    let escrow = signers.escrow.wallet();
    if ctx.chain.balance(&escrow, Commitment::Confirmed).await? < FLOAT {
        let signature = wallet::airdrop(&ctx.chain, &escrow, FLOAT).await?;
        watch::book_float(ctx, &Call::live(), &signature).await?;
    }
    for payer in [&signers.gas.wallet(), anchor] {
        if ctx.chain.balance(payer, Commitment::Confirmed).await? < Lamports(LAMPORTS_PER_SOL) {
            wallet::airdrop(&ctx.chain, payer, GAS).await?;
        }
    }
    Ok(())
}
