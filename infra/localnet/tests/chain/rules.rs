//! The rules of a cluster that money depends on: commitment, expiry, rent, fees, failure, lookup
//! tables, tokens.

use serde_json::{Value, json};
use solana_address_lookup_table_interface::instruction::{
    create_lookup_table, extend_lookup_table,
};
use solana_sdk::{
    instruction::{AccountMeta, Instruction},
    message::{AddressLookupTableAccount, VersionedMessage, v0},
    pubkey::Pubkey,
    signature::{Keypair, Signer},
    transaction::VersionedTransaction,
};
use solana_system_interface::instruction::transfer;

use crate::stage::{FEE, RENT_EXEMPT_MIN, SOL, Stage, at, encode};

#[tokio::test]
async fn commitment_rises_with_the_slots_above_and_every_method_respects_it() {
    let stage = Stage::still().await;
    let rpc = &stage.rpc;
    let payer = rpc.wallet(2 * SOL).await;
    let payee = Pubkey::new_unique();
    let signature = rpc.send(&rpc.transfer(&payer, &payee, SOL).await).await;

    for (slots, level, seen) in [
        (0, "processed", [SOL, 0, 0]),
        (1, "confirmed", [SOL, SOL, 0]),
        (30, "confirmed", [SOL, SOL, 0]),
        (1, "finalized", [SOL, SOL, SOL]),
    ] {
        if slots > 0 {
            rpc.warp(slots).await;
        }
        let status = rpc.status(&signature).await;
        assert_eq!(status["confirmationStatus"], level);
        assert_eq!(status["confirmations"].is_null(), level == "finalized");
        for (commitment, lamports) in ["processed", "confirmed", "finalized"].iter().zip(seen) {
            assert_eq!(rpc.balance(&payee, commitment).await, lamports, "{level}, {commitment}");
        }
        for (commitment, lamports) in ["confirmed", "finalized"].iter().zip(&seen[1..]) {
            let found = rpc.transaction(&signature, commitment).await;
            assert_eq!(found.is_null(), *lamports == 0, "{level}, {commitment}");
            let history = rpc.history(&payee, at(commitment)).await;
            assert_eq!(history.len() as u64, lamports / SOL, "{level}, {commitment}");
        }
    }
}

#[tokio::test]
async fn a_blockhash_is_good_for_150_blocks_and_not_one_more() {
    let stage = Stage::still().await;
    let rpc = &stage.rpc;
    let payer = rpc.wallet(2 * SOL).await;
    let payee = Pubkey::new_unique();
    let latest = rpc.call("getLatestBlockhash", json!([at("confirmed")])).await;
    let last = latest["value"]["lastValidBlockHeight"].as_u64().unwrap();
    let hash = latest["value"]["blockhash"].clone();
    let [in_time, too_late] =
        [rpc.transfer(&payer, &payee, SOL).await, rpc.transfer(&payer, &payee, SOL + 1).await];

    let height =
        async || rpc.call("getBlockHeight", json!([at("processed")])).await.as_u64().unwrap();
    rpc.warp(last - height().await).await;
    assert_eq!(height().await, last);
    let valid = rpc.call("isBlockhashValid", json!([hash, at("processed")])).await;
    assert_eq!(valid["value"], true);
    let landed = rpc.send(&in_time).await;
    assert!(rpc.status(&landed).await["err"].is_null());

    rpc.warp(1).await;
    let valid = rpc.call("isBlockhashValid", json!([hash, at("processed")])).await;
    assert_eq!(valid["value"], false);
    let lost = rpc.send(&too_late).await;
    assert!(rpc.status(&lost).await.is_null(), "an expired transaction landed");
    rpc.warp(1).await;
    let refused = rpc.try_send(&too_late).await.unwrap_err();
    assert_eq!(
        (&refused["code"], &refused["data"]["err"]),
        (&json!(-32002), &json!("BlockhashNotFound"))
    );
    rpc.warp(32).await;
    assert_eq!(rpc.balance(&payee, "finalized").await, SOL);
}

#[tokio::test]
async fn a_transaction_lands_once_however_often_it_is_sent() {
    let stage = Stage::still().await;
    let rpc = &stage.rpc;
    let payer = rpc.wallet(5 * SOL).await;
    let payee = Pubkey::new_unique();
    let transaction = rpc.transfer(&payer, &payee, SOL).await;
    let first = rpc.send(&transaction).await;
    assert_eq!(rpc.send(&transaction).await, first);
    rpc.warp(1).await;
    let refused = rpc.try_send(&transaction).await.unwrap_err();
    assert_eq!(refused["data"]["err"], "AlreadyProcessed");
    assert_eq!(rpc.balance(&payee, "processed").await, SOL);
    assert_eq!(rpc.balance(&payer.pubkey(), "processed").await, 4 * SOL - FEE);
}

