//! What only tests can make happen: transactions that vanish, wait or expire, accounts out of
//! nowhere, nodes that lag or have forgotten.

use serde_json::{Value, json};
use solana_sdk::{
    pubkey::Pubkey,
    signature::{Keypair, Signer},
};

use crate::stage::{FEE, Rpc, SOL, Stage, at};

#[tokio::test]
async fn a_dropped_transaction_never_was_and_may_land_again() {
    let stage = Stage::still().await;
    let rpc = &stage.rpc;
    let payer = rpc.wallet(10 * SOL).await;
    let (lost, kept) = (Pubkey::new_unique(), Pubkey::new_unique());
    let dropped = rpc.transfer(&payer, &lost, 2 * SOL).await;
    let signature = rpc.send(&dropped).await;
    let other = rpc.send(&rpc.transfer(&payer, &kept, SOL).await).await;
    rpc.warp(5).await;
    let later = rpc.send(&rpc.transfer(&payer, &kept, SOL).await).await;
    rpc.warp(5).await;
    assert_eq!(rpc.balance(&payer.pubkey(), "confirmed").await, 6 * SOL - 3 * FEE);

    let gone = rpc.call("localnetDropTransaction", json!([signature.to_string()])).await;
    assert_eq!(gone, json!([signature.to_string()]));
    assert!(rpc.status(&signature).await.is_null());
    assert!(rpc.transaction(&signature, "confirmed").await.is_null());
    assert!(rpc.history(&lost, at("confirmed")).await.is_empty());
    assert_eq!(rpc.balance(&lost, "processed").await, 0);
    assert_eq!(rpc.balance(&kept, "confirmed").await, 2 * SOL);
    assert_eq!(rpc.balance(&payer.pubkey(), "confirmed").await, 8 * SOL - 2 * FEE);
    let history = [later.to_string(), other.to_string()];
    assert_eq!(rpc.history(&kept, at("confirmed")).await, history);
    let found = rpc.transaction(&later, "confirmed").await;
    assert_eq!(found["meta"]["postBalances"][0], 8 * SOL - 2 * FEE);

    rpc.try_send(&dropped).await.unwrap();
    rpc.warp(32).await;
    assert_eq!(rpc.balance(&lost, "finalized").await, 2 * SOL);
    let refused = rpc.refused("localnetDropTransaction", json!([signature.to_string()])).await;
    assert_eq!(refused, -32602, "a finalized transaction stays");
}

#[tokio::test]
async fn what_lived_on_dropped_money_is_gone_with_it() {
    let stage = Stage::still().await;
    let rpc = &stage.rpc;
    let payer = rpc.wallet(10 * SOL).await;
    let heir = Keypair::new();
    let first = rpc.send(&rpc.transfer(&payer, &heir.pubkey(), 2 * SOL).await).await;
    let second = rpc.send(&rpc.transfer(&heir, &Pubkey::new_unique(), SOL).await).await;
    assert!(rpc.status(&second).await["err"].is_null());
    let gone = rpc.call("localnetDropTransaction", json!([first.to_string()])).await;
    assert_eq!(gone, json!([first.to_string(), second.to_string()]));
    assert!(rpc.status(&second).await.is_null());
    assert_eq!(rpc.balance(&payer.pubkey(), "processed").await, 10 * SOL);
}

#[tokio::test]
async fn a_held_transaction_is_accepted_and_lands_when_released() {
    let stage = Stage::still().await;
    let rpc = &stage.rpc;
    let payer = rpc.wallet(5 * SOL).await;
    let payee = Pubkey::new_unique();
    let transaction = rpc.transfer(&payer, &payee, SOL).await;
    let signature = json!([transaction.signatures[0].to_string()]);
    rpc.call("localnetHoldTransaction", signature.clone()).await;
    rpc.try_send(&transaction).await.unwrap();
    rpc.try_send(&transaction).await.unwrap();
    rpc.warp(40).await;
    assert!(rpc.status(&transaction.signatures[0]).await.is_null());
    assert_eq!(rpc.call("localnetHeldTransactions", json!([])).await, signature);

    let released = rpc.call("localnetReleaseTransaction", signature.clone()).await;
    assert_eq!(released[0]["landed"], true);
    assert_eq!(rpc.status(&transaction.signatures[0]).await["confirmationStatus"], "processed");
    assert_eq!(rpc.balance(&payee, "processed").await, SOL);
    assert_eq!(rpc.refused("localnetHoldTransaction", signature).await, -32602);
}

