//! Methods about the cluster itself: its name, its slots, its blockhashes.

use serde_json::{Value, json};
use solana_rpc_client_types::{
    config::{CommitmentConfig, RpcContextConfig},
    response::{
        Response, RpcApiVersion, RpcBlockhash, RpcPrioritizationFee, RpcResponseContext,
        RpcVersionInfo,
    },
};
use solana_sdk::hash::Hash;

use super::{Answer, Call, RpcError, params::Params};
use crate::{
    blockhash::BLOCKHASH_AGE_MAX,
    clock::{FIRST_SLOT, SLOTS_PER_EPOCH},
};

/// How many slots getRecentPrioritizationFees tells of.
const FEE_SLOTS: u64 = 150;
const FEE_ADDRESSES_MAX: usize = 128;

pub(super) fn respond<T: serde::Serialize>(slot: u64, value: T) -> Answer {
    let context = RpcResponseContext::new(slot);
    Ok(serde_json::to_value(Response { context, value })?)
}

fn height(slot: u64) -> u64 {
    slot.saturating_sub(FIRST_SLOT)
}

pub(super) fn health(call: &Call, params: &Params) -> Answer {
    params.at_most(0)?;
    drop(call.node.chain()?);
    Ok(json!("ok"))
}

pub(super) fn version(_: &Call, params: &Params) -> Answer {
    params.at_most(0)?;
    let solana_core = RpcApiVersion::default().to_string();
    Ok(serde_json::to_value(RpcVersionInfo { solana_core, feature_set: Some(0) })?)
}

pub(super) fn genesis_hash(call: &Call, params: &Params) -> Answer {
    params.at_most(0)?;
    Ok(json!(call.node.chain()?.hashes.genesis().to_string()))
}

/// The slot of an optional context config at `index`.
fn context_slot(call: &Call, params: &Params, index: usize) -> Result<u64, RpcError> {
    let config: RpcContextConfig = params.optional(index)?.unwrap_or_default();
    let chain = call.node.chain()?;
    call.slot(&chain, config.commitment, config.min_context_slot)
}

pub(super) fn slot(call: &Call, params: &Params) -> Answer {
    params.at_most(1)?;
    Ok(json!(context_slot(call, params, 0)?))
}

pub(super) fn block_height(call: &Call, params: &Params) -> Answer {
    params.at_most(1)?;
    Ok(json!(height(context_slot(call, params, 0)?)))
}

pub(super) fn block_time(call: &Call, params: &Params) -> Answer {
    params.at_most(1)?;
    let wanted: u64 = params.required(0)?;
    let chain = call.node.chain()?;
    if wanted < FIRST_SLOT {
        return Err(RpcError::skipped(wanted));
    }
    if wanted > call.slot(&chain, Some(CommitmentConfig::processed()), None)? {
        return Err(RpcError::no_block(wanted));
    }
    Ok(json!(chain.clock.time(wanted)))
}

pub(super) fn epoch_info(call: &Call, params: &Params) -> Answer {
    params.at_most(1)?;
    let slot = context_slot(call, params, 0)?;
    Ok(json!({
        "absoluteSlot": slot,
        "blockHeight": height(slot),
        "epoch": slot / SLOTS_PER_EPOCH,
        "slotIndex": slot % SLOTS_PER_EPOCH,
        "slotsInEpoch": SLOTS_PER_EPOCH,
        "transactionCount": call.node.chain()?.ledger.count(slot),
    }))
}

pub(super) fn first_block(_: &Call, params: &Params) -> Answer {
    params.at_most(0)?;
    Ok(json!(FIRST_SLOT))
}

pub(super) fn transaction_count(call: &Call, params: &Params) -> Answer {
    params.at_most(1)?;
    let slot = context_slot(call, params, 0)?;
    Ok(json!(call.node.chain()?.ledger.count(slot)))
}

pub(super) fn latest_blockhash(call: &Call, params: &Params) -> Answer {
    params.at_most(1)?;
    let slot = context_slot(call, params, 0)?;
    let chain = call.node.chain()?;
    // The open block has no hash yet: who asks at `processed` gets its parent's.
    let closed = slot.min(chain.tip().saturating_sub(1));
    let value = RpcBlockhash {
        blockhash: chain.hashes.of(closed).to_string(),
        last_valid_block_height: height(closed) + BLOCKHASH_AGE_MAX,
    };
    respond(slot, value)
}

pub(super) fn is_blockhash_valid(call: &Call, params: &Params) -> Answer {
    params.at_most(2)?;
    let hash: Hash = params
        .required::<String>(0)?
        .parse()
        .map_err(|cause| RpcError::params(format!("Invalid param: {cause:?}")))?;
    let slot = context_slot(call, params, 1)?;
    respond(slot, call.node.chain()?.is_blockhash_valid(&hash, slot))
}

pub(super) fn prioritization_fees(call: &Call, params: &Params) -> Answer {
    params.at_most(1)?;
    let addresses: Vec<String> = params.optional(0)?.unwrap_or_default();
    if addresses.len() > FEE_ADDRESSES_MAX {
        return Err(RpcError::params(format!("Too many inputs provided; max {FEE_ADDRESSES_MAX}")));
    }
    for address in &addresses {
        super::params::pubkey(address)?;
    }
    let chain = call.node.chain()?;
    let tip = call.slot(&chain, Some(CommitmentConfig::processed()), None)?;
    // There is room in every block: nobody has to pay to be in one.
    let fee = |slot| RpcPrioritizationFee { slot, prioritization_fee: 0 };
    let fees: Vec<_> = (tip.saturating_sub(FEE_SLOTS).max(FIRST_SLOT)..tip).map(fee).collect();
    Ok(serde_json::to_value(fees)?)
}

/// A context slot for pubsub and the like.
pub(crate) fn context(slot: u64) -> Value {
    json!(RpcResponseContext::new(slot))
}