#[tokio::test]
async fn a_failed_transaction_is_on_chain_with_its_error_and_paid_its_fee() {
    let stage = Stage::still().await;
    let rpc = &stage.rpc;
    let payer = rpc.wallet(SOL).await;
    let payee = Pubkey::new_unique();
    let transaction = rpc.transfer(&payer, &payee, 2 * SOL).await;

    let refused = rpc.try_send(&transaction).await.unwrap_err();
    assert_eq!(refused["code"], -32002);
    assert_eq!(refused["data"]["err"], json!({"InstructionError": [0, {"Custom": 1}]}));
    assert!(refused["data"]["logs"].to_string().contains("insufficient lamports"));
    assert!(rpc.status(&transaction.signatures[0]).await.is_null());

    let signature = rpc.send(&transaction).await;
    rpc.warp(1).await;
    let found = rpc.transaction(&signature, "confirmed").await;
    assert_eq!(found["meta"]["err"], json!({"InstructionError": [0, {"Custom": 1}]}));
    assert_eq!(found["meta"]["fee"], FEE);
    assert_eq!(found["meta"]["preBalances"][0], SOL);
    assert_eq!(found["meta"]["postBalances"][0], SOL - FEE);
    assert_eq!(rpc.balance(&payer.pubkey(), "confirmed").await, SOL - FEE);
    assert_eq!(rpc.balance(&payee, "confirmed").await, 0);
    assert_eq!(rpc.history(&payee, at("confirmed")).await, [signature.to_string()]);
    assert_eq!(rpc.status(&signature).await["err"], found["meta"]["err"]);
}

#[tokio::test]
async fn a_new_account_below_the_rent_exempt_minimum_fails_the_transfer() {
    let stage = Stage::still().await;
    let rpc = &stage.rpc;
    let payer = rpc.wallet(SOL).await;
    let minimum = rpc.call("getMinimumBalanceForRentExemption", json!([0])).await;
    assert_eq!(minimum, RENT_EXEMPT_MIN);

    let payee = Pubkey::new_unique();
    let signature = rpc.send(&rpc.transfer(&payer, &payee, RENT_EXEMPT_MIN - 1).await).await;
    let status = rpc.status(&signature).await;
    assert_eq!(status["err"], json!({"InsufficientFundsForRent": {"account_index": 1}}));
    assert_eq!(rpc.balance(&payee, "processed").await, 0);
    assert_eq!(rpc.balance(&payer.pubkey(), "processed").await, SOL - FEE);

    let signature = rpc.send(&rpc.transfer(&payer, &payee, RENT_EXEMPT_MIN).await).await;
    assert!(rpc.status(&signature).await["err"].is_null());
    let signature = rpc.send(&rpc.transfer(&payer, &payee, 1).await).await;
    assert!(rpc.status(&signature).await["err"].is_null(), "an account that exists takes anything");
    assert_eq!(rpc.balance(&payee, "processed").await, RENT_EXEMPT_MIN + 1);
}

#[tokio::test]
async fn a_wrong_signature_never_lands_and_preflight_says_so() {
    let stage = Stage::still().await;
    let rpc = &stage.rpc;
    let payer = rpc.wallet(2 * SOL).await;
    let mut transaction = rpc.transfer(&payer, &Pubkey::new_unique(), SOL).await;
    transaction.signatures[0] = Keypair::new().sign_message(b"something else");
    assert_eq!(rpc.try_send(&transaction).await.unwrap_err()["code"], -32003);
    let signature = rpc.send(&transaction).await;
    assert!(rpc.status(&signature).await.is_null());
    assert_eq!(rpc.balance(&payer.pubkey(), "processed").await, 2 * SOL);

    // What a wallet asks before it signs.
    let unsigned = encode(&VersionedTransaction {
        signatures: vec![Default::default()],
        message: transaction.message,
    });
    let config = json!({"encoding": "base64", "commitment": "confirmed"});
    let simulated = rpc.call("simulateTransaction", json!([unsigned, config])).await;
    assert_eq!(simulated["value"]["err"], Value::Null);
    assert_eq!(simulated["value"]["fee"], FEE);
    assert_eq!(simulated["value"]["postBalances"][1], SOL);
    let config = json!({"encoding": "base64", "sigVerify": true});
    assert_eq!(rpc.refused("simulateTransaction", json!([unsigned, config])).await, -32003);
    assert_eq!(rpc.balance(&payer.pubkey(), "processed").await, 2 * SOL);
}

