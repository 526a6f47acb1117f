//! The stock Rust client: transfers, confirmation by polling and by WebSocket, reading back.

use std::time::Duration;

use futures::StreamExt;
use solana_client::{
    nonblocking::pubsub_client::PubsubClient,
    rpc_config::{
        CommitmentConfig, RpcSignatureSubscribeConfig, RpcTransactionConfig, UiTransactionEncoding,
    },
    rpc_response::{ProcessedSignatureResult, RpcSignatureResult},
};
use solana_sdk::{
    pubkey::Pubkey,
    signature::{Keypair, Signer},
};

use crate::stage::{FEE, SOL, Stage, until};

#[tokio::test]
async fn solana_client_transfers_confirms_by_polling_and_reads_back() {
    let stage = Stage::with_slots_of(200).await;
    let client = stage.client(CommitmentConfig::confirmed());
    let (payer, payee) = (Keypair::new(), Pubkey::new_unique());
    let airdrop = client.request_airdrop(&payer.pubkey(), 2 * SOL).await.unwrap();
    until("the airdrop", async || client.confirm_transaction(&airdrop).await.unwrap()).await;
    assert_eq!(client.get_balance(&payer.pubkey()).await.unwrap(), 2 * SOL);

    let transaction = stage.rpc.transfer(&payer, &payee, SOL).await;
    let fee = client.get_fee_for_message(&as_legacy(&transaction)).await.unwrap();
    assert_eq!(fee, FEE);
    let signature = client.send_and_confirm_transaction(&transaction).await.unwrap();

    assert_eq!(client.get_balance(&payee).await.unwrap(), SOL);
    assert_eq!(client.get_balance(&payer.pubkey()).await.unwrap(), SOL - FEE);
    let config = RpcTransactionConfig {
        encoding: Some(UiTransactionEncoding::Base64),
        commitment: Some(CommitmentConfig::confirmed()),
        max_supported_transaction_version: Some(0),
    };
    let found = client.get_transaction_with_config(&signature, config).await.unwrap();
    assert_eq!(found.transaction.transaction.decode().unwrap(), transaction);
    let meta = found.transaction.meta.unwrap();
    assert_eq!((meta.err, meta.fee), (None, FEE));
    assert_eq!(meta.post_balances[1] - meta.pre_balances[1], SOL);
    let time = client.get_block_time(found.slot).await.unwrap();
    assert_eq!(found.block_time, Some(time));
    let history = client.get_signatures_for_address_with_config(&payee, Default::default());
    assert!(history.await.unwrap().is_empty(), "the default commitment is finalized");

    let finalized = CommitmentConfig::finalized();
    until("finality", async || {
        client.confirm_transaction_with_commitment(&signature, finalized).await.unwrap().value
    })
    .await;
    let history = client.get_signatures_for_address(&payee).await.unwrap();
    assert_eq!(history[0].signature, signature.to_string());
    assert_eq!(client.get_version().await.unwrap().solana_core, "4.2.2");
    client.get_health().await.unwrap();
    stage.chain.shutdown().await;
}

fn as_legacy(
    transaction: &solana_sdk::transaction::VersionedTransaction,
) -> solana_sdk::message::Message {
    transaction.clone().into_legacy_transaction().unwrap().message
}

#[tokio::test]
async fn solana_client_is_told_of_confirmation_and_finality_over_the_websocket() {
    // From the one to the other it is 31 slots, which is more than a stall of the machine.
    let stage = Stage::with_slots_of(200).await;
    let payer = stage.rpc.wallet(2 * SOL).await;
    let transaction = stage.rpc.transfer(&payer, &Pubkey::new_unique(), SOL).await;
    let signature = transaction.signatures[0];

    let pubsub = PubsubClient::new(stage.chain.ws_url()).await.unwrap();
    let config = |commitment| {
        Some(RpcSignatureSubscribeConfig {
            commitment: Some(commitment),
            enable_received_notification: None,
        })
    };
    let (mut slots, unsubscribe_slots) = pubsub.slot_subscribe().await.unwrap();
    let subscribed = pubsub.signature_subscribe(&signature, config(CommitmentConfig::confirmed()));
    let (mut confirmed, _) = subscribed.await.unwrap();
    let subscribed = pubsub.signature_subscribe(&signature, config(CommitmentConfig::finalized()));
    let (mut finalized, unsubscribe) = subscribed.await.unwrap();

    stage.rpc.try_send(&transaction).await.unwrap();
    let told = confirmed.next().await.unwrap();
    assert_eq!(
        told.value,
        RpcSignatureResult::ProcessedSignature(ProcessedSignatureResult { err: None })
    );
    assert_eq!(stage.rpc.status(&signature).await["confirmationStatus"], "confirmed");

    let told = finalized.next().await.unwrap();
    assert!(told.context.slot >= stage.rpc.status(&signature).await["slot"].as_u64().unwrap());
    assert_eq!(stage.rpc.status(&signature).await["confirmationStatus"], "finalized");

    let mut last = slots.next().await.unwrap();
    for _ in 0..5 {
        let next = slots.next().await.unwrap();
        assert_eq!((next.slot, next.parent), (last.slot + 1, last.slot));
        assert_eq!(next.root + 32, next.slot);
        last = next;
    }
    unsubscribe().await;
    unsubscribe_slots().await;
}

#[tokio::test]
async fn a_subscription_to_a_signature_that_already_landed_is_told_at_once() {
    let stage = Stage::still().await;
    let payer = stage.rpc.wallet(2 * SOL).await;
    let transaction = stage.rpc.transfer(&payer, &Pubkey::new_unique(), SOL).await;
    let signature = stage.rpc.send(&transaction).await;
    stage.rpc.warp(1).await;

    let pubsub = PubsubClient::new(stage.chain.ws_url()).await.unwrap();
    let config = RpcSignatureSubscribeConfig {
        commitment: Some(CommitmentConfig::confirmed()),
        enable_received_notification: None,
    };
    let (mut told, _) = pubsub.signature_subscribe(&signature, Some(config)).await.unwrap();
    let told = tokio::time::timeout(Duration::from_secs(10), told.next()).await;
    assert!(told.unwrap().is_some());
}
