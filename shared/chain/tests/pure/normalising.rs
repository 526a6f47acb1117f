//! From a node's JSON to facts, by tables: what counts, what does not, and what is a lie.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use framefair_chain::facts::{Encoded, normalise};
use framefair_chain::{ChainError, signature_of};
use framefair_domain::money::Lamports;
use framefair_domain::payment::{Facts, Transfer};
use framefair_domain::time::Timestamp;
use framefair_domain::wallet::{TxSignature, Wallet};
use proptest::prelude::*;
use serde_json::{Value, json};
use solana_address::{Address, address};
use solana_hash::Hash;
use solana_instruction::{AccountMeta, Instruction};
use solana_message::compiled_instruction::CompiledInstruction;
use solana_message::v0::MessageAddressTableLookup;
use solana_message::{Message, MessageHeader, VersionedMessage, v0};
use solana_transaction::versioned::VersionedTransaction;

const SYSTEM: Address = address!("11111111111111111111111111111111");
const MEMO: Address = address!("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr");
const OLD_MEMO: Address = address!("Memo1UhkJRfHyvLMcVucJwxXeuD728EqVEVVpVDEYwf");
/// An address that lies on no curve, as programs derive them.
const DERIVED: Address = {
    let mut bytes = [0; 32];
    bytes[0] = 2;
    Address::new_from_array(bytes)
};

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn wallet(seed: u8) -> Wallet {
    Wallet::from_bytes(key(seed).verifying_key().to_bytes()).unwrap()
}

fn address_of(seed: u8) -> Address {
    Address::from(*wallet(seed).as_bytes())
}

const PAYER: u8 = 1;
const TO: u8 = 2;

fn system(number: u32, rest: &[u8], accounts: &[Address]) -> Instruction {
    let accounts =
        accounts.iter().map(|it| AccountMeta::new(*it, *it == address_of(PAYER))).collect();
    let data = [number.to_le_bytes().as_slice(), rest].concat();
    Instruction { program_id: SYSTEM, accounts, data }
}

fn transfer(to: Address, lamports: u64) -> Instruction {
    system(2, &lamports.to_le_bytes(), &[address_of(PAYER), to])
}

fn memo(program: Address, data: &[u8]) -> Instruction {
    Instruction { program_id: program, accounts: Vec::new(), data: data.to_vec() }
}

fn signed(message: VersionedMessage) -> (TxSignature, Vec<u8>) {
    let signature = key(PAYER).sign(&message.serialize()).to_bytes();
    let signatures = vec![signature.into()];
    let bytes = wincode::serialize(&VersionedTransaction { signatures, message }).unwrap();
    (TxSignature(signature), bytes)
}

/// A node's answer about a transaction with `keys` accounts in which nothing moved.
fn answer(bytes: &[u8], keys: usize) -> Value {
    json!({
        "slot": 77,
        "blockTime": 1_800_000_000,
        "transaction": [BASE64_STANDARD.encode(bytes), "base64"],
        "version": "legacy",
        "meta": {
            "err": null,
            "status": { "Ok": null },
            "fee": 5_000,
            "preBalances": vec![1_000_000; keys],
            "postBalances": vec![1_000_000; keys],
            "innerInstructions": [{ "index": 0, "instructions": [
                { "programIdIndex": keys - 1, "accounts": [0, 1], "data": "3Bxs4h24hBtQy9rw" },
            ] }],
            "logMessages": ["Program log: Memo (len 11): \"rayment:log\""],
            "loadedAddresses": { "writable": [], "readonly": [] },
        },
    })
}

fn read(asked: &TxSignature, answer: &Value) -> Result<Facts, ChainError> {
    let encoded: Encoded = serde_json::from_value(answer.clone())
        .map_err(|error| ChainError::Untrustworthy(error.to_string()))?;
    normalise(asked, &encoded)
}

fn legacy(instructions: &[Instruction]) -> (TxSignature, Value) {
    let payer = address_of(PAYER);
    let message = Message::new_with_blockhash(instructions, Some(&payer), &Hash::default());
    let keys = message.account_keys.len();
    let (signature, bytes) = signed(VersionedMessage::Legacy(message));
    (signature, answer(&bytes, keys))
}

