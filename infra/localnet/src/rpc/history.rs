//! Methods about what landed: statuses, transactions, the history of an address. Every answer is
//! as of the caller's commitment and view.

use serde_json::{Value, json};
use solana_rpc_client_types::{
    config::{
        CommitmentConfig, CommitmentLevel, RpcEncodingConfigWrapper, RpcSignatureStatusConfig,
        RpcSignaturesForAddressConfig, RpcTransactionConfig,
    },
    response::RpcConfirmedTransactionStatusWithSignature,
};
use solana_sdk::signature::Signature;
use solana_transaction_status::{
    ConfirmedTransactionWithStatusMeta, TransactionConfirmationStatus, TransactionStatus,
    TransactionWithStatusMeta, UiTransactionEncoding,
};

use super::{Answer, Call, RpcError, cluster::respond, params, params::Params};
use crate::{
    chain::{CONFIRMED_AFTER, Chain, FINALIZED_AFTER},
    ledger::Entry,
    node::History,
};

const STATUSES_MAX: usize = 256;
const SIGNATURES_MAX: usize = 1_000;
/// Without a search of history a node knows about transactions this recent.
const STATUS_SLOTS: u64 = 300;

pub(super) fn signature_statuses(call: &Call, params: &Params) -> Answer {
    params.at_most(2)?;
    let signatures: Vec<String> = params.required(0)?;
    let config: Option<RpcSignatureStatusConfig> = params.optional(1)?;
    if signatures.len() > STATUSES_MAX {
        return Err(RpcError::params(format!("Too many inputs provided; max {STATUSES_MAX}")));
    }
    let signatures =
        signatures.iter().map(|text| params::signature(text)).collect::<Result<Vec<_>, _>>()?;
    let search = config.is_some_and(|config| config.search_transaction_history);
    if search && call.view.history == History::Refused {
        return Err(RpcError::no_history());
    }
    let chain = call.node.chain()?;
    let tip = chain.slot_at(CommitmentLevel::Processed, call.view.lag_slots);
    let oldest = match search && call.view.history == History::Kept {
        true => 0,
        false => tip.saturating_sub(STATUS_SLOTS),
    };
    let statuses: Vec<_> = signatures
        .iter()
        .map(|signature| {
            let entry = chain.ledger.find(signature, tip).filter(|entry| entry.slot >= oldest)?;
            Some(status(entry, tip))
        })
        .collect();
    respond(tip, statuses)
}

fn status(entry: &Entry, tip: u64) -> TransactionStatus {
    let above = tip.saturating_sub(entry.slot);
    TransactionStatus {
        slot: entry.slot,
        confirmations: (above < FINALIZED_AFTER).then_some(above as usize),
        status: entry.err.clone().map_or(Ok(()), Err),
        err: entry.err.clone(),
        confirmation_status: Some(confirmation(above)),
    }
}

fn confirmation(above: u64) -> TransactionConfirmationStatus {
    match above {
        FINALIZED_AFTER.. => TransactionConfirmationStatus::Finalized,
        CONFIRMED_AFTER.. => TransactionConfirmationStatus::Confirmed,
        _ => TransactionConfirmationStatus::Processed,
    }
}

/// The newest slot whose history may be told, at `confirmed` or above.
fn history_slot(
    call: &Call,
    chain: &Chain,
    commitment: Option<CommitmentConfig>,
    min_context_slot: Option<u64>,
) -> Result<u64, RpcError> {
    if commitment.is_some_and(|wanted| wanted.is_processed()) {
        return Err(RpcError::params("Method does not support commitment below `confirmed`"));
    }
    if call.view.history == History::Refused {
        return Err(RpcError::no_history());
    }
    call.slot(chain, commitment, min_context_slot)
}

pub(super) fn transaction(call: &Call, params: &Params) -> Answer {
    params.at_most(2)?;
    let signature = params.signature(0)?;
    let config: RpcEncodingConfigWrapper<RpcTransactionConfig> =
        params.optional(1)?.unwrap_or(RpcEncodingConfigWrapper::Current(None));
    let config = config.convert_to_current();
    let chain = call.node.chain()?;
    let slot = history_slot(call, &chain, config.commitment, None)?;
    let found = chain.ledger.find(&signature, slot).filter(|_| call.view.history == History::Kept);
    let Some(entry) = found else { return Ok(Value::Null) };
    let whole = chain
        .body(entry)?
        .restore()
        .ok_or_else(|| RpcError::internal("a transaction on disk cannot be read"))?;
    let confirmed = ConfirmedTransactionWithStatusMeta {
        slot: entry.slot,
        tx_with_meta: TransactionWithStatusMeta::Complete(whole),
        block_time: Some(chain.clock.time(entry.slot)),
        index: entry.index,
    };
    drop(chain);
    let encoding = config.encoding.unwrap_or(UiTransactionEncoding::Json);
    let encoded = confirmed.encode(encoding, config.max_supported_transaction_version)?;
    Ok(serde_json::to_value(encoded)?)
}

pub(super) fn signatures_for_address(call: &Call, params: &Params) -> Answer {
    params.at_most(2)?;
    let address = params.pubkey(0)?;
    let config: RpcSignaturesForAddressConfig = params.optional(1)?.unwrap_or(NO_CONFIG);
    let limit = config.limit.unwrap_or(SIGNATURES_MAX);
    if !(1..=SIGNATURES_MAX).contains(&limit) {
        return Err(RpcError::params(format!("Invalid limit; max {SIGNATURES_MAX}")));
    }
    let bound = |text: Option<String>| text.map(|text| params::signature(&text)).transpose();
    let before: Option<Signature> = bound(config.before)?;
    let until: Option<Signature> = bound(config.until)?;
    let chain = call.node.chain()?;
    let slot = history_slot(call, &chain, config.commitment, config.min_context_slot)?;
    if call.view.history == History::Forgotten {
        return Ok(json!([]));
    }
    // Both bounds may be of another address: they stand for places in the ledger.
    let place = |signature: &Signature| {
        chain.ledger.find(signature, u64::MAX).map(|entry| (entry.slot, entry.index))
    };
    let before = match before.as_ref().map(place) {
        Some(None) => return Ok(json!([])),
        Some(found) => found,
        None => None,
    };
    let until = until.as_ref().and_then(place);
    let tip = chain.slot_at(CommitmentLevel::Processed, call.view.lag_slots);
    let found: Vec<_> = chain
        .ledger
        .of_address(&address, slot)
        .filter(|entry| before.is_none_or(|place| (entry.slot, entry.index) < place))
        .take_while(|entry| until.is_none_or(|place| (entry.slot, entry.index) > place))
        .take(limit)
        .map(|entry| RpcConfirmedTransactionStatusWithSignature {
            signature: entry.signature.to_string(),
            slot: entry.slot,
            err: entry.err.clone().map(Into::into),
            memo: entry.memo.clone(),
            block_time: Some(chain.clock.time(entry.slot)),
            confirmation_status: Some(confirmation(tip.saturating_sub(entry.slot))),
            transaction_index: Some(entry.index),
        })
        .collect();
    Ok(serde_json::to_value(found)?)
}

const NO_CONFIG: RpcSignaturesForAddressConfig = RpcSignaturesForAddressConfig {
    before: None,
    until: None,
    limit: None,
    commitment: None,
    min_context_slot: None,
};
