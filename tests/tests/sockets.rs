//! What idle sockets cost the relay: its own process, real providers who authenticate and then only
//! send heartbeats. `FRAMEFAIR_BENCH_SOCKETS` says how many; the bench opens 10,000.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use ed25519_dalek::{Signer as _, SigningKey};
use framefair_chain::{Chain, Signer};
use framefair_domain::id::ProviderId;
use framefair_domain::money::Lamports;
use framefair_domain::quote::Tariff;
use framefair_domain::scheduling::Abilities;
use framefair_domain::signing;
use framefair_domain::time::Timestamp;
use framefair_domain::wallet::{TxSignature, Wallet};
use framefair_store::rows::{ProviderRow, RelayRow, Status};
use framefair_store::{Config, Seam, Store, When, Write, keys, setup};
use framefair_wire::market::{FromProvider, ToProvider};
use futures::SinkExt;
use futures::stream::{self, StreamExt};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

const SOCKETS: usize = 1_000;
/// Opened and used first: what the process needs once, it has by then.
const WARM: usize = 500;
const AT_ONCE: usize = 16;
const BYTES_EACH_MAX: u64 = 4 << 10;
/// The relay pings this often here for each thousand of sockets, and the providers send as many
/// heartbeats: one machine does the work of all.
const PING_EVERY: Duration = Duration::from_secs(2);
/// What is looked at lasts for this many of them.
const PINGS: u32 = 4;
/// What a process counts is in the table after two of its rounds.
const COUNTS_ARE_WRITTEN: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(120);
/// Both processes have one descriptor for each socket, and some for themselves.
const OPEN_FILES_BESIDES: u64 = 500;

struct Provider {
    id: ProviderId,
    key: SigningKey,
}

impl Provider {
    fn new(number: usize) -> Provider {
        let mut seed = [7; 32];
        seed[..8].copy_from_slice(&(number as u64).to_le_bytes());
        let mut chance = [0; 10];
        chance[..8].copy_from_slice(&(number as u64).to_be_bytes());
        Provider {
            id: ProviderId::new(Timestamp(1_764_000_000_000), chance),
            key: SigningKey::from_bytes(&seed),
        }
    }

    fn row(&self) -> ProviderRow {
        let none = Lamports(0);
        ProviderRow {
            id: self.id,
            rev: 1,
            wallet: Wallet::from_bytes(self.key.verifying_key().to_bytes()).unwrap(),
            name: "idle".into(),
            endpoint: "http://127.0.0.1".into(),
            spec: "{}".into(),
            abilities: Abilities {
                formats: vec![".blend".into()],
                blender: Some((3, 4)),
                engines: vec!["cycles".into()],
                bytes_max: 1 << 30,
                frames: true,
                relay: true,
            },
            tariff: Tariff { frame: none, second: none, gb: none, minimum: none },
            // Who is for sale is asked for its health, and the relay reads all their rows for that.
            chosen: Status::Offline,
            connected: false,
            registered: Timestamp(1_764_000_000_000),
            seen: Timestamp(1_764_000_000_000),
            pending: None,
            silent: false,
        }
    }

    async fn connect(&self, relay: SocketAddr) -> Socket {
        let (mut socket, _) = connect_async(format!("ws://{relay}/ws")).await.unwrap();
        let timestamp = framefair_app::Call::live().now;
        let text = signing::socket(self.id, timestamp);
        let signature = TxSignature(self.key.sign(text.as_bytes()).to_bytes()).to_string();
        let auth = FromProvider::Auth { provider_id: self.id, timestamp: timestamp.0, signature };
        say(&mut socket, &auth).await;
        let answer = socket.next().await.unwrap().unwrap();
        let answer: ToProvider = serde_json::from_str(answer.to_text().unwrap()).unwrap();
        assert_eq!(answer, ToProvider::Authenticated);
        socket
    }
}

