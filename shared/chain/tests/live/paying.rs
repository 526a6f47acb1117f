//! Payments as clients make them, and what we read of them.

use framefair_chain::wallet::{self, PayError, Progress};
use framefair_chain::{ChainError, Commitment, Fate, Fault};
use framefair_domain::money::Lamports;
use framefair_domain::payment::{self, Accepted, PaymentRefused, Terms, Transfer};
use framefair_domain::time::{MINUTE_MS, Timestamp};
use framefair_domain::wallet::Wallet;
use serde_json::json;
use solana_address::{Address, address};
use solana_instruction::{AccountMeta, Instruction};
use solana_message::v0::MessageAddressTableLookup;
use solana_message::{Message, MessageHeader, VersionedMessage, v0};

use crate::stage::{Stage, job, signer, sol, stage};

const SYSTEM: Address = address!("11111111111111111111111111111111");
const MEMO: Address = address!("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr");
const FEE: i128 = 5_000;
const PRICE: Lamports = Lamports(8_400_000);

fn terms(stage: &Stage, around: Timestamp) -> Terms {
    Terms {
        job: job(1),
        client: stage.client.wallet(),
        pay_to: stage.escrow.wallet(),
        lamports: PRICE,
        created: around.plus_ms(-MINUTE_MS),
        expires: around.plus_ms(MINUTE_MS),
    }
}

fn address_of(wallet: &Wallet) -> Address {
    Address::from(*wallet.as_bytes())
}

fn transfer(from: &Wallet, to: &Wallet, lamports: u64) -> Instruction {
    let mut data = vec![2, 0, 0, 0];
    data.extend(lamports.to_le_bytes());
    let accounts =
        vec![AccountMeta::new(address_of(from), true), AccountMeta::new(address_of(to), false)];
    Instruction { program_id: SYSTEM, accounts, data }
}

fn memo(text: &str) -> Instruction {
    Instruction { program_id: MEMO, accounts: Vec::new(), data: text.as_bytes().to_vec() }
}

#[tokio::test]
async fn a_payment_is_read_as_it_was_made() {
    let stage = stage().await;
    let (client, escrow) = (stage.client.wallet(), stage.escrow.wallet());
    let mut told = Vec::new();
    let text = payment::memo(job(1));
    let signature =
        wallet::pay_with(&stage.chain, &stage.client, &escrow, PRICE, &text, |it| told.push(it))
            .await
            .unwrap();
    assert_eq!(told.first(), Some(&Progress::Signed(signature)));
    assert!(told.contains(&Progress::Sent));

    let read = stage.seam.count("getTransaction");
    let facts = stage.chain.facts(&signature, Commitment::Confirmed).await.unwrap().unwrap();
    assert_eq!(stage.seam.count("getTransaction"), read + 1, "one call reads a payment");
    assert_eq!(facts.signature, signature);
    assert_eq!(facts.error, None);
    assert_eq!(facts.transfers, [Transfer { from: client, to: escrow, lamports: PRICE }]);
    assert_eq!(facts.memos, [text]);
    let delta = |wallet| facts.deltas.iter().find(|(it, _)| *it == wallet).unwrap().1;
    assert_eq!(delta(escrow), i128::from(PRICE.0));
    assert_eq!(delta(client), -i128::from(PRICE.0) - FEE);
    let time = facts.block_time.unwrap();
    let accepted = payment::check(&facts, &terms(&stage, time));
    assert_eq!(accepted, Ok(Accepted { paid: PRICE, excess: Lamports::ZERO }));

    stage.finalize().await;
    let finalized = stage.chain.facts(&signature, Commitment::Finalized).await.unwrap().unwrap();
    assert_eq!(finalized, facts, "finality changes nothing about a transaction");
}

#[tokio::test]
async fn a_payment_is_not_final_before_it_is_finalized() {
    let stage = stage().await;
    let to = stage.escrow.wallet();
    let signature = wallet::pay(&stage.chain, &stage.client, &to, PRICE, "x").await.unwrap();
    let early = stage.chain.facts(&signature, Commitment::Finalized).await.unwrap();
    let facts = stage.chain.facts(&signature, Commitment::Confirmed).await.unwrap().unwrap();
    let finalized = stage.chain.slot(Commitment::Finalized).await.unwrap();
    assert!(early.is_none() || finalized >= facts.slot);
    stage.finalize().await;
    assert!(stage.chain.facts(&signature, Commitment::Finalized).await.unwrap().is_some());
}

