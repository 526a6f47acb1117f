//! A world of its own for each test: a cloud, a chain, escrow, providers and clients, and a clock
//! that both sides share. Knows no test.

mod chain;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

use ed25519_dalek::{Signer as _, SigningKey};
use framefair_app::audit::{Audit, audit};
use framefair_app::delivery::{self, Connection, Dispatched, Session};
use framefair_app::market::{
    self, Cancel, MarketJob, Offer, Paid, Quote, Scene, Submission, WantedSettings,
};
use framefair_app::provider::{self, Registration, Signed, Status};
use framefair_app::settlement::{Advanced, Signer, Signers, advance};
use framefair_app::verification::{self, FrameHash, HandedIn, Passed, PassedFile};
use framefair_app::{Call, Ctx, Hint, Platform, Refusal, Report, SettlementId, watch};
use framefair_devcloud::DevCloud;
use framefair_domain::id::{JobId, ProviderId};
use framefair_domain::money::{LAMPORTS_PER_SOL, Lamports};
use framefair_domain::quote::Tariff;
use framefair_domain::scheduling::Abilities;
use framefair_domain::settlement::Outflow;
use framefair_domain::signing::{self, Once};
use framefair_domain::time::Timestamp;
use framefair_domain::wallet::{TxSignature, Wallet};
use framefair_localnet::Localnet;
use framefair_store::rows::{DebtRow, InflowRow, SignedTx, WayOutRow};
use framefair_store::{Store, keys, setup};
use serde_json::json;
use tempfile::TempDir;

pub(crate) use chain::{address, connect, instruction, memo, transfer};

/// The chain stands still unless a test warps it: nothing here depends on how busy the machine is.
const SLOT_MS: u64 = 60_000;
/// A blockhash serves for 150 blocks, and those are finalized 32 later.
pub(crate) const PAST_VALIDITY: u64 = 200;
/// After so many slots a payment that is not to be found is looked for in earnest.
pub(crate) const GONE_FOR_GOOD: u64 = 700;
pub(crate) const BOOT: &str = "relay-of-the-test";
pub(crate) const SCENE: &[u8] = b"o triangle\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n";
/// What a job of `SCENE` costs at the tariff below, and what its provider gets of it.
pub(crate) const PRICE: u64 = 5_250_000;
pub(crate) const BASE: u64 = 5_000_000;

/// Somebody with a key.
pub(crate) struct Party(SigningKey);

impl Party {
    pub(crate) fn new(seed: u8) -> Party {
        Party(SigningKey::from_bytes(&[seed; 32]))
    }

    /// One of many.
    pub(crate) fn numbered(n: u32) -> Party {
        let mut secret = [1; 32];
        secret[..4].copy_from_slice(&n.to_le_bytes());
        Party(SigningKey::from_bytes(&secret))
    }

    pub(crate) fn wallet(&self) -> Wallet {
        Wallet::from_bytes(self.0.verifying_key().to_bytes()).expect("a real key")
    }

    pub(crate) fn says(&self, text: &str) -> String {
        TxSignature(self.0.sign(text.as_bytes()).to_bytes()).to_string()
    }
}

pub(crate) struct World {
    pub(crate) ctx: Ctx,
    pub(crate) chain_seam: framefair_chain::Seam,
    pub(crate) signers: Signers,
    /// The escrow's key, for those who steal it.
    pub(crate) escrow: Party,
    pub(crate) home: ProviderId,
    pub(crate) home_party: Party,
    pub(crate) net: Localnet,
    ahead_ms: AtomicI64,
    calls: AtomicU64,
    cloud: DevCloud,
    _folder: TempDir,
}

