//! A world of its own for each test: a cloud, a chain, escrow, providers and clients, and a clock
//! that both sides share. Knows no test.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

use ed25519_dalek::{Signer as _, SigningKey};
use framefair_app::audit::{Audit, audit};
use framefair_app::delivery::{self, Connection, Dispatched, Session};
use framefair_app::market::{self, JobRow, Offer, Paid, Quote, SpooledScene, Submission, WantedSettings};
use framefair_app::provider::{self, Registration, Signed, Status};
use framefair_app::settlement::{Advanced, Signer, Signers, advance};
use framefair_app::verification::{self, FrameHash, Passed, PassedFile};
use framefair_app::{Call, Ctx, Hint, Platform, Refusal, Report, watch};
use framefair_chain::{Chain, Commitment, wallet};
use framefair_devcloud::DevCloud;
use framefair_domain::id::{JobId, ProviderId};
use framefair_domain::money::{LAMPORTS_PER_SOL, Lamports};
use framefair_domain::quote::Tariff;
use framefair_domain::scheduling::Abilities;
use framefair_domain::settlement::Outflow;
use framefair_domain::signing;
use framefair_domain::time::Timestamp;
use framefair_domain::wallet::{TxSignature, Wallet};
use framefair_localnet::Localnet;
use framefair_store::rows::InflowRow;
use framefair_store::{Store, keys, setup};
use serde_json::{Value, json};
use solana_address::Address;
use solana_hash::Hash;
use solana_instruction::{AccountMeta, Instruction};
use solana_message::{Message, VersionedMessage};
use solana_transaction::versioned::VersionedTransaction;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Fast, and slow enough for a busy machine to look between two slots.
const SLOT_MS: u64 = 40;
/// A blockhash serves for 150 blocks, and those are finalized 32 later.
pub(crate) const PAST_VALIDITY: u64 = 200;
const FINAL_AFTER: u64 = 36;
const BOOT: &str = "relay-of-the-test";
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
    _cloud: DevCloud,
    folder: TempDir,
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
        let config =
            framefair_store::Config::local(&cloud.endpoint_url(), "local", "local-secret");
        let store = Store::open(config, framefair_store::Seam::on()).unwrap();
        setup::ensure(&store, 1).await.unwrap();
        let chain_seam = framefair_chain::Seam::new();
        let chain = connect(&net.rpc_url(), &chain_seam).await;
        let (escrow, gas) = ([201; 32], [202; 32]);
        let signer = |secret| Signer::from_secret(secret).unwrap();
        let signers = Signers { escrow: signer(escrow), gas: signer(gas) };
        let platform = Platform::new(signers.escrow.wallet());
        let mut world = World {
            ctx: Ctx { store, chain, platform },
            chain_seam,
            escrow: Party::new(201),
            signers,
            home: ProviderId::new(Timestamp(0), [0; 10]),
            home_party: Party::new(101),
            net,
            ahead_ms: AtomicI64::new(0),
            calls: AtomicU64::new(0),
            _cloud: cloud,
            folder,
        };
        world.give(&world.signers.gas.wallet(), LAMPORTS_PER_SOL).await;
        let float = Lamports(LAMPORTS_PER_SOL);
        let float =
            wallet::airdrop(&world.ctx.chain, &world.signers.escrow.wallet(), float).await.unwrap();
        watch::book_float(&world.ctx, &world.call(), &float).await.unwrap();
        let home = world.home_party.wallet();
        world.give(&home, LAMPORTS_PER_SOL).await;
        world.home = world.provider(&Party::new(101), BASE).await;
        world.warp(2).await;
        world
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

    /// The same world through another node of the same chain.
    pub(crate) async fn through(&self, view: Value) -> Ctx {
        let url = self.rpc("localnetView", json!([view])).await;
        let chain = connect(url.as_str().unwrap(), &self.chain_seam).await;
        Ctx { chain, ..self.ctx.clone() }
    }

    // The chain.

    pub(crate) async fn rpc(&self, method: &str, params: Value) -> Value {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let body = body.to_string();
        let address = self.net.rpc_addr();
        let mut socket = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST / HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        socket.write_all((head + &body).as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        let (_, answer) = answer.split_once("\r\n\r\n").unwrap();
        let answer: Value = serde_json::from_str(answer).unwrap();
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    pub(crate) async fn warp(&self, slots: u64) {
        self.rpc("localnetWarpSlots", json!([slots])).await;
    }

    /// Time passes, on the chain and at the hub.
    pub(crate) async fn later(&self, seconds: i64) {
        self.rpc("localnetWarpSlots", json!([2, { "seconds": seconds }])).await;
        self.ahead_ms.fetch_add(seconds * 1_000, Relaxed);
    }

    pub(crate) async fn finalize(&self) {
        self.warp(FINAL_AFTER).await;
    }

    /// Sets a wallet's balance, out of nothing and without a transaction.
    pub(crate) async fn give(&self, to: &Wallet, lamports: u64) {
        self.rpc("localnetSetAccount", json!([to, { "lamports": lamports }])).await;
    }

    pub(crate) async fn lamports(&self, of: &Wallet) -> u64 {
        self.ctx.chain.balance(of, Commitment::Confirmed).await.unwrap().0
    }

    /// Wire bytes of a transaction whose fee the first signer pays.
    pub(crate) async fn sign(&self, instructions: &[Instruction], by: &[&Party]) -> Vec<u8> {
        let recent = json!([{ "commitment": "confirmed" }]);
        let recent = self.rpc("getLatestBlockhash", recent).await;
        let hash: Hash = recent["value"]["blockhash"].as_str().unwrap().parse().unwrap();
        let payer = address(&by[0].wallet());
        let message = Message::new_with_blockhash(instructions, Some(&payer), &hash);
        let message = VersionedMessage::Legacy(message);
        let text = message.serialize();
        let signed = message.static_account_keys()[..by.len()].iter().map(|key| {
            let party = by.iter().find(|party| address(&party.wallet()) == *key).unwrap();
            party.0.sign(&text).to_bytes().into()
        });
        let signatures = signed.collect();
        wincode::serialize(&VersionedTransaction { signatures, message }).unwrap()
    }

    /// Hands a transaction to the chain and lets two blocks pass.
    pub(crate) async fn send(&self, bytes: &[u8]) -> TxSignature {
        self.ctx.chain.send(bytes).await.unwrap();
        self.warp(2).await;
        framefair_chain::signature_of(bytes).unwrap()
    }

    pub(crate) async fn transact(&self, instructions: &[Instruction], by: &[&Party]) -> TxSignature {
        self.send(&self.sign(instructions, by).await).await
    }

    // The market.

    /// A wallet with five SOL.
    pub(crate) async fn client(&self, seed: u8) -> Party {
        let party = Party::new(seed);
        self.give(&party.wallet(), 5 * LAMPORTS_PER_SOL).await;
        party
    }

    /// Registers a provider that asks `price` for everything, online and connected.
    pub(crate) async fn provider(&self, party: &Party, price: u64) -> ProviderId {
        let name = "node".to_owned();
        let signed = |text: String| Signed { signature: party.says(&text), once: None };
        let registration = Registration {
            wallet: party.wallet(),
            endpoint: "http://hub".to_owned(),
            spec: "{}".to_owned(),
            abilities: Abilities {
                formats: vec![".obj".to_owned(), ".blend".to_owned()],
                blender: Some((4, 5)),
                engines: vec!["cycles".to_owned()],
                bytes_max: 1 << 30,
                frames: true,
                relay: true,
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
        let id = provider::register(&self.ctx, &mut self.call(), registration).await.unwrap();
        let status = signed(signing::status(id, "online"));
        let online = Status::Online;
        provider::set_status(&self.ctx, &self.call(), id, online, &status).await.unwrap();
        self.renew_relay().await;
        let at = self.now();
        let connection = Connection { relay: 0, boot: BOOT.to_owned() };
        let proof = party.says(&signing::socket(id, at));
        let connected =
            delivery::connect(&self.ctx, &self.call(), id, at, &proof, connection).await.unwrap();
        delivery::ready(&self.ctx, &self.call(), connected.session, 8).await.unwrap();
        id
    }

    async fn renew_relay(&self) {
        delivery::take_relay(&self.ctx, &self.call(), 0, BOOT).await.unwrap();
    }

    pub(crate) async fn submission(&self, client: &Wallet) -> Submission {
        let path = self.folder.path().join("scene.obj");
        tokio::fs::write(&path, SCENE).await.unwrap();
        let name = "scene.obj".to_owned();
        let (bytes, head) = (SCENE.len() as u64, SCENE.to_vec());
        let sha256 = "00".repeat(32);
        Submission {
            client: *client,
            scene: SpooledScene { path, name, bytes, sha256, head },
            provider: Some(self.home),
            settings: WantedSettings::default(),
            price_max: None,
        }
    }

    pub(crate) async fn quote(&self, client: &Party) -> Quote {
        let submission = self.submission(&client.wallet()).await;
        let offer = market::request(&self.ctx, &mut self.call(), submission).await.unwrap();
        let Offer::PaymentDue(quote) = offer;
        *quote
    }

    /// Transfer and memo, as a client sends them.
    pub(crate) async fn transfer(&self, client: &Party, quote: &Quote, lamports: u64) -> TxSignature {
        let legs = [transfer(&client.wallet(), &quote.pay_to, lamports), memo(&quote.memo)];
        self.transact(&legs, &[client]).await
    }

    pub(crate) async fn pay(&self, job: JobId, signature: &TxSignature) -> Result<Paid, Refusal> {
        market::pay(&self.ctx, &mut self.call(), job, &signature.to_string()).await
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
        let hint = Hint::about(job);
        let leased = delivery::dispatch(&self.ctx, &mut self.call(), &hint).await.unwrap();
        let Dispatched::Leased(node) = leased else { panic!("{leased:?}") };
        Session { node, fence: 1 }
    }

    /// A node takes the job, delivers, and its picture passes.
    pub(crate) async fn complete(&self, job: JobId) {
        self.lease(job).await;
        let report = Report { epoch: self.job(job).await.task.epoch, render_ms: 1_000 };
        let seen = verification::inspection(&self.ctx, job, report).await.unwrap().unwrap();
        let passed = Passed {
            frames: vec![FrameHash { frame: 1, pixels: "ab".repeat(32), bytes: 3 }],
            file_name: "scene_0001.png".to_owned(),
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

    pub(crate) async fn job(&self, job: JobId) -> JobRow {
        self.ctx.store.get::<JobRow>(&keys::job(job)).await.unwrap().unwrap()
    }

    pub(crate) async fn claim(&self, signature: &TxSignature) -> Option<InflowRow> {
        self.ctx.store.get(&keys::inflow(signature)).await.unwrap()
    }

    // Money out.

    pub(crate) async fn advance(&self, job: JobId) -> Result<Advanced, Refusal> {
        advance(&self.ctx, &self.call(), &self.signers, job).await
    }

    /// Advances until the job needs no more, letting blocks become final in between.
    pub(crate) async fn settle(&self, job: JobId) -> JobRow {
        for _ in 0..40 {
            let _ = self.advance(job).await;
            let row = self.job(job).await;
            if matches!(row.outflow, Outflow::Settled | Outflow::Parked) {
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

pub(crate) async fn connect(url: &str, seam: &framefair_chain::Seam) -> Chain {
    let config = framefair_chain::Config {
        rpc_url: url.to_owned(),
        second_rpc_url: None,
        genesis_hash: None,
        timeout_ms: 10_000,
    };
    Chain::connect(config, seam.clone()).await.unwrap()
}

pub(crate) fn address(wallet: &Wallet) -> Address {
    Address::from(*wallet.as_bytes())
}

/// A System transfer.
pub(crate) fn transfer(from: &Wallet, to: &Wallet, lamports: u64) -> Instruction {
    let accounts =
        vec![AccountMeta::new(address(from), true), AccountMeta::new(address(to), false)];
    let data = [[2, 0, 0, 0].as_slice(), &lamports.to_le_bytes()].concat();
    Instruction { program_id: Address::from([0; 32]), accounts, data }
}

pub(crate) fn memo(text: &str) -> Instruction {
    instruction(framefair_chain::MEMO_PROGRAM, Vec::new(), text.as_bytes())
}

pub(crate) fn instruction(program: &str, accounts: Vec<AccountMeta>, data: &[u8]) -> Instruction {
    Instruction { program_id: program.parse().unwrap(), accounts, data: data.to_vec() }
}