#[tokio::test]
async fn a_payment_that_failed_on_chain_moved_nothing() {
    let stage = stage().await;
    let escrow = stage.escrow.wallet();
    let before = stage.lamports(&escrow).await;
    let text = payment::memo(job(1));
    let refused = wallet::pay(&stage.chain, &stage.client, &escrow, sol(5), &text).await;
    let Err(PayError::Failed { signature, .. }) = refused else {
        panic!("five SOL were paid out of two: {refused:?}");
    };
    let facts = stage.chain.facts(&signature, Commitment::Confirmed).await.unwrap().unwrap();
    assert!(facts.error.is_some());
    assert_eq!(facts.transfers, [], "what failed was no transfer");
    assert_eq!(facts.memos, [text], "its memo still tells whose it was");
    assert_eq!(stage.lamports(&escrow).await, before);
    let time = facts.block_time.unwrap();
    let checked = payment::check(&facts, &terms(&stage, time));
    assert!(matches!(checked, Err(PaymentRefused::TxFailed(_))), "{checked:?}");
}

#[tokio::test]
async fn all_memos_and_all_plain_transfers_are_seen() {
    let stage = stage().await;
    let (client, escrow) = (stage.client.wallet(), stage.escrow.wallet());
    let other = signer(9).wallet();
    let blockhash = stage.recent_blockhash().await;
    let instructions = [
        memo("rayment:one"),
        transfer(&client, &escrow, 3),
        transfer(&client, &other, 1_000_000),
        memo("a note"),
        transfer(&client, &escrow, 4),
        memo("rayment:one"),
    ];
    let payer = address_of(&client);
    let message = Message::new_with_blockhash(&instructions, Some(&payer), &blockhash);
    let (signature, fate) = stage.send_as_client(VersionedMessage::Legacy(message)).await;
    assert!(matches!(fate, Fate::Confirmed { .. } | Fate::Finalized { .. }), "{fate:?}");
    let facts = stage.chain.facts(&signature, Commitment::Confirmed).await.unwrap().unwrap();
    assert_eq!(facts.memos, ["rayment:one", "a note", "rayment:one"]);
    let seen: Vec<_> = facts.transfers.iter().map(|it| (it.to, it.lamports.0)).collect();
    assert_eq!(seen, [(escrow, 3), (other, 1_000_000), (escrow, 4)]);
}

/// A lookup table's account, without the program that makes one: a head of 56 bytes, then keys.
async fn lookup_table(stage: &Stage, table: &Wallet, keys: &[&Wallet]) {
    let mut data = vec![1, 0, 0, 0];
    data.extend(u64::MAX.to_le_bytes());
    data.resize(56, 0);
    keys.iter().for_each(|key| data.extend(key.as_bytes()));
    let data = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, data);
    let owner = "AddressLookupTab1e1111111111111111111111111";
    let account = json!({ "lamports": 10_000_000, "data": data, "owner": owner });
    stage.raw("localnetSetAccount", json!([table, account])).await;
}

#[tokio::test]
async fn a_recipient_in_a_lookup_table_is_found_and_missed_when_it_is_withheld() {
    let stage = stage().await;
    let (client, escrow, table) =
        (stage.client.wallet(), stage.escrow.wallet(), signer(8).wallet());
    lookup_table(&stage, &table, &[&signer(7).wallet(), &escrow]).await;
    stage.warp(2).await;
    let mut data = vec![2, 0, 0, 0];
    data.extend(PRICE.0.to_le_bytes());
    let message = VersionedMessage::V0(v0::Message {
        header: MessageHeader {
            num_required_signatures: 1,
            num_readonly_signed_accounts: 0,
            num_readonly_unsigned_accounts: 1,
        },
        recent_blockhash: stage.recent_blockhash().await,
        account_keys: vec![address_of(&client), SYSTEM],
        address_table_lookups: vec![MessageAddressTableLookup {
            account_key: address_of(&table),
            writable_indexes: vec![1],
            readonly_indexes: vec![0],
        }],
        instructions: vec![solana_message::compiled_instruction::CompiledInstruction {
            program_id_index: 1,
            accounts: vec![0, 2],
            data,
        }],
    });
    let (signature, fate) = stage.send_as_client(message).await;
    assert!(matches!(fate, Fate::Confirmed { .. } | Fate::Finalized { .. }), "{fate:?}");
    let facts = stage.chain.facts(&signature, Commitment::Confirmed).await.unwrap().unwrap();
    assert_eq!(facts.transfers, [Transfer { from: client, to: escrow, lamports: PRICE }]);
    assert!(facts.deltas.contains(&(escrow, i128::from(PRICE.0))));

    let how = json!({
        "encoding": "base64", "commitment": "confirmed", "maxSupportedTransactionVersion": 0,
    });
    let mut answer = stage.raw("getTransaction", json!([signature, how])).await;
    answer["meta"].as_object_mut().unwrap().remove("loadedAddresses");
    stage.seam.inject("getTransaction", Fault::Answer(answer), 1);
    let refused = stage.chain.facts(&signature, Commitment::Confirmed).await;
    assert!(matches!(refused, Err(ChainError::Untrustworthy(_))), "{refused:?}");
}

