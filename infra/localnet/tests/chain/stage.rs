//! A chain to test on, and the few moves that every test makes. Speaks plain JSON-RPC.

use std::time::{Duration, Instant};

use framefair_localnet::{Config, Localnet};
use serde_json::{Value, json};
use solana_client::{nonblocking::rpc_client::RpcClient, rpc_config::CommitmentConfig};
use solana_sdk::{
    hash::Hash,
    instruction::Instruction,
    message::{Message, VersionedMessage},
    pubkey::Pubkey,
    signature::{Keypair, Signature, Signer},
    transaction::VersionedTransaction,
};
use solana_system_interface::instruction::transfer;

pub(crate) const SOL: u64 = 1_000_000_000;
pub(crate) const FEE: u64 = 5_000;
pub(crate) const RENT_EXEMPT_MIN: u64 = 890_880;
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Stage {
    pub(crate) chain: Localnet,
    pub(crate) rpc: Rpc,
    _folder: tempfile::TempDir,
}

impl Stage {
    /// A chain whose slots take as long as given: long ones stand still for as long as a test
    /// warps by itself.
    pub(crate) async fn with_slots_of(slot_ms: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let chain = Localnet::start(Config {
            data_dir: folder.path().to_owned(),
            rpc_addr: "127.0.0.1:0".parse().unwrap(),
            slot_ms,
        })
        .await
        .unwrap();
        let rpc = Rpc::new(chain.rpc_url());
        Self { chain, rpc, _folder: folder }
    }

    /// A chain that only moves when the test says so.
    pub(crate) async fn still() -> Self {
        Self::with_slots_of(60_000).await
    }

    pub(crate) fn client(&self, commitment: CommitmentConfig) -> RpcClient {
        RpcClient::new_with_commitment(self.chain.rpc_url(), commitment)
    }
}

#[derive(Clone)]
pub(crate) struct Rpc {
    url: String,
    pub(crate) http: reqwest::Client,
}

/// `{"commitment": …}`
pub(crate) fn at(commitment: &str) -> Value {
    json!({ "commitment": commitment })
}

impl Rpc {
    pub(crate) fn new(url: String) -> Self {
        // An error means that another test was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
        Self { url, http }
    }

    pub(crate) async fn post(&self, body: impl Into<reqwest::Body>) -> (u16, Value) {
        let reply = self.http.post(&self.url).body(body).send().await.unwrap();
        let status = reply.status().as_u16();
        (status, reply.json().await.unwrap_or(Value::Null))
    }

    pub(crate) async fn try_call(&self, method: &str, params: Value) -> Result<Value, Value> {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let (status, mut reply) = self.post(request.to_string()).await;
        assert_eq!(status, 200, "{reply}");
        match reply.get_mut("error") {
            Some(error) => Err(error.take()),
            None => Ok(reply["result"].take()),
        }
    }

    pub(crate) async fn call(&self, method: &str, params: Value) -> Value {
        match self.try_call(method, params.clone()).await {
            Ok(result) => result,
            Err(error) => panic!("{method} {params}: {error}"),
        }
    }

    /// The code of the error that the call must meet.
    pub(crate) async fn refused(&self, method: &str, params: Value) -> i64 {
        match self.try_call(method, params.clone()).await {
            Ok(result) => panic!("{method} {params} was answered: {result}"),
            Err(error) => error["code"].as_i64().unwrap(),
        }
    }

    pub(crate) async fn balance(&self, address: &Pubkey, commitment: &str) -> u64 {
        let reply = self.call("getBalance", json!([address.to_string(), at(commitment)])).await;
        reply["value"].as_u64().unwrap()
    }

    pub(crate) async fn blockhash(&self) -> Hash {
        let reply = self.call("getLatestBlockhash", json!([at("confirmed")])).await;
        reply["value"]["blockhash"].as_str().unwrap().parse().unwrap()
    }

    pub(crate) async fn slot(&self, commitment: &str) -> u64 {
        self.call("getSlot", json!([at(commitment)])).await.as_u64().unwrap()
    }

    pub(crate) async fn warp(&self, slots: u64) {
        self.call("localnetWarpSlots", json!([slots])).await;
    }

    /// A wallet with money that is final.
    pub(crate) async fn wallet(&self, lamports: u64) -> Keypair {
        let wallet = Keypair::new();
        self.call("requestAirdrop", json!([wallet.pubkey().to_string(), lamports])).await;
        self.warp(32).await;
        wallet
    }

    pub(crate) async fn transfer(
        &self,
        from: &Keypair,
        to: &Pubkey,
        lamports: u64,
    ) -> VersionedTransaction {
        self.signed(from, &[transfer(&from.pubkey(), to, lamports)]).await
    }

    pub(crate) async fn signed(
        &self,
        payer: &Keypair,
        instructions: &[Instruction],
    ) -> VersionedTransaction {
        let hash = self.blockhash().await;
        let message = Message::new_with_blockhash(instructions, Some(&payer.pubkey()), &hash);
        VersionedTransaction::try_new(VersionedMessage::Legacy(message), &[payer]).unwrap()
    }

    /// Sends without preflight: what cannot land is silently not there, as on a cluster.
    pub(crate) async fn send(&self, transaction: &VersionedTransaction) -> Signature {
        let config = json!({"encoding": "base64", "skipPreflight": true});
        let reply = self.call("sendTransaction", json!([encode(transaction), config])).await;
        reply.as_str().unwrap().parse().unwrap()
    }

    /// Sends with preflight at `confirmed`.
    pub(crate) async fn try_send(
        &self,
        transaction: &VersionedTransaction,
    ) -> Result<Value, Value> {
        let config = json!({"encoding": "base64", "preflightCommitment": "confirmed"});
        self.try_call("sendTransaction", json!([encode(transaction), config])).await
    }

    pub(crate) async fn status(&self, signature: &Signature) -> Value {
        let config = json!({"searchTransactionHistory": true});
        let params = json!([[signature.to_string()], config]);
        self.call("getSignatureStatuses", params).await["value"][0].take()
    }

    pub(crate) async fn transaction(&self, signature: &Signature, commitment: &str) -> Value {
        let config = json!({
            "commitment": commitment,
            "encoding": "json",
            "maxSupportedTransactionVersion": 0,
        });
        self.call("getTransaction", json!([signature.to_string(), config])).await
    }

    /// Newest first.
    pub(crate) async fn history(&self, address: &Pubkey, mut config: Value) -> Vec<String> {
        if config["commitment"].is_null() {
            config["commitment"] = json!("confirmed");
        }
        let found = self.call("getSignaturesForAddress", json!([address.to_string(), config]));
        let found = found.await;
        let entries = found.as_array().unwrap().iter();
        entries.map(|entry| entry["signature"].as_str().unwrap().to_owned()).collect()
    }
}

pub(crate) fn encode(transaction: &VersionedTransaction) -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};
    BASE64_STANDARD.encode(bincode::serialize(transaction).unwrap())
}

/// Asks again and again until the answer is yes.
pub(crate) async fn until(what: &str, mut asked: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !asked().await {
        assert!(began.elapsed() < PATIENCE, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
