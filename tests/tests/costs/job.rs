//! One job of the market, driven step by step through the app's own verbs, each step labelled.

use std::collections::HashMap;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use ed25519_dalek::{Signer as _, SigningKey};
use framefair_app::delivery::{self, Connection, Dispatched, Put};
use framefair_app::market::{self, Offer, Scene, Submission, WantedSettings};
use framefair_app::provider::{self, Registration, Signed, Status};
use framefair_app::settlement::{Advanced, Signer, Signers, advance};
use framefair_app::{Call, Ctx, Hint, Platform, Report};
use framefair_chain::{Chain, wallet};
use framefair_devcloud::DevCloud;
use framefair_domain::id::{JobId, ProviderId};
use framefair_domain::money::Lamports;
use framefair_domain::quote::Tariff;
use framefair_domain::scheduling::Abilities;
use framefair_domain::signing;
use framefair_localnet::Localnet;
use framefair_store::rows::MarketJob;
use framefair_store::seam::{Cost, labelled};
use framefair_store::{Config, Seam, Store, setup};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const SOL: u64 = 1_000_000_000;
const SIDE: u32 = 8;
const FRAME: i32 = 1;
const OBJ: &[u8] = b"# a triangle\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n";

pub(crate) struct Market {
    pub(crate) ctx: Ctx,
    rpc: framefair_chain::Seam,
    signers: Signers,
    node: SigningKey,
    client: Signer,
    _cloud: DevCloud,
    _chain: Localnet,
    _folder: TempDir,
}

impl Market {
    pub(crate) async fn open() -> Market {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let any: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
        let cloud = DevCloud::start(framefair_devcloud::Config {
            data_dir: folder.path().join("cloud"),
            addr: any,
            access_key: "test".into(),
            secret_key: "test-secret".into(),
            object_size_max: 1 << 30,
        })
        .await
        .unwrap();
        let chain = Localnet::start(framefair_localnet::Config {
            data_dir: folder.path().join("chain"),
            rpc_addr: any,
            slot_ms: 20,
        })
        .await
        .unwrap();
        let config = Config::local(&cloud.endpoint_url(), "test", "test-secret");
        let store = Store::open(config, Seam::on()).unwrap();
        setup::ensure(&store, 1).await.unwrap();
        let rpc = framefair_chain::Config {
            rpc_url: chain.rpc_url(),
            second_rpc_url: None,
            genesis_hash: None,
            timeout_ms: 10_000,
        };
        let seam = framefair_chain::Seam::default();
        let rpc = Chain::connect(rpc, seam.clone()).await.unwrap();
        let signer = |n: u8| Signer::from_secret([n; 32]).unwrap();
        let signers = Signers { escrow: signer(1), gas: signer(2) };
        let client = signer(3);
        for paid in [signers.escrow.wallet(), signers.gas.wallet(), client.wallet()] {
            wallet::airdrop(&rpc, &paid, Lamports(SOL)).await.unwrap();
        }
        let platform = Platform::new(signers.escrow.wallet());
        let ctx = Ctx::new(store, rpc, platform);
        let node = SigningKey::from_bytes(&[4; 32]);
        Market {
            ctx,
            rpc: seam,
            signers,
            node,
            client,
            _cloud: cloud,
            _chain: chain,
            _folder: folder,
        }
    }

    pub(crate) fn costs(&self) -> Vec<Cost> {
        self.ctx.store.seam().snapshot()
    }

