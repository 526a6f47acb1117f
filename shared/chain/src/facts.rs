//! From a node's encoded transaction to the facts that the domain decides on. Pure: asks no node,
//! and believes the one that answered only as far as signatures and counts can be checked.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use framefair_domain::money::Lamports;
use framefair_domain::payment::{Facts, Transfer};
use framefair_domain::time::Timestamp;
use framefair_domain::wallet::{TxSignature, Wallet};
use serde::Deserialize;
use serde_json::Value;
use solana_address::Address;
use solana_message::VersionedMessage;
use solana_transaction::versioned::VersionedTransaction;
use solana_transaction_error::TransactionError;

use crate::error::{ChainError, short};
use crate::instructions::{MEMO, SYSTEM, read_transfer};

/// Base64 of the largest transaction of any format known, 4,096 bytes, with room to spare.
const TEXT_MAX: usize = 8_192;

/// The result of `getTransaction` with base64 encoding: the fields that are used.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Encoded {
    pub slot: u64,
    /// Seconds since 1970; null where the node has none.
    pub block_time: Option<i64>,
    /// The wire bytes and the word `base64`.
    pub transaction: (String, String),
    pub meta: Meta,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Meta {
    /// Null when the transaction succeeded. Must be there: absent is not null.
    pub err: Value,
    pub pre_balances: Vec<u64>,
    pub post_balances: Vec<u64>,
    pub loaded_addresses: Option<Loaded>,
}

/// Accounts that a version 0 transaction named through lookup tables.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Loaded {
    pub writable: Vec<String>,
    pub readonly: Vec<String>,
}

/// What the transaction `asked` did. Every doubt about the answer is `Untrustworthy`.
pub fn normalise(asked: &TxSignature, encoded: &Encoded) -> Result<Facts, ChainError> {
    let transaction = decode(&encoded.transaction)?;
    if transaction.signatures.first().map(AsRef::as_ref) != Some(asked.0.as_slice()) {
        return Err(lie("it is another transaction than the one asked for"));
    }
    if !transaction.verify_with_results().into_iter().all(|valid| valid) {
        return Err(lie("a signature of the transaction is false"));
    }
    let keys = all_keys(&transaction.message, encoded.meta.loaded_addresses.as_ref())?;
    let error = match &encoded.meta.err {
        Value::Null => None,
        error => Some(words_for(error)),
    };
    let mut transfers = Vec::new();
    let mut memos = Vec::new();
    for instruction in transaction.message.instructions() {
        let program = keys.get(usize::from(instruction.program_id_index));
        if program == Some(&MEMO) {
            // A transaction that succeeded has only UTF-8 here: the program refuses the rest.
            memos.extend(String::from_utf8(instruction.data.clone()));
        } else if program == Some(&SYSTEM) && error.is_none() {
            transfers.extend(transfer(&keys, &instruction.accounts, &instruction.data));
        }
    }
    Ok(Facts {
        signature: *asked,
        slot: encoded.slot,
        block_time: encoded.block_time.map(|s| Timestamp(s.saturating_mul(1000))),
        error,
        transfers,
        memos,
        deltas: deltas(&keys, &encoded.meta)?,
    })
}

/// The node's word for a failure in the chain's own English, or as it came when it is a new one.
pub(crate) fn words_for(error: &Value) -> String {
    match TransactionError::deserialize(error) {
        Ok(known) => short(&known.to_string()),
        Err(_) => short(&error.to_string()),
    }
}

fn lie(why: &str) -> ChainError {
    ChainError::untrustworthy(why)
}

fn decode((text, encoding): &(String, String)) -> Result<VersionedTransaction, ChainError> {
    if encoding != "base64" || text.len() > TEXT_MAX {
        return Err(lie("the transaction is not in base64, or too long"));
    }
    let bytes = STANDARD.decode(text).map_err(|_| lie("the transaction is not in base64"))?;
    read_wire(&bytes).ok_or_else(|| lie("the transaction's bytes are malformed"))
}

/// Reads wire bytes; nothing may follow them, and they must be the one spelling of what they say.
pub(crate) fn read_wire(bytes: &[u8]) -> Option<VersionedTransaction> {
    let transaction: VersionedTransaction = wincode::deserialize_exact(bytes).ok()?;
    transaction.sanitize().ok()?;
    let again = wincode::serialize(&transaction).ok()?;
    (again == bytes).then_some(transaction)
}

/// The keys that instructions count through: static, then loaded writable, then loaded readonly.
fn all_keys(
    message: &VersionedMessage,
    loaded: Option<&Loaded>,
) -> Result<Vec<Address>, ChainError> {
    let mut keys = message.static_account_keys().to_vec();
    let lookups = message.address_table_lookups().unwrap_or_default();
    let writable: usize = lookups.iter().map(|lookup| lookup.writable_indexes.len()).sum();
    let readonly: usize = lookups.iter().map(|lookup| lookup.readonly_indexes.len()).sum();
    let none = Loaded::default();
    let loaded = loaded.unwrap_or(&none);
    if (loaded.writable.len(), loaded.readonly.len()) != (writable, readonly) {
        return Err(lie("the accounts that lookup tables stand for are missing, or too many"));
    }
    for text in loaded.writable.iter().chain(&loaded.readonly) {
        keys.push(text.parse().map_err(|_| lie("a looked-up account is not an address"))?);
    }
    let mut sorted = keys.clone();
    sorted.sort_unstable();
    // The chain takes no transaction that names an account twice; two balances of one account
    // would contradict each other.
    if sorted.windows(2).any(|pair| pair.first() == pair.last()) {
        return Err(lie("an account stands twice in the transaction"));
    }
    Ok(keys)
}

/// None when the data is no plain transfer, or an end of it is an address that belongs to no key,
/// which is never one of our wallets nor a client's.
fn transfer(keys: &[Address], accounts: &[u8], data: &[u8]) -> Option<Transfer> {
    let lamports: Lamports = read_transfer(data)?;
    let wallet_at = |position: usize| {
        let key = keys.get(usize::from(*accounts.get(position)?))?;
        Wallet::from_bytes(key.to_bytes()).ok()
    };
    Some(Transfer { from: wallet_at(0)?, to: wallet_at(1)?, lamports })
}

fn deltas(keys: &[Address], meta: &Meta) -> Result<Vec<(Wallet, i128)>, ChainError> {
    if meta.pre_balances.len() != keys.len() || meta.post_balances.len() != keys.len() {
        return Err(lie("there is not one balance for each account"));
    }
    let changes = meta.pre_balances.iter().zip(&meta.post_balances);
    Ok(keys
        .iter()
        .zip(changes)
        .filter_map(|(key, (pre, post))| {
            let wallet = Wallet::from_bytes(key.to_bytes()).ok()?;
            Some((wallet, i128::from(*post) - i128::from(*pre)))
        })
        .collect())
}