async fn say(socket: &mut Socket, frame: &FromProvider) {
    socket.send(Message::text(serde_json::to_string(frame).unwrap())).await.unwrap();
}

/// A provider that has nothing to do: it answers pings, and says now and then that it lives.
/// Counts the pings that came to anybody.
async fn idle(mut socket: Socket, every: Duration, pings: Arc<AtomicU64>) {
    let mut heartbeat = tokio::time::interval(every);
    loop {
        tokio::select! {
            frame = socket.next() => match frame.expect("the relay keeps the socket").unwrap() {
                Message::Ping(_) => drop(pings.fetch_add(1, Relaxed)),
                other => panic!("an idle socket hears {other:?}"),
            },
            _ = heartbeat.tick() => say(&mut socket, &FromProvider::Heartbeat).await,
        }
    }
}

/// The relay, and the environment it works in.
struct Ground {
    relay: Child,
    at: SocketAddr,
    ping_every: Duration,
    store: Store,
    cloud: framefair_devcloud::DevCloud,
    _chain: framefair_localnet::Localnet,
    _folder: tempfile::TempDir,
}

impl Drop for Ground {
    fn drop(&mut self) {
        drop(self.relay.kill());
        drop(self.relay.wait());
    }
}

impl Ground {
    async fn new(ping_every: Duration) -> Ground {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let cloud = framefair_devcloud::DevCloud::start(framefair_devcloud::Config {
            data_dir: folder.path().join("cloud"),
            addr: any,
            access_key: "sockets".into(),
            secret_key: "sockets-secret".into(),
            object_size_max: 1 << 20,
        });
        let chain = framefair_localnet::Localnet::start(framefair_localnet::Config {
            data_dir: folder.path().join("chain"),
            rpc_addr: any,
            slot_ms: 400,
        });
        let (cloud, chain) = (cloud.await.unwrap(), chain.await.unwrap());
        let config = Config::local(&cloud.endpoint_url(), "sockets", "sockets-secret");
        let prefix = config.queue_url_prefix.clone();
        let store = Store::open(config, Seam::off()).unwrap();
        setup::ensure(&store, 1).await.unwrap();
        let rpc = framefair_chain::Config {
            rpc_url: chain.rpc_url(),
            second_rpc_url: None,
            genesis_hash: None,
            timeout_ms: 10_000,
        };
        let genesis = Chain::connect(rpc, framefair_chain::Seam::default()).await.unwrap();
        let [port, ..] = framefair_tests::free_ports();
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let relay = Command::new(framefair_tests::program("framefair-relay"))
            .env_clear()
            .envs([
                ("LISTEN", at.to_string()),
                ("RELAY_SLOTS", "1".into()),
                ("PING_EVERY_MS", ping_every.as_millis().to_string()),
                // As in the relay's Dockerfile.
                ("MALLOC_ARENA_MAX", "1".into()),
                // All of them come from one address.
                ("RATE_LIMITS", "off".into()),
                ("API_ORIGIN", "http://127.0.0.1:1".into()),
                ("UPLOAD_SECRET", "an upload secret that only tests have".into()),
                ("RUST_LOG", "warn".into()),
                ("TABLE", "framefair".into()),
                ("BUCKET", "framefair".into()),
                ("QUEUE_URL_PREFIX", prefix),
                ("AWS_REGION", "us-east-1".into()),
                ("AWS_ACCESS_KEY_ID", "sockets".into()),
                ("AWS_SECRET_ACCESS_KEY", "sockets-secret".into()),
                ("AWS_ENDPOINT_URL", cloud.endpoint_url()),
                ("SOLANA_RPC_URL", chain.rpc_url()),
                ("SOLANA_GENESIS_HASH", genesis.genesis_hash().to_owned()),
                ("ESCROW_WALLET", Signer::from_secret([3; 32]).unwrap().wallet().to_string()),
            ])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let ground = Ground { relay, at, ping_every, store, cloud, _chain: chain, _folder: folder };
        ground.ready().await;
        ground
    }

