//! That the fate of a payment is found out after a crash at any moment, on a real local chain.

use framefair_domain::payment;
use framefair_localnet::{Config as ChainConfig, Localnet};
use serde_json::{Value, json};

use super::*;

const JOB: &str = "0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001";

struct Place {
    _folder: tempfile::TempDir,
    chain: Localnet,
    purse: Purse,
    signer: Signer,
    to: Wallet,
    memo: String,
}

async fn place() -> Place {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let config = ChainConfig {
        data_dir: folder.path().join("chain"),
        rpc_addr: "127.0.0.1:0".parse().unwrap(),
        slot_ms: 20,
    };
    let chain = Localnet::start(config).await.unwrap();
    let purse = Purse::open(&chain.rpc_url().parse().unwrap()).await.unwrap();
    let signer = create(&folder.path().join("me.json")).unwrap();
    let to = create(&folder.path().join("escrow.json")).unwrap().wallet();
    for wallet in [signer.wallet(), to] {
        purse.airdrop(&wallet, Lamports(2_000_000_000)).await.unwrap();
    }
    let memo = payment::memo(JOB.parse().unwrap());
    Place { _folder: folder, chain, purse, signer, to, memo }
}

impl Place {
    async fn ask(&self, method: &str, params: Value) -> Value {
        let client =
            reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer = client.post(self.chain.rpc_url()).json(&body).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    async fn pay(&self, attempt: &mut Attempt) -> Result<TxSignature, PayError> {
        let price = Lamports(8_400_000);
        self.purse
            .pay(&self.signer, &self.to, price, &self.memo, |s| attempt.signature = Some(s))
            .await
    }

    async fn fate(&self, attempt: &Attempt) -> Outcome {
        let from = self.signer.wallet();
        let fate = self.purse.fate(attempt, &from, &self.memo);
        tokio::time::timeout(Duration::from_secs(60), fate).await.unwrap().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_is_found_again_by_its_signature_and_without_it_by_its_memo() {
    let place = place().await;
    let mut attempt = place.purse.begin().await.unwrap();
    let paid = place.pay(&mut attempt).await.unwrap();
    assert_eq!(attempt.signature, Some(paid), "told before it was sent");
    assert_eq!(place.purse.balance(&place.to).await.unwrap(), Lamports(2_008_400_000));
    assert_eq!(place.fate(&attempt).await, Outcome::Landed(paid));
    let crashed = Attempt { signature: None, ..attempt };
    place.ask("localnetWarpSlots", json!([400])).await;
    assert_eq!(place.fate(&crashed).await, Outcome::Landed(paid));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_was_never_sent_is_nothing_once_it_no_longer_can_be() {
    let place = place().await;
    let attempt = place.purse.begin().await.unwrap();
    let from = place.signer.wallet();
    let early = place.purse.fate(&attempt, &from, &place.memo);
    let early = tokio::time::timeout(Duration::from_millis(700), early).await;
    assert!(early.is_err(), "as long as it could land nothing is said");
    place.ask("localnetWarpSlots", json!([400])).await;
    assert_eq!(place.fate(&attempt).await, Outcome::Nothing);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_the_chain_never_took_is_nothing_once_it_has_expired() {
    let place = place().await;
    place.ask("localnetHoldTransaction", json!([place.to])).await;
    let mut attempt = place.purse.begin().await.unwrap();
    let cut_off = tokio::time::timeout(Duration::from_secs(3), place.pay(&mut attempt)).await;
    assert!(cut_off.is_err() && attempt.signature.is_some(), "this is where the program crashed");
    place.ask("localnetWarpSlots", json!([400])).await;
    assert_eq!(place.fate(&attempt).await, Outcome::Nothing);
    assert_eq!(place.purse.balance(&place.to).await.unwrap(), Lamports(2_000_000_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_wallet_is_told_before_anything_is_signed() {
    let place = place().await;
    let poor = Signer::from_secret([9; 32]).unwrap();
    assert_eq!(place.purse.balance(&poor.wallet()).await.unwrap(), Lamports::ZERO);
    assert!(place.purse.is_test_chain());
    let nobody: RpcUrl = "http://127.0.0.1:9".parse().unwrap();
    assert_eq!(Purse::open(&nobody).await.unwrap_err().exit, Exit::Network);
}