fn facts_of(instructions: &[Instruction]) -> Facts {
    let (signature, answer) = legacy(instructions);
    read(&signature, &answer).unwrap()
}

#[test]
fn only_plain_outermost_transfers_between_wallets_count() {
    let (payer, to) = (address_of(PAYER), address_of(TO));
    let create = [5_u64.to_le_bytes().as_slice(), &[0; 8], SYSTEM.as_ref()].concat();
    let with_seed = [5_u64.to_le_bytes().as_slice(), &[0; 8], SYSTEM.as_ref()].concat();
    let withdraw = 5_u64.to_le_bytes();
    let trailing = [5_u64.to_le_bytes().as_slice(), b"more"].concat();
    let cases = [
        ("a transfer", transfer(to, 5), Some(5)),
        ("the largest transfer", transfer(to, u64::MAX), Some(u64::MAX)),
        (
            "bytes after the amount, which the program ignores",
            system(2, &trailing, &[payer, to]),
            Some(5),
        ),
        (
            "a further account, which the program ignores",
            system(2, &withdraw, &[payer, to, address_of(9)]),
            Some(5),
        ),
        ("an amount that is cut off", system(2, &[5, 0, 0], &[payer, to]), None),
        ("no recipient", system(2, &withdraw, &[payer]), None),
        ("a new account", system(0, &create, &[payer, to]), None),
        ("a transfer from a derived account", system(11, &with_seed, &[payer, to]), None),
        ("a nonce's withdrawal", system(5, &withdraw, &[payer, to]), None),
        (
            "the number of a transfer in one byte",
            Instruction { program_id: SYSTEM, ..memo(SYSTEM, &[2]) },
            None,
        ),
        (
            "a transfer's data for another program",
            Instruction { program_id: OLD_MEMO, ..transfer(to, 5) },
            None,
        ),
        ("a transfer to an address that is no wallet", transfer(DERIVED, 5), None),
    ];
    for (what, instruction, expected) in cases {
        let facts = facts_of(&[instruction]);
        let found: Vec<_> = facts.transfers.iter().map(|transfer| transfer.lamports.0).collect();
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{what}");
    }
}

#[test]
fn the_transfer_names_source_and_recipient_in_order() {
    let facts = facts_of(&[transfer(address_of(TO), 5)]);
    let expected = Transfer { from: wallet(PAYER), to: wallet(TO), lamports: Lamports(5) };
    assert_eq!(facts.transfers, [expected]);
    assert_eq!((facts.slot, facts.block_time), (77, Some(Timestamp(1_800_000_000_000))));
}

#[test]
fn memos_are_instruction_data_of_the_one_program() {
    let facts = facts_of(&[
        memo(MEMO, b"rayment:a"),
        memo(OLD_MEMO, b"rayment:old"),
        memo(MEMO, b""),
        memo(MEMO, "\u{1f5bc} \0".as_bytes()),
        memo(MEMO, b"rayment:a"),
        memo(MEMO, &[0xff, 0xfe]),
    ]);
    assert_eq!(facts.memos, ["rayment:a", "", "\u{1f5bc} \0", "rayment:a"], "and no log's");
}

#[test]
fn a_failed_transaction_has_memos_and_no_transfers() {
    let (signature, mut answer) = legacy(&[transfer(address_of(TO), 5), memo(MEMO, b"m")]);
    for (err, words) in [
        (json!({ "InstructionError": [0, { "Custom": 1 }] }), "custom program error: 0x1"),
        (json!("AccountNotFound"), "debit an account"),
        (json!({ "SomethingNew": [1, 2] }), "SomethingNew"),
        (json!("x".repeat(100_000)), "xxx"),
        (json!(false), "false"),
    ] {
        answer["meta"]["err"] = err;
        let facts = read(&signature, &answer).unwrap();
        let error = facts.error.unwrap();
        assert!(error.contains(words) && error.len() <= 200, "{error}");
        assert_eq!((facts.transfers, facts.memos), (vec![], vec!["m".to_owned()]));
    }
}