    async fn ready(&self) {
        let up = async {
            while TcpStream::connect(self.at).await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, up).await.expect("the relay comes up");
    }

    /// Resident memory of the relay, in bytes.
    fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.relay.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    async fn register(&self, providers: &[Provider]) {
        let writing = stream::iter(providers).map(|provider| {
            let write = Write::put(&provider.row(), When::Absent);
            async move { self.store.write(write).await.unwrap() }
        });
        writing.buffer_unordered(AT_ONCE).collect::<()>().await;
    }

    /// Has the providers connect, and stay.
    async fn connect(&self, providers: &[Provider], pings: &Arc<AtomicU64>) -> JoinSet<()> {
        let connecting = stream::iter(providers).map(|provider| provider.connect(self.at));
        let mut idling = JoinSet::new();
        let mut connecting = connecting.buffer_unordered(AT_ONCE);
        while let Some(socket) = connecting.next().await {
            idling.spawn(idle(socket, self.ping_every, pings.clone()));
        }
        idling
    }

    /// Writes to the table by anybody so far, and those by which the relay keeps its slot.
    async fn writes(&self) -> (u64, u64) {
        let slot = async || self.store.get::<RelayRow>(&keys::relay(0)).await.unwrap().unwrap().rev;
        let writes = |(name, count): (String, u64)| {
            let writes =
                ["Put", "Update", "Delete", "Write"].iter().any(|word| name.contains(word));
            writes.then_some(count)
        };
        loop {
            let (before, all) =
                (slot().await, self.cloud.calls().into_iter().filter_map(writes).sum());
            // A renewal that came in between, or was on its way, shows by then.
            tokio::time::sleep(Duration::from_millis(200)).await;
            if slot().await == before {
                return (all, before);
            }
        }
    }
}

/// As many open files as the machine allows; fails where those are too few.
fn allow_open_files(needed: u64) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let allowed = limit.maximum.unwrap_or(u64::MAX);
    assert!(allowed >= needed, "{needed} open files are needed, {allowed} allowed: see ulimit -Hn");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_socket_costs_little_memory_and_its_heartbeats_write_nothing() {
    let count = std::env::var("FRAMEFAIR_BENCH_SOCKETS").ok();
    let count = count.map_or(SOCKETS, |count| count.parse().expect("a number"));
    let ping_every = PING_EVERY * u32::try_from(count / 1_000).unwrap().max(1);
    allow_open_files((WARM + count) as u64 + OPEN_FILES_BESIDES);
    let ground = Ground::new(ping_every).await;
    let providers: Vec<Provider> = (0..WARM + count).map(Provider::new).collect();
    ground.register(&providers).await;

    let pings = Arc::new(AtomicU64::new(0));
    let _warm = ground.connect(&providers[..WARM], &pings).await;
    tokio::time::sleep(ping_every * 2).await;
    let before = ground.resident();
    let mut idle = ground.connect(&providers[WARM..], &pings).await;
    // What was counted of their coming is written by then.
    tokio::time::sleep(ping_every.max(COUNTS_ARE_WRITTEN)).await;

    let (written, slot) = ground.writes().await;
    pings.store(0, Relaxed);
    tokio::time::sleep(ping_every * PINGS).await;
    let (written_since, slot_since) = ground.writes().await;
    assert!(pings.load(Relaxed) >= (count as u64) * u64::from(PINGS - 1), "{pings:?} pings");
    assert_eq!(written_since - written, slot_since - slot, "a heartbeat wrote something");

    let each = ground.resident().saturating_sub(before) / count as u64;
    println!("bench: {count} idle sockets: {each} bytes of memory each");
    assert!(each <= BYTES_EACH_MAX, "{each} bytes for each idle socket");
    assert!(idle.try_join_next().is_none(), "a socket did not stand");
}
