//! One transaction, run on the virtual machine and written down as a validator would: balances,
//! logs, inner instructions, loaded addresses, tokens. Knows nothing of slots, blockhashes or
//! signatures: whoever calls has checked those.

use std::panic::{AssertUnwindSafe, catch_unwind};

use litesvm::{LiteSVM, types::TransactionMetadata};
use serde::{Deserialize, Serialize};
use solana_address_lookup_table_interface::{program, state::AddressLookupTable};
use solana_sdk::{
    account::Account,
    clock::Clock,
    message::{VersionedMessage, compiled_instruction::CompiledInstruction, v0::LoadedAddresses},
    pubkey::Pubkey,
    signature::Signature,
    slot_hashes::SlotHashes,
    transaction::{TransactionError, VersionedTransaction},
};
use solana_transaction_status::{
    InnerInstruction, InnerInstructions, TransactionStatusMeta, VersionedTransactionWithStatusMeta,
    extract_memos::extract_and_fmt_memos, map_inner_instructions,
};

use crate::{
    journal::{Change, Landed},
    tokens::{self, Holding},
};

/// A transaction that is in the block, and how to take it out again.
pub(crate) struct Executed {
    pub(crate) landed: Landed,
    /// The changed accounts as they were, in the order of `landed.changes`.
    pub(crate) before: Vec<Option<Account>>,
}

/// Runs `transaction`. `Err` means that it cannot be in a block and changed nothing; a transaction
/// that failed but paid its fee is `Ok`.
pub(crate) fn execute(
    svm: &mut LiteSVM,
    transaction: &VersionedTransaction,
    slot: u64,
) -> Result<Executed, TransactionError> {
    let loaded = loaded_addresses(svm, &transaction.message)?;
    let keys = all_keys(&transaction.message, &loaded);
    let writable = writable_keys(&transaction.message, &loaded);

    let before: Vec<_> = writable.iter().map(|key| svm.get_account(key)).collect();
    let pre_balances = balances(svm, &keys);
    let pre_tokens = tokens::holdings(svm, &keys);
    let (err, run) = submit(svm, transaction)?;
    let post_balances = balances(svm, &keys);
    let post_tokens = tokens::holdings(svm, &keys);

    let (changes, before) = writable
        .into_iter()
        .zip(before)
        .filter_map(|(address, before)| {
            let account = svm.get_account(&address);
            (account != before).then_some((Change { address, account }, before))
        })
        .unzip();
    let meta = Meta {
        err: err.clone(),
        fee: run.fee,
        pre_balances,
        post_balances,
        inner: map_inner_instructions(run.inner_instructions).map(Inner::from).collect(),
        logs: run.logs,
        pre_tokens,
        post_tokens,
        loaded_writable: loaded.writable,
        loaded_readonly: loaded.readonly,
        returned: (!run.return_data.data.is_empty())
            .then_some((run.return_data.program_id, run.return_data.data)),
        units: run.compute_units_consumed,
    };
    let wire = bincode::serialize(transaction).map_err(|_| TransactionError::SanitizeFailure)?;
    let body = Body { wire, meta };
    let memo = body.clone().restore().and_then(|whole| extract_and_fmt_memos(&whole));
    let body = bincode::serialize(&body).map_err(|_| TransactionError::SanitizeFailure)?;
    let signature = transaction.signatures.first().copied().unwrap_or_default();
    Ok(Executed { landed: Landed { slot, signature, err, memo, keys, changes, body }, before })
}

/// Hands the transaction to the virtual machine and tells "failed in the block" from "not in it".
fn submit(
    svm: &mut LiteSVM,
    transaction: &VersionedTransaction,
) -> Result<(Option<TransactionError>, TransactionMetadata), TransactionError> {
    // The machine writes accounts only after a run: one that panics has changed nothing.
    let send = || svm.send_transaction(transaction.clone()).map_err(Box::new);
    let result =
        catch_unwind(AssertUnwindSafe(send)).map_err(|_| TransactionError::SanitizeFailure)?;
    match result {
        Ok(run) => Ok((None, run)),
        // The machine gives a signature to those that it charged, and to no others.
        Err(failed) if failed.meta.signature != Signature::default() => {
            Ok((Some(failed.err), failed.meta))
        }
        Err(failed) => Err(failed.err),
    }
}