    /// Sequential round trips to the table, by step.
    pub(crate) fn depths(&self) -> HashMap<&'static str, u64> {
        let depths = self.ctx.store.seam().depths();
        depths.into_iter().map(|depth| (depth.label, depth.sequential)).collect()
    }

    pub(crate) fn chain_calls(&self) -> String {
        let calls = self.rpc.snapshot();
        let each: Vec<String> = calls.iter().map(|(name, n)| format!("{n}×{name}")).collect();
        each.join(" ")
    }

    /// What was counted so far was preparation. The process knows who is online, as after its start.
    pub(crate) async fn forget_costs(&self) {
        // Its slot may have run out meanwhile.
        delivery::take_relay(&self.ctx, &Call::live(), 0, "test").await.unwrap();
        provider::learn_online(&self.ctx).await.unwrap();
        self.ctx.store.seam().reset();
    }

    pub(crate) async fn node_joins(&self) -> delivery::Session {
        let provider = self.provider().await;
        let now = Call::live().now;
        let signature = self.sign(&signing::socket(provider, now));
        let place = Connection { relay: 0, boot: "test".into() };
        delivery::take_relay(&self.ctx, &Call::live(), 0, "test").await.unwrap();
        let call = Call::live();
        let joined = delivery::connect(&self.ctx, &call, provider, now, &signature, place).await;
        let session = joined.unwrap().session;
        delivery::ready(&self.ctx, &Call::live(), session, 1).await.unwrap();
        session
    }

    /// From the quote to the end of its settlement; gives what is left of it.
    pub(crate) async fn run_one_job(&self, session: delivery::Session) -> MarketJob {
        let job = self.step("quote", self.quote()).await;
        let row = market::job(&self.ctx, &Call::live(), job, None).await.unwrap().job;
        let (price, memo) = (row.deal.price.total, row.terms().memo());
        let paid = wallet::pay(&self.ctx.chain, &self.client, &row.deal.pay_to, price, &memo)
            .await
            .unwrap();
        let pay = async {
            market::pay(&self.ctx, &Call::live(), job, &paid.to_string(), None).await.unwrap();
        };
        self.step("pay", pay).await;
        let lease = async {
            let found = delivery::dispatch(&self.ctx, &mut Call::live(), &Hint::about(job)).await;
            assert_eq!(found.unwrap(), Dispatched::Leased(session.node));
        };
        self.step("lease", lease).await;
        let work = async {
            let order = delivery::assignment(&self.ctx, job).await.unwrap().unwrap();
            assert_eq!(order.epoch, 1);
            self.put_frame(session, job).await;
            let report = Report { epoch: 1, render_ms: 10 };
            delivery::done(&self.ctx, session, job, report).await.unwrap();
            let hint = Hint::reported(job, report);
            framefair_workers::verify(&self.ctx, &hint).await.unwrap();
        };
        self.step("done", work).await;
        self.settle(job).await;

        let status = async {
            let view = market::job(&self.ctx, &Call::live(), job, None).await.unwrap();
            assert_eq!(view.job.state, framefair_app::JobState::Completed);
        };
        self.step("status", status).await;
        let result = async { market::result(&self.ctx, job, None, false).await.unwrap() };
        self.step("result", result).await;
        let providers = async { provider::list(&self.ctx, Some(Status::Online)).await.unwrap() };
        self.step("providers", providers).await;
        let totals = async { framefair_app::statistics::totals(&self.ctx).await.unwrap() };
        self.step("totals", totals).await;
        market::job(&self.ctx, &Call::live(), job, None).await.unwrap().job
    }

    /// Each call is a look; the one that stores and the one that settles are told apart by what
    /// the table holds afterwards.
    async fn settle(&self, job: JobId) {
        loop {
            let stored = self.stored(job).await;
            let label = if stored { "settled" } else { "settlement stored" };
            let call = Call::live();
            let look = advance(&self.ctx, &call, &self.signers, job);
            match self.step(label, look).await.unwrap() {
                Advanced::Nothing => return,
                Advanced::Later(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }

    async fn stored(&self, job: JobId) -> bool {
        let items = self.ctx.store.partition(&framefair_store::keys::job_partition(job)).await;
        items.unwrap().iter().any(|item| item.sk().starts_with(framefair_store::keys::WAY_OUT))
    }

    async fn step<F: Future>(&self, label: &'static str, work: F) -> F::Output {
        // Boxed: in a debug build these futures are large, and tests have small stacks.
        let work = Box::pin(work);
        labelled(label, work).await
    }

    async fn provider(&self) -> ProviderId {
        let wallet =
            framefair_domain::wallet::Wallet::from_bytes(self.node.verifying_key().to_bytes());
        let wallet = wallet.unwrap();
        let signed = |text: String| Signed { signature: self.sign(&text), once: None };
        let registration = Registration {
            name: "node".into(),
            wallet,
            endpoint: "http://127.0.0.1:1".into(),
            spec: "{}".into(),
            abilities: Abilities {
                formats: vec![".obj".into()],
                blender: Some((3, 4)),
                engines: vec!["cycles".into()],
                bytes_max: 1 << 20,
                frames: true,
                relay: true,
            },
            tariff: Tariff {
                frame: Lamports(1_000_000),
                second: Lamports(100_000),
                gb: Lamports(10_000_000),
                minimum: Lamports(5_000_000),
            },
            signed: signed(signing::register(&wallet, "node")),
        };
        let id = provider::register(&self.ctx, &Call::live(), registration).await.unwrap();
        let online = signed(signing::status(id, "online"));
        provider::set_status(&self.ctx, &Call::live(), id, Status::Online, &online).await.unwrap();
        id
    }

    async fn quote(&self) -> JobId {
        let scene = Scene::Inline { name: "scene.obj".into(), bytes: OBJ.into() };
        let settings = WantedSettings { resolution: Some((SIDE, SIDE)), ..Default::default() };
        let client = self.client.wallet();
        let submission = Submission {
            client,
            scene,
            provider: None,
            settings,
            price_max: None,
            private: false,
            key: None,
        };
        let Offer::PaymentDue(quote) =
            market::request(&self.ctx, &mut Call::live(), submission).await.unwrap();
        quote.job
    }

    async fn put_frame(&self, session: delivery::Session, job: JobId) {
        let picture = image::RgbaImage::from_fn(SIDE, SIDE, |x, y| {
            image::Rgba([u8::try_from(x * 30).unwrap(), u8::try_from(y * 30).unwrap(), 90, 255])
        });
        let mut png = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut png, image::ImageFormat::Png).unwrap();
        let png = png.into_inner();
        let put = Put { frame: FRAME, size: png.len() as u64, sha256: Sha256::digest(&png).into() };
        let granted = delivery::want_put(&self.ctx, session, job, 1, put).await.unwrap();
        let client = reqwest::Client::builder().timeout(Duration::from_secs(60)).build().unwrap();
        let mut request = client.put(&granted.url);
        for (name, value) in granted.headers {
            request = request.header(name, value);
        }
        let answer = request.body(png).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
    }

    fn sign(&self, text: &str) -> String {
        bs58::encode(self.node.sign(text.as_bytes()).to_bytes()).into_string()
    }
}
