//! The chain of a test's world: its clock, its wallets, and transactions of any make.

use std::sync::atomic::Ordering::Relaxed;

use ed25519_dalek::Signer as _;
use framefair_app::Ctx;
use framefair_chain::{Chain, Commitment};
use framefair_domain::wallet::{TxSignature, Wallet};
use serde_json::{Value, json};
use solana_address::Address;
use solana_hash::Hash;
use solana_instruction::{AccountMeta, Instruction};
use solana_message::{Message, VersionedMessage};
use solana_transaction::versioned::VersionedTransaction;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Party, World};

/// So many blocks later everything before is final.
const FINAL_AFTER: u64 = 36;

impl World {
    /// The same world through another node of the same chain.
    pub(crate) async fn through(&self, view: Value) -> Ctx {
        let url = self.rpc("localnetView", json!([view])).await;
        let chain = connect(url.as_str().unwrap(), &self.chain_seam).await;
        Ctx::new(self.ctx.store.clone(), chain, self.ctx.platform.clone())
    }

    pub(crate) async fn rpc(&self, method: &str, params: Value) -> Value {
        let answer = self.try_rpc(method, params).await;
        answer.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Past all faults: the result, or the error that the node answered with.
    pub(crate) async fn try_rpc(&self, method: &str, params: Value) -> Result<Value, Value> {
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
        match answer.get("error") {
            Some(error) => Err(error.clone()),
            None => Ok(answer["result"].clone()),
        }
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
        self.warp(1).await;
        self.ctx.chain.send(bytes).await.unwrap();
        self.warp(2).await;
        framefair_chain::signature_of(bytes).unwrap()
    }

    pub(crate) async fn transact(
        &self,
        instructions: &[Instruction],
        by: &[&Party],
    ) -> TxSignature {
        self.send(&self.sign(instructions, by).await).await
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