/// Whom the lookup tables of `message` name.
pub(crate) fn loaded_addresses(
    svm: &LiteSVM,
    message: &VersionedMessage,
) -> Result<LoadedAddresses, TransactionError> {
    let mut loaded = LoadedAddresses::default();
    let Some(lookups) = message.address_table_lookups().filter(|lookups| !lookups.is_empty())
    else {
        return Ok(loaded);
    };
    let slot = svm.get_sysvar::<Clock>().slot;
    let hashes = svm.get_sysvar::<SlotHashes>();
    for lookup in lookups {
        let account = svm
            .get_account(&lookup.account_key)
            .ok_or(TransactionError::AddressLookupTableNotFound)?;
        if account.owner != program::id() {
            return Err(TransactionError::InvalidAddressLookupTableOwner);
        }
        let table = AddressLookupTable::deserialize(&account.data)
            .map_err(|_| TransactionError::InvalidAddressLookupTableData)?;
        let pick = |indexes: &[u8]| {
            table
                .lookup(slot, indexes, &hashes)
                .map_err(|_| TransactionError::InvalidAddressLookupTableIndex)
        };
        loaded.writable.extend(pick(&lookup.writable_indexes)?);
        loaded.readonly.extend(pick(&lookup.readonly_indexes)?);
    }
    Ok(loaded)
}

/// Static, then loaded writable, then loaded readonly: the order of every index in a transaction.
pub(crate) fn all_keys(message: &VersionedMessage, loaded: &LoadedAddresses) -> Vec<Pubkey> {
    let mut keys = message.static_account_keys().to_vec();
    keys.extend_from_slice(&loaded.writable);
    keys.extend_from_slice(&loaded.readonly);
    keys
}

fn writable_keys(message: &VersionedMessage, loaded: &LoadedAddresses) -> Vec<Pubkey> {
    let reserved = None::<&std::collections::HashSet<Pubkey>>;
    let fixed = message.static_account_keys().iter().enumerate();
    fixed
        .filter(|(index, _)| message.is_maybe_writable_with_reserved_addresses(*index, reserved))
        .map(|(_, key)| *key)
        .chain(loaded.writable.iter().copied())
        .collect()
}

pub(crate) fn balances(svm: &LiteSVM, keys: &[Pubkey]) -> Vec<u64> {
    keys.iter().map(|key| svm.get_balance(key).unwrap_or(0)).collect()
}

/// What the journal keeps of a transaction for whoever asks for it later.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Body {
    #[serde(with = "serde_bytes")]
    pub(crate) wire: Vec<u8>,
    meta: Meta,
}

#[derive(Clone, Serialize, Deserialize)]
struct Meta {
    err: Option<TransactionError>,
    fee: u64,
    pre_balances: Vec<u64>,
    post_balances: Vec<u64>,
    inner: Vec<Inner>,
    logs: Vec<String>,
    pre_tokens: Vec<Holding>,
    post_tokens: Vec<Holding>,
    loaded_writable: Vec<Pubkey>,
    loaded_readonly: Vec<Pubkey>,
    returned: Option<(Pubkey, Vec<u8>)>,
    units: u64,
}

#[derive(Clone, Serialize, Deserialize)]
struct Inner {
    index: u8,
    instructions: Vec<(CompiledInstruction, Option<u32>)>,
}

impl From<InnerInstructions> for Inner {
    fn from(inner: InnerInstructions) -> Self {
        let flat = |inner: InnerInstruction| (inner.instruction, inner.stack_height);
        Self {
            index: inner.index,
            instructions: inner.instructions.into_iter().map(flat).collect(),
        }
    }
}

impl From<Inner> for InnerInstructions {
    fn from(inner: Inner) -> Self {
        let full = |(instruction, stack_height)| InnerInstruction { instruction, stack_height };
        Self {
            index: inner.index,
            instructions: inner.instructions.into_iter().map(full).collect(),
        }
    }
}

impl Body {
    pub(crate) fn transaction(&self) -> Option<VersionedTransaction> {
        bincode::deserialize(&self.wire).ok()
    }

    /// In the shape that agave's encoder takes.
    pub(crate) fn restore(self) -> Option<VersionedTransactionWithStatusMeta> {
        let transaction = self.transaction()?;
        let meta = self.meta;
        let return_data = meta.returned.map(|(program_id, data)| {
            let mut returned = TransactionMetadata::default().return_data;
            returned.program_id = program_id;
            returned.data = data;
            returned
        });
        Some(VersionedTransactionWithStatusMeta {
            transaction,
            meta: TransactionStatusMeta {
                status: meta.err.map_or(Ok(()), Err),
                fee: meta.fee,
                pre_balances: meta.pre_balances,
                post_balances: meta.post_balances,
                inner_instructions: Some(meta.inner.into_iter().map(Into::into).collect()),
                log_messages: Some(meta.logs),
                pre_token_balances: Some(meta.pre_tokens.iter().map(Holding::encode).collect()),
                post_token_balances: Some(meta.post_tokens.iter().map(Holding::encode).collect()),
                rewards: Some(Vec::new()),
                loaded_addresses: LoadedAddresses {
                    writable: meta.loaded_writable,
                    readonly: meta.loaded_readonly,
                },
                return_data,
                compute_units_consumed: Some(meta.units),
                cost_units: None,
            },
        })
    }
}