#[test]
fn balances_become_deltas_of_either_sign() {
    let (signature, mut answer) = legacy(&[transfer(address_of(TO), 5)]);
    answer["meta"]["preBalances"] = json!([u64::MAX, 0, 1]);
    answer["meta"]["postBalances"] = json!([0, u64::MAX, 1]);
    let facts = read(&signature, &answer).unwrap();
    let most = i128::from(u64::MAX);
    assert_eq!(facts.deltas[..2], [(wallet(PAYER), -most), (wallet(TO), most)]);
}

#[test]
fn a_block_without_a_time_leaves_none() {
    let (signature, mut answer) = legacy(&[transfer(address_of(TO), 5)]);
    answer["blockTime"] = Value::Null;
    assert_eq!(read(&signature, &answer).unwrap().block_time, None);
    answer["blockTime"] = json!(i64::MAX);
    assert_eq!(read(&signature, &answer).unwrap().block_time, Some(Timestamp(i64::MAX)));
}

#[test]
fn what_a_node_makes_up_is_not_believed() {
    let (signature, good) = legacy(&[transfer(address_of(TO), 5), memo(MEMO, b"m")]);
    assert!(read(&signature, &good).is_ok());
    let (other, another) = legacy(&[transfer(address_of(TO), 6), memo(MEMO, b"m")]);
    let bytes = BASE64_STANDARD.decode(good["transaction"][0].as_str().unwrap()).unwrap();
    let encode = |bytes: &[u8]| json!([BASE64_STANDARD.encode(bytes), "base64"]);
    // The first signature as asked, over the transfer of another transaction.
    let mut forged = BASE64_STANDARD.decode(another["transaction"][0].as_str().unwrap()).unwrap();
    forged[1..65].copy_from_slice(&signature.0);
    let somebody = wallet(9).to_string();
    let cases = [
        ("another transaction", "/transaction", another["transaction"].clone()),
        ("a false signature", "/transaction", encode(&forged)),
        ("bytes that follow", "/transaction", encode(&[bytes.as_slice(), &[0]].concat())),
        ("a count spelt long", "/transaction", encode(&[&[0x81, 0x00], &bytes[1..]].concat())),
        ("bytes cut off", "/transaction", encode(&bytes[..bytes.len() - 1])),
        ("nothing", "/transaction", encode(&[])),
        ("no base64", "/transaction", json!(["!", "base64"])),
        ("base58", "/transaction", json!([good["transaction"][0], "base58"])),
        ("a flood", "/transaction", json!(["A".repeat(1 << 20), "base64"])),
        ("too few balances", "/meta/preBalances", json!([1, 2])),
        ("too many balances", "/meta/postBalances", json!([1, 2, 3, 4, 5, 6])),
        ("balances below nothing", "/meta/postBalances", json!([1, 2, -3, 4])),
        ("accounts nobody looked up", "/meta/loadedAddresses/writable", json!([somebody])),
        ("no meta", "/meta", Value::Null),
        ("no slot", "/slot", json!(-1)),
    ];
    for (what, place, lie) in cases {
        let mut answer = good.clone();
        *answer.pointer_mut(place).unwrap() = lie;
        let refused = read(&signature, &answer);
        assert!(matches!(refused, Err(ChainError::Untrustworthy(_))), "{what}: {refused:?}");
    }
    let mut answer = good.clone();
    answer["meta"].as_object_mut().unwrap().remove("err");
    assert!(read(&signature, &answer).is_err(), "an error that is left out is not no error");
    assert!(read(&other, &good).is_err(), "the right transaction for another question");
    let mut answer = good;
    answer["meta"].as_object_mut().unwrap().remove("loadedAddresses");
    assert!(read(&signature, &answer).is_ok(), "without lookups there is nothing to load");
}

