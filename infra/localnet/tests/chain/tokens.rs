//! SPL tokens, as far as a wallet's balance goes: accounts set by hand, the real token program.

use serde_json::{Value, json};
use solana_sdk::{
    instruction::{AccountMeta, Instruction},
    pubkey::Pubkey,
    signature::Signer,
};

use crate::stage::{SOL, Stage, at};

const TOKEN: Pubkey = Pubkey::from_str_const("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA");

/// A mint of six decimals, without authorities.
fn mint() -> Vec<u8> {
    let mut data = vec![0; 82];
    data[36..44].copy_from_slice(&10_000_000_u64.to_le_bytes());
    data[44] = 6;
    data[45] = 1;
    data
}

fn token_account(mint: &Pubkey, owner: &Pubkey, amount: u64) -> Vec<u8> {
    let mut data = vec![0; 165];
    data[..32].copy_from_slice(mint.as_ref());
    data[32..64].copy_from_slice(owner.as_ref());
    data[64..72].copy_from_slice(&amount.to_le_bytes());
    data[108] = 1;
    data
}

#[tokio::test]
async fn a_token_transfer_shows_in_balances_before_and_after() {
    use base64::{Engine, prelude::BASE64_STANDARD};

    let stage = Stage::still().await;
    let rpc = &stage.rpc;
    let owner = rpc.wallet(SOL).await;
    let [coin, from, to] = [(); 3].map(|()| Pubkey::new_unique());
    for (address, data) in [
        (coin, mint()),
        (from, token_account(&coin, &owner.pubkey(), 10_000_000)),
        (to, token_account(&coin, &Pubkey::new_unique(), 0)),
    ] {
        let data = BASE64_STANDARD.encode(data);
        let account = json!({"lamports": SOL, "data": data, "owner": TOKEN.to_string()});
        rpc.call("localnetSetAccount", json!([address.to_string(), account])).await;
    }
    let amount = 2_500_000_u64;
    let pay = Instruction {
        program_id: TOKEN,
        accounts: vec![
            AccountMeta::new(from, false),
            AccountMeta::new(to, false),
            AccountMeta::new_readonly(owner.pubkey(), true),
        ],
        data: [&[3][..], &amount.to_le_bytes()].concat(),
    };
    let signature = rpc.send(&rpc.signed(&owner, &[pay]).await).await;
    assert_eq!(rpc.status(&signature).await["err"], Value::Null);
    rpc.warp(1).await;

    let params = json!([to.to_string(), at("confirmed")]);
    let balance = rpc.call("getTokenAccountBalance", params).await;
    assert_eq!(balance["value"]["amount"], "2500000");
    assert_eq!(balance["value"]["uiAmountString"], "2.5");
    let found = rpc.transaction(&signature, "confirmed").await;
    let amounts = |which: &str| {
        let balances = found["meta"][which].as_array().unwrap();
        let mut amounts: Vec<_> = balances
            .iter()
            .map(|held| held["uiTokenAmount"]["amount"].as_str().unwrap().to_owned())
            .collect();
        amounts.sort();
        amounts
    };
    assert_eq!(amounts("preTokenBalances"), ["0", "10000000"]);
    assert_eq!(amounts("postTokenBalances"), ["2500000", "7500000"]);
    let config = json!({"commitment": "confirmed", "encoding": "jsonParsed"});
    let parsed = rpc.call("getAccountInfo", json!([from.to_string(), config])).await;
    let info = &parsed["value"]["data"]["parsed"]["info"];
    assert_eq!(info["tokenAmount"]["uiAmountString"], "7.5");
    assert_eq!(info["owner"], owner.pubkey().to_string());

    let params = json!([owner.pubkey().to_string(), at("confirmed")]);
    assert_eq!(rpc.refused("getTokenAccountBalance", params).await, -32602);
}