impl World {
    /// With one provider online, and a float of one SOL in escrow.
    pub(crate) async fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let localhost = SocketAddr::from(([127, 0, 0, 1], 0));
        let cloud = DevCloud::start(framefair_devcloud::Config {
            data_dir: folder.path().join("cloud"),
            addr: localhost,
            access_key: "local".to_owned(),
            secret_key: "local-secret".to_owned(),
            object_size_max: 1 << 20,
        });
        let net = Localnet::start(framefair_localnet::Config {
            data_dir: folder.path().join("chain"),
            rpc_addr: localhost,
            slot_ms: SLOT_MS,
        });
        let (cloud, net) = (cloud.await.unwrap(), net.await.unwrap());
        let store = open(&cloud);
        setup::ensure(&store, 1).await.unwrap();
        let chain_seam = framefair_chain::Seam::new();
        let chain = connect(&net.rpc_url(), &chain_seam).await;
        let (escrow, gas) = ([201; 32], [202; 32]);
        let signer = |secret| Signer::from_secret(secret).unwrap();
        let signers = Signers { escrow: signer(escrow), gas: signer(gas) };
        let platform = Platform::new(signers.escrow.wallet());
        let mut world = World {
            ctx: Ctx::new(store, chain, platform),
            chain_seam,
            escrow: Party::new(201),
            signers,
            home: ProviderId::new(Timestamp(0), [0; 10]),
            home_party: Party::new(101),
            net,
            ahead_ms: AtomicI64::new(0),
            calls: AtomicU64::new(0),
            cloud,
            _folder: folder,
        };
        world.give(&world.signers.gas.wallet(), LAMPORTS_PER_SOL).await;
        let float = json!([world.signers.escrow.wallet(), LAMPORTS_PER_SOL]);
        let float = world.rpc("requestAirdrop", float).await;
        let float = float.as_str().unwrap().parse().unwrap();
        // What is signed later must lie behind it in escrow's history.
        world.finalize().await;
        watch::book_float(&world.ctx, &world.call(), &float).await.unwrap();
        let home = world.home_party.wallet();
        world.give(&home, LAMPORTS_PER_SOL).await;
        world.home = world.provider(&Party::new(101), BASE).await;
        world.warp(2).await;
        world
    }

    /// The same world through a store of its own, whose faults are its own.
    pub(crate) fn beside(&self) -> Ctx {
        Ctx::new(open(&self.cloud), self.ctx.chain.clone(), self.ctx.platform.clone())
    }

    pub(crate) fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Timestamp(since.as_millis() as i64 + self.ahead_ms.load(Relaxed))
    }

    pub(crate) fn call(&self) -> Call {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.calls.fetch_add(1, Relaxed).to_le_bytes());
        Call::new(self.now(), seed)
    }

    /// A wallet with five SOL.
    pub(crate) async fn client(&self, seed: u8) -> Party {
        let party = Party::new(seed);
        self.give(&party.wallet(), 5 * LAMPORTS_PER_SOL).await;
        party
    }

    /// Registers a provider that asks `price` for everything, online and connected.
    pub(crate) async fn provider(&self, party: &Party, price: u64) -> ProviderId {
        let id = self.register(party, price, true).await;
        self.renew_relay().await;
        let at = self.now();
        let connection = Connection { relay: 0, boot: BOOT.to_owned() };
        let proof = party.says(&signing::socket(id, at));
        let connected =
            delivery::connect(&self.ctx, &self.call(), id, at, &proof, connection).await.unwrap();
        delivery::ready(&self.ctx, &self.call(), connected.session, 8).await.unwrap();
        id
    }

    /// Registers a provider, online, that gets its tasks over its socket or else at its endpoint.
    pub(crate) async fn register(&self, party: &Party, price: u64, relay: bool) -> ProviderId {
        let name = "node".to_owned();
        let signed = |text: String| Signed { signature: party.says(&text), once: None };
        let registration = Registration {
            wallet: party.wallet(),
            endpoint: "http://render.example.com".to_owned(),
            spec: "{}".to_owned(),
            abilities: Abilities {
                formats: vec![".obj".to_owned(), ".blend".to_owned()],
                blender: Some((4, 5)),
                engines: vec!["cycles".to_owned()],
                bytes_max: 1 << 30,
                frames: true,
                relay,
            },
            tariff: Tariff {
                frame: Lamports(0),
                second: Lamports(0),
                gb: Lamports(0),
                minimum: Lamports(price),
            },
            signed: signed(signing::register(&party.wallet(), &name)),
            name,
        };
        let id = provider::register(&self.ctx, &self.call(), registration).await.unwrap();
        let status = signed(signing::status(id, "online"));
        let online = Status::Online;
        provider::set_status(&self.ctx, &self.call(), id, online, &status).await.unwrap();
        id
    }

    pub(crate) async fn renew_relay(&self) {
        delivery::take_relay(&self.ctx, &self.call(), 0, BOOT).await.unwrap();
    }

    pub(crate) async fn submission(&self, client: &Wallet) -> Submission {
        Submission {
            client: *client,
            scene: Scene::Inline { name: "scene.obj".to_owned(), bytes: SCENE.into() },
            provider: Some(self.home),
            settings: WantedSettings::default(),
            price_max: None,
            private: false,
            key: None,
        }
    }

    pub(crate) async fn quote(&self, client: &Party) -> Quote {
        let submission = self.submission(&client.wallet()).await;
        let offer = market::request(&self.ctx, &mut self.call(), submission).await.unwrap();
        let Offer::PaymentDue(quote) = offer;
        *quote
    }

    /// Transfer and memo, as a client sends them.
    pub(crate) async fn transfer(
        &self,
        client: &Party,
        quote: &Quote,
        lamports: u64,
    ) -> TxSignature {
        let legs = [transfer(&client.wallet(), &quote.pay_to, lamports), memo(&quote.memo)];
        self.transact(&legs, &[client]).await
    }

    pub(crate) async fn pay(&self, job: JobId, signature: &TxSignature) -> Result<Paid, Refusal> {
        self.pay_through(&self.ctx, job, signature).await
    }

    pub(crate) async fn pay_through(
        &self,
        ctx: &Ctx,
        job: JobId,
        signature: &TxSignature,
    ) -> Result<Paid, Refusal> {
        market::pay(ctx, &self.call(), job, &signature.to_string(), None).await
    }

    /// A job that was quoted, paid with `lamports`, and is queued.
    pub(crate) async fn paid(&self, client: &Party, lamports: u64) -> (JobId, TxSignature) {
        let quote = self.quote(client).await;
        let signature = self.transfer(client, &quote, lamports).await;
        self.pay(quote.job, &signature).await.unwrap();
        (quote.job, signature)
    }

    pub(crate) async fn lease(&self, job: JobId) -> Session {
        self.renew_relay().await;
        let leased = self.lease_of(job).await;
        let Dispatched::Leased(node) = leased else { panic!("{leased:?}") };
        Session { node, fence: 1 }
    }

    /// What comes of looking for a node now.
    pub(crate) async fn lease_of(&self, job: JobId) -> Dispatched {
        let hint = Hint::about(job);
        delivery::dispatch(&self.ctx, &mut self.call(), &hint).await.unwrap()
    }

    /// A node takes the job, delivers, and its picture passes.
    pub(crate) async fn complete(&self, job: JobId) {
        self.lease(job).await;
        self.deliver(job).await;
    }

    /// The delivery under the current lease, if there is one, passes.
    pub(crate) async fn deliver(&self, job: JobId) {
        let report = Report { epoch: self.job(job).await.task.epoch, render_ms: 1_000 };
        let handed_in = verification::handed_in(&self.ctx, job, report).await.unwrap();
        let Some(HandedIn::Frames(seen)) = handed_in else {
            return;
        };
        let passed = Passed {
            frames: vec![FrameHash { frame: 1, pixels: "ab".repeat(32), bytes: 3 }],
            file: PassedFile::Picture(b"png".to_vec()),
        };
        verification::accept(&self.ctx, &self.call(), &seen, passed).await.unwrap();
    }

    /// A node takes the job and finds the scene at fault, with no other node to ask.
    pub(crate) async fn fail(&self, job: JobId) {
        let session = self.lease(job).await;
        let epoch = self.job(job).await.task.epoch;
        delivery::failed(&self.ctx, &self.call(), session, job, epoch, true, "no camera")
            .await
            .unwrap();
    }

    pub(crate) async fn job(&self, job: JobId) -> MarketJob {
        self.ctx.store.get::<MarketJob>(&keys::job(job)).await.unwrap().unwrap()
    }

    pub(crate) async fn claim(&self, signature: &TxSignature) -> Option<InflowRow> {
        self.ctx.store.get(&keys::inflow(signature)).await.unwrap()
    }

    pub(crate) async fn cancel(&self, by: &Party, job: JobId) -> Result<MarketJob, Refusal> {
        let nonce = format!("nonce-{:016}", self.calls.fetch_add(1, Relaxed));
        let cancel = cancel_of(by, job, Once { timestamp: self.now(), nonce });
        market::cancel(&self.ctx, &self.call(), cancel).await
    }

    /// The transactions that were ever stored for a settlement.
    pub(crate) async fn signed(&self, settlement: impl Into<SettlementId>) -> Vec<SignedTx> {
        let settlement = settlement.into();
        let rows = (1..=30).map(|n| keys::way_out(settlement, n)).collect::<Vec<_>>();
        let mut rows = self.ctx.store.get_many::<WayOutRow>(&rows).await.unwrap();
        rows.sort_by_key(|row| row.n);
        rows.iter().filter_map(|row| row.signed().cloned()).collect()
    }

    pub(crate) async fn debt(&self, wallet: &Wallet) -> Option<DebtRow> {
        self.ctx.store.get(&keys::debt(wallet)).await.unwrap()
    }

    /// Pays what is owed to `wallet`, letting blocks become final in between.
    pub(crate) async fn pay_debt(&self, wallet: &Wallet) -> DebtRow {
        for _ in 0..40 {
            let _ = advance(&self.ctx, &self.call(), &self.signers, *wallet).await;
            let row = self.debt(wallet).await.unwrap();
            if row.due.is_none() {
                return row;
            }
            self.finalize().await;
        }
        panic!("{:?} is not paid", self.debt(wallet).await);
    }

    pub(crate) async fn advance(
        &self,
        settlement: impl Into<SettlementId>,
    ) -> Result<Advanced, Refusal> {
        advance(&self.ctx, &self.call(), &self.signers, settlement).await
    }

    /// Advances until the job needs no more, letting blocks become final in between.
    pub(crate) async fn settle(&self, job: JobId) -> MarketJob {
        for _ in 0..40 {
            let _ = self.advance(job).await;
            let row = self.job(job).await;
            if matches!(row.deal.outflow, Outflow::Settled | Outflow::Parked) {
                return row;
            }
            self.finalize().await;
        }
        panic!("{:?} is not settled", self.job(job).await);
    }

    pub(crate) async fn audit(&self) -> Audit {
        self.finalize().await;
        watch::watch(&self.ctx, &self.call()).await.unwrap();
        audit(&self.ctx).await.unwrap()
    }

    pub(crate) async fn balanced(&self) -> Audit {
        let audit = self.audit().await;
        assert!(audit.balances(), "{audit}");
        audit
    }
}

fn open(cloud: &DevCloud) -> Store {
    let config = framefair_store::Config::local(&cloud.endpoint_url(), "local", "local-secret");
    Store::open(config, framefair_store::Seam::on()).unwrap()
}

pub(crate) fn cancel_of(by: &Party, job: JobId, once: Once) -> Cancel {
    let signature = by.says(&signing::text(signing::cancel(job), Some(&once)));
    Cancel { job, signature, once, key: None }
}
