//! A chain of its own for each test, with funded wallets on it. Knows no test.

use std::net::SocketAddr;
use std::time::Duration;

use ed25519_dalek::{Signer as _, SigningKey};
use framefair_chain::{Chain, ChainError, Commitment, Config, Fate, Seam, Sent, Signer, wallet};
use framefair_domain::id::JobId;
use framefair_domain::money::{LAMPORTS_PER_SOL, Lamports};
use framefair_domain::time::Timestamp;
use framefair_domain::wallet::{TxSignature, Wallet};
use framefair_localnet::Localnet;
use serde_json::{Value, json};
use solana_message::VersionedMessage;
use solana_transaction::versioned::VersionedTransaction;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Fast, and slow enough for a busy machine to look between two slots.
const SLOT_MS: u64 = 40;

pub(crate) struct Stage {
    pub(crate) net: Localnet,
    pub(crate) seam: Seam,
    pub(crate) chain: Chain,
    pub(crate) client: Signer,
    pub(crate) escrow: Signer,
    pub(crate) gas: Signer,
    _data: TempDir,
}

pub(crate) const CLIENT_SECRET: [u8; 32] = [1; 32];

pub(crate) fn signer(seed: u8) -> Signer {
    Signer::from_secret([seed; 32]).expect("every secret has a public key")
}

pub(crate) fn sol(amount: u64) -> Lamports {
    Lamports(amount * LAMPORTS_PER_SOL)
}

pub(crate) fn job(number: u8) -> JobId {
    JobId::new(Timestamp(1_800_000_000_000), [number; 10])
}

/// A chain on which client and escrow have two SOL each and gas has one.
pub(crate) async fn stage() -> Stage {
    let data = tempfile::tempdir().unwrap();
    let net = Localnet::start(framefair_localnet::Config {
        data_dir: data.path().to_owned(),
        rpc_addr: SocketAddr::from(([127, 0, 0, 1], 0)),
        slot_ms: SLOT_MS,
    })
    .await
    .unwrap();
    let seam = Seam::new();
    let chain = open(&net.rpc_url(), None, &seam).await.unwrap();
    let (client, escrow, gas) = (signer(1), signer(2), signer(3));
    for (signer, amount) in [(&client, 2), (&escrow, 2), (&gas, 1)] {
        wallet::airdrop(&chain, &signer.wallet(), sol(amount)).await.unwrap();
    }
    Stage { net, seam, chain, client, escrow, gas, _data: data }
}

pub(crate) async fn open(
    url: &str,
    second: Option<&str>,
    seam: &Seam,
) -> Result<Chain, ChainError> {
    let config = Config {
        rpc_url: url.to_owned(),
        second_rpc_url: second.map(str::to_owned),
        genesis_hash: None,
        timeout_ms: 10_000,
    };
    Chain::connect(config, seam.clone()).await
}

impl Stage {
    /// Calls a method that is none of `Chain`'s, such as the chain's own for tests.
    pub(crate) async fn raw(&self, method: &str, params: Value) -> Value {
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

    /// Lets so many empty blocks pass at once.
    pub(crate) async fn warp(&self, slots: u64) {
        self.raw("localnetWarpSlots", json!([slots])).await;
    }

    /// Another node of the same chain.
    pub(crate) async fn view(&self, how: Value) -> String {
        self.raw("localnetView", json!([how])).await.as_str().unwrap().to_owned()
    }

    pub(crate) async fn chain_at(&self, url: &str) -> Chain {
        open(url, None, &self.seam).await.unwrap()
    }

    pub(crate) async fn recent_blockhash(&self) -> solana_hash::Hash {
        let answer = self.raw("getLatestBlockhash", json!([{ "commitment": "confirmed" }])).await;
        answer["value"]["blockhash"].as_str().unwrap().parse().unwrap()
    }

    /// Signs a message of the test's own making by the client alone, sends it, and waits until it
    /// is confirmed or has failed for ever.
    pub(crate) async fn send_as_client(&self, message: VersionedMessage) -> (TxSignature, Fate) {
        let bytes = signed_by_client(message);
        let signature = framefair_chain::signature_of(&bytes).unwrap();
        self.chain.send(&bytes).await.unwrap();
        let fate = self.settled(&sent(signature), &self.client.wallet()).await;
        (signature, fate)
    }

    /// The fate once it is neither unseen nor in process.
    pub(crate) async fn settled(&self, sent: &Sent, of: &Wallet) -> Fate {
        for _ in 0..600 {
            match self.chain.fate(sent, of).await.unwrap() {
                Fate::Unseen | Fate::Processing => pause().await,
                fate => return fate,
            }
        }
        panic!("{sent:?} has no fate after a minute");
    }

    pub(crate) async fn finalize(&self) {
        self.warp(40).await;
    }

    pub(crate) async fn lamports(&self, wallet: &Wallet) -> u64 {
        self.chain.balance(wallet, Commitment::Confirmed).await.unwrap().0
    }
}

pub(crate) fn signed_by_client(message: VersionedMessage) -> Vec<u8> {
    let signature = SigningKey::from_bytes(&CLIENT_SECRET).sign(&message.serialize());
    let signatures = vec![signature.to_bytes().into()];
    wincode::serialize(&VersionedTransaction { signatures, message }).unwrap()
}

/// A transaction that is looked at while it can still land.
fn sent(signature: TxSignature) -> Sent {
    Sent { signature, last_valid_block_height: u64::MAX, min_slot: 0, memo: String::new() }
}

pub(crate) async fn pause() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}