#[tokio::test]
async fn a_payment_that_nobody_made_is_not_there() {
    let stage = stage().await;
    let nobody = framefair_domain::wallet::TxSignature([7; 64]);
    assert_eq!(stage.chain.facts(&nobody, Commitment::Confirmed).await, Ok(None));
}

#[tokio::test]
async fn a_history_is_read_in_pages_from_new_to_old() {
    let stage = stage().await;
    let escrow = stage.escrow.wallet();
    let mut paid = Vec::new();
    for n in 0..3 {
        let text = format!("note {n}");
        let to = &escrow;
        paid.push(wallet::pay(&stage.chain, &stage.client, to, PRICE, &text).await.unwrap());
    }
    stage.finalize().await;
    let names = async |before, until, limit| {
        let lines = stage.chain.signatures_of(&escrow, before, until, limit).await.unwrap();
        lines.into_iter().map(|line| line.signature).collect::<Vec<_>>()
    };
    let all = names(None, None, 1_000).await;
    assert_eq!(all.len(), 4, "three payments and the airdrop");
    assert_eq!(all[..3], [paid[2], paid[1], paid[0]]);
    assert_eq!(names(None, None, 2).await, all[..2]);
    assert_eq!(names(Some(all[1]), None, 2).await, all[2..]);
    assert_eq!(names(None, Some(all[2]), 1_000).await, all[..2]);
    let lines = stage.chain.signatures_of(&escrow, None, None, 1).await.unwrap();
    assert!(lines[0].memo.as_ref().unwrap().contains("note 2"));
    assert!(lines[0].error.is_none() && lines[0].block_time.is_some());
}

#[tokio::test]
async fn a_client_outlives_a_node_that_falters_while_it_pays() {
    let stage = stage().await;
    let to = stage.escrow.wallet();
    stage.seam.inject("sendTransaction", Fault::Unreachable, 1);
    stage.seam.inject("getSignatureStatuses", Fault::Unreachable, 2);
    let paid = wallet::pay(&stage.chain, &stage.client, &to, PRICE, "x").await.unwrap();
    assert!(stage.chain.facts(&paid, Commitment::Confirmed).await.unwrap().is_some());
    assert_eq!(stage.lamports(&to).await, sol(2).0 + PRICE.0, "it was paid once");
}

#[tokio::test]
async fn a_payment_that_no_block_ever_took_is_told_to_be_void() {
    let stage = stage().await;
    let to = stage.escrow.wallet();
    stage.raw("localnetHoldTransaction", json!([to])).await;
    stage.warp(5).await;
    let paying = wallet::pay(&stage.chain, &stage.client, &to, PRICE, "x");
    let warping = async {
        while stage.seam.count("sendTransaction") == 0 {
            crate::stage::pause().await;
        }
        crate::stage::pause().await;
        stage.warp(200).await;
    };
    let (paid, ()) = tokio::join!(paying, warping);
    assert!(matches!(paid, Err(PayError::Expired { .. })), "{paid:?}");
    assert_eq!(stage.lamports(&to).await, sol(2).0);
}

#[tokio::test]
async fn a_payment_that_cannot_be_signed_for_was_not_sent() {
    let stage = stage().await;
    let to = stage.escrow.wallet();
    stage.seam.inject("getLatestBlockhash", Fault::Unreachable, 1);
    let paid = wallet::pay(&stage.chain, &stage.client, &to, PRICE, "x").await;
    assert!(matches!(paid, Err(PayError::NotSent(_))), "{paid:?}");
    let long = "x".repeat(1_200);
    let paid = wallet::pay(&stage.chain, &stage.client, &to, PRICE, &long).await;
    assert!(matches!(paid, Err(PayError::NotSent(ChainError::Refused(_)))), "{paid:?}");
    assert_eq!(stage.seam.count("sendTransaction"), 0);
}