/// Pays from the first account to `recipient`, an index past the static keys.
fn looked_up(writable: Vec<u8>, readonly: Vec<u8>, recipient: u8) -> (TxSignature, Value) {
    let count = writable.len() + readonly.len();
    let (signature, bytes) = signed(VersionedMessage::V0(v0::Message {
        header: MessageHeader {
            num_required_signatures: 1,
            num_readonly_signed_accounts: 0,
            num_readonly_unsigned_accounts: 1,
        },
        recent_blockhash: Hash::default(),
        account_keys: vec![address_of(PAYER), SYSTEM],
        address_table_lookups: vec![MessageAddressTableLookup {
            account_key: address_of(40),
            writable_indexes: writable,
            readonly_indexes: readonly,
        }],
        instructions: vec![CompiledInstruction {
            program_id_index: 1,
            accounts: vec![0, recipient],
            data: transfer(SYSTEM, 5).data,
        }],
    }));
    (signature, answer(&bytes, 2 + count))
}

#[test]
fn looked_up_accounts_come_after_the_static_ones_writable_first() {
    for (recipient, expected) in [(2, 21), (3, 22), (4, 31)] {
        let (signature, mut answer) = looked_up(vec![7, 8], vec![9], recipient);
        answer["meta"]["loadedAddresses"] = json!({
            "writable": [wallet(21), wallet(22)], "readonly": [wallet(31)],
        });
        answer["meta"]["postBalances"] = json!([1_000_000, 1_000_000, 2, 3, 4]);
        answer["meta"]["preBalances"] = json!([1_000_000, 1_000_000, 0, 0, 0]);
        let facts = read(&signature, &answer).unwrap();
        let to: Vec<_> = facts.transfers.iter().map(|transfer| transfer.to).collect();
        assert_eq!(to, [wallet(expected)]);
        let deltas = [(wallet(21), 2), (wallet(22), 3), (wallet(31), 4)];
        assert!(deltas.iter().all(|delta| facts.deltas.contains(delta)));
    }
}

#[test]
fn looked_up_accounts_that_are_missing_or_moved_are_not_guessed() {
    let (signature, good) = looked_up(vec![7, 8], vec![9], 2);
    let names = |seeds: &[u8]| seeds.iter().map(|seed| wallet(*seed)).collect::<Vec<_>>();
    for (what, loaded) in [
        ("absent", Value::Null),
        ("empty", json!({ "writable": [], "readonly": [] })),
        ("one short", json!({ "writable": names(&[21]), "readonly": names(&[31]) })),
        ("in the wrong list", json!({ "writable": names(&[21]), "readonly": names(&[22, 31]) })),
        ("one twice", json!({ "writable": names(&[21, 21]), "readonly": names(&[31]) })),
        ("the payer again", json!({ "writable": names(&[21, PAYER]), "readonly": names(&[31]) })),
        ("no address", json!({ "writable": ["x", "y"], "readonly": ["z"] })),
    ] {
        let mut answer = good.clone();
        answer["meta"]["loadedAddresses"] = loaded;
        let refused = read(&signature, &answer);
        assert!(matches!(refused, Err(ChainError::Untrustworthy(_))), "{what}: {refused:?}");
    }
}

proptest! {
    #[test]
    fn no_transaction_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(read(&TxSignature([1; 64]), &answer(&bytes, 3)).is_err());
        prop_assert!(signature_of(&bytes).is_none());
    }

    #[test]
    fn no_damage_panics_or_passes(at in any::<prop::sample::Index>(), flip in 1_u8..) {
        let (signature, good) = legacy(&[transfer(address_of(TO), 5), memo(MEMO, b"m")]);
        let text = good["transaction"][0].as_str().unwrap();
        let mut bytes = BASE64_STANDARD.decode(text).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert!(read(&signature, &answer(&bytes, 4)).is_err());
    }

    #[test]
    fn no_words_for_an_error_panic(number: i64, text in ".{0,300}") {
        let (signature, mut answer) = legacy(&[transfer(address_of(TO), 5)]);
        for err in [json!(number), json!(text), json!({ text.as_str(): number }), json!([text, number])] {
            answer["meta"]["err"] = err;
            let facts = read(&signature, &answer).unwrap();
            prop_assert!(facts.error.is_some() && facts.transfers.is_empty());
        }
    }
}