#[tokio::test]
async fn a_v0_transaction_through_a_lookup_table_tells_whom_it_loaded() {
    let stage = Stage::still().await;
    let rpc = &stage.rpc;
    let payer = rpc.wallet(3 * SOL).await;
    let (payee, reference) = (Pubkey::new_unique(), Pubkey::new_unique());
    let recent = rpc.slot("confirmed").await;
    let (create, table) = create_lookup_table(payer.pubkey(), payer.pubkey(), recent);
    let extend =
        extend_lookup_table(table, payer.pubkey(), Some(payer.pubkey()), vec![payee, reference]);
    let made = rpc.send(&rpc.signed(&payer, &[create, extend]).await).await;
    assert_eq!(rpc.status(&made).await["err"], Value::Null);
    rpc.warp(1).await;

    let mut pay = transfer(&payer.pubkey(), &payee, SOL);
    pay.accounts.push(AccountMeta::new_readonly(reference, false));
    let tables = [AddressLookupTableAccount { key: table, addresses: vec![payee, reference] }];
    let hash = rpc.blockhash().await;
    let message = v0::Message::try_compile(&payer.pubkey(), &[pay], &tables, hash).unwrap();
    assert_eq!(message.address_table_lookups.len(), 1);
    let transaction =
        VersionedTransaction::try_new(VersionedMessage::V0(message), &[&payer]).unwrap();
    let signature: solana_sdk::signature::Signature =
        rpc.try_send(&transaction).await.unwrap().as_str().unwrap().parse().unwrap();
    rpc.warp(1).await;

    let found = rpc.transaction(&signature, "confirmed").await;
    assert_eq!(found["version"], 0);
    assert_eq!(
        found["meta"]["loadedAddresses"],
        json!({"writable": [payee.to_string()], "readonly": [reference.to_string()]})
    );
    let index = 2;
    let delta = |which: &str| found["meta"][which][index].as_u64().unwrap();
    assert_eq!(delta("postBalances") - delta("preBalances"), SOL);
    assert_eq!(rpc.history(&payee, at("confirmed")).await, [signature.to_string()]);
    assert_eq!(rpc.history(&reference, at("confirmed")).await, [signature.to_string()]);

    let config = json!({"commitment": "confirmed", "encoding": "json"});
    let params = json!([signature.to_string(), config]);
    assert_eq!(rpc.refused("getTransaction", params).await, -32015);
}

#[tokio::test]
async fn memos_come_back_from_the_transaction_and_from_the_history() {
    let stage = Stage::still().await;
    let rpc = &stage.rpc;
    let payer = rpc.wallet(2 * SOL).await;
    let payee = Pubkey::new_unique();
    let memo = Instruction {
        program_id: Pubkey::from_str_const("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr"),
        accounts: Vec::new(),
        data: b"rayment:7".to_vec(),
    };
    let pay = transfer(&payer.pubkey(), &payee, SOL);
    let signature = rpc.send(&rpc.signed(&payer, &[pay, memo]).await).await;
    assert_eq!(rpc.status(&signature).await["err"], Value::Null);
    rpc.warp(1).await;
    let params = json!([payee.to_string(), at("confirmed")]);
    let history = rpc.call("getSignaturesForAddress", params).await;
    assert_eq!(history[0]["memo"], "[9] rayment:7");
    let config = json!({"commitment": "confirmed", "encoding": "jsonParsed"});
    let parsed = rpc.call("getTransaction", json!([signature.to_string(), config])).await;
    assert_eq!(parsed["transaction"]["message"]["instructions"][1]["parsed"], "rayment:7");
}

#[tokio::test]
async fn an_airdrop_is_a_transfer_from_the_faucet_that_anyone_can_check() {
    let stage = Stage::still().await;
    let rpc = &stage.rpc;
    let to = Pubkey::new_unique();
    let mut signatures = Vec::new();
    for _ in 0..3 {
        let reply = rpc.call("requestAirdrop", json!([to.to_string(), SOL])).await;
        signatures.push(reply.as_str().unwrap().to_owned());
    }
    rpc.warp(1).await;
    signatures.reverse();
    assert_eq!(rpc.history(&to, at("confirmed")).await, signatures);
    let mut received = 0;
    for signature in &signatures {
        let found = rpc.transaction(&signature.parse().unwrap(), "confirmed").await;
        let keys = found["transaction"]["message"]["accountKeys"].as_array().unwrap();
        let place = keys.iter().position(|key| *key == json!(to.to_string())).unwrap();
        let balance = |which: &str| found["meta"][which][place].as_u64().unwrap();
        received += balance("postBalances") - balance("preBalances");
    }
    assert_eq!(received, rpc.balance(&to, "confirmed").await);
    assert_eq!(received, 3 * SOL);
}

#[tokio::test]
async fn history_is_paged_by_before_until_and_limit() {
    let stage = Stage::still().await;
    let rpc = &stage.rpc;
    let payer = rpc.wallet(20 * SOL).await;
    let payee = Pubkey::new_unique();
    let mut sent = Vec::new();
    for number in 0..6 {
        let transaction = rpc.transfer(&payer, &payee, SOL + number).await;
        sent.insert(0, rpc.send(&transaction).await.to_string());
        if number % 2 == 1 {
            rpc.warp(1).await;
        }
    }
    assert_eq!(rpc.history(&payee, json!({})).await, sent);
    assert_eq!(rpc.history(&payee, json!({"limit": 2})).await, sent[..2]);
    assert_eq!(rpc.history(&payee, json!({"before": sent[1]})).await, sent[2..]);
    assert_eq!(rpc.history(&payee, json!({"until": sent[4]})).await, sent[..4]);
    let page = json!({"before": sent[0], "until": sent[5], "limit": 3});
    assert_eq!(rpc.history(&payee, page).await, sent[1..4]);
}