#[tokio::test]
async fn a_held_transaction_expires_with_its_blockhash() {
    let stage = Stage::still().await;
    let rpc = &stage.rpc;
    let payer = rpc.wallet(5 * SOL).await;
    // By address: whoever signs inside a server is not asked for signatures beforehand.
    let rule = json!([payer.pubkey().to_string()]);
    rpc.call("localnetHoldTransaction", rule.clone()).await;
    let transaction = rpc.transfer(&payer, &Pubkey::new_unique(), SOL).await;
    rpc.try_send(&transaction).await.unwrap();
    rpc.warp(151).await;
    assert_eq!(rpc.call("localnetHeldTransactions", json!([])).await, json!([]));
    assert_eq!(rpc.call("localnetReleaseTransaction", rule).await, json!([]));
    assert!(rpc.status(&transaction.signatures[0]).await.is_null());
    assert_eq!(rpc.balance(&payer.pubkey(), "processed").await, 5 * SOL);
}

async fn view(rpc: &Rpc, wanted: Value) -> Rpc {
    let url = rpc.call("localnetView", json!([wanted])).await;
    Rpc::new(url.as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_lagging_view_shows_the_chain_as_it_was() {
    let stage = Stage::still().await;
    let rpc = &stage.rpc;
    let payer = rpc.wallet(5 * SOL).await;
    let payee = Pubkey::new_unique();
    let lagging = view(rpc, json!({"lagSlots": 10})).await;
    let signature = rpc.send(&rpc.transfer(&payer, &payee, SOL).await).await;
    rpc.warp(10).await;
    assert_eq!(lagging.slot("processed").await + 10, rpc.slot("processed").await);
    assert_eq!(rpc.status(&signature).await["confirmationStatus"], "confirmed");
    assert_eq!(lagging.status(&signature).await["confirmationStatus"], "processed");
    assert!(lagging.transaction(&signature, "confirmed").await.is_null());
    assert_eq!(lagging.balance(&payee, "confirmed").await, 0);
    rpc.warp(1).await;
    assert_eq!(lagging.status(&signature).await["confirmationStatus"], "confirmed");
    assert_eq!(lagging.balance(&payee, "confirmed").await, SOL);
    rpc.warp(21).await;
    assert_eq!(rpc.status(&signature).await["confirmationStatus"], "finalized");
    assert_eq!(lagging.status(&signature).await["confirmationStatus"], "confirmed");
    assert!(lagging.history(&payee, at("finalized")).await.is_empty());
    assert_eq!(rpc.history(&payee, at("finalized")).await, [signature.to_string()]);
}

#[tokio::test]
async fn a_node_without_history_says_so_or_finds_nothing() {
    let stage = Stage::still().await;
    let rpc = &stage.rpc;
    let payer = rpc.wallet(5 * SOL).await;
    let payee = Pubkey::new_unique();
    let signature = rpc.send(&rpc.transfer(&payer, &payee, SOL).await).await;
    let forgetful = view(rpc, json!({"history": false})).await;
    let refusing = view(rpc, json!({"history": "refused"})).await;
    rpc.warp(32).await;
    assert_eq!(forgetful.status(&signature).await["confirmationStatus"], "finalized");
    rpc.warp(300).await;
    assert_eq!(rpc.status(&signature).await["confirmationStatus"], "finalized");
    assert!(forgetful.status(&signature).await.is_null());
    assert!(forgetful.transaction(&signature, "finalized").await.is_null());
    assert!(forgetful.history(&payee, at("finalized")).await.is_empty());
    assert_eq!(forgetful.balance(&payee, "finalized").await, SOL);

    let params = json!([signature.to_string()]);
    assert_eq!(refusing.refused("getTransaction", params).await, -32011);
    let params = json!([payee.to_string()]);
    assert_eq!(refusing.refused("getSignaturesForAddress", params).await, -32011);
    let params = json!([[signature.to_string()], {"searchTransactionHistory": true}]);
    assert_eq!(refusing.refused("getSignatureStatuses", params).await, -32011);
}

#[tokio::test]
async fn a_set_account_and_warped_time_are_seen_like_any_other() {
    let stage = Stage::still().await;
    let rpc = &stage.rpc;
    let address = Pubkey::new_unique();
    let owner = Pubkey::new_unique();
    let account = json!({"lamports": 77, "data": "AQID", "owner": owner.to_string()});
    rpc.call("localnetSetAccount", json!([address.to_string(), account])).await;
    rpc.warp(32).await;
    let params = json!([address.to_string(), {"encoding": "base64"}]);
    let found = rpc.call("getAccountInfo", params.clone()).await;
    assert_eq!(found["value"]["data"], json!(["AQID", "base64"]));
    assert_eq!(found["value"]["owner"], owner.to_string());
    rpc.call("localnetSetAccount", json!([address.to_string(), null])).await;
    rpc.warp(32).await;
    assert!(rpc.call("getAccountInfo", params).await["value"].is_null());

    let time = async || {
        let slot = rpc.slot("processed").await;
        rpc.call("getBlockTime", json!([slot])).await.as_i64().unwrap()
    };
    let before = time().await;
    rpc.call("localnetWarpSlots", json!([3, {"seconds": 3_600}])).await;
    assert!((3_600..3_700).contains(&(time().await - before)));
}
