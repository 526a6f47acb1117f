//! Methods that read accounts, encoded by agave's own decoder.

use serde_json::json;
use solana_account_decoder::{
    UiAccount, UiAccountEncoding, encode_ui_account,
    parse_account_data::{AccountAdditionalDataV3, SplTokenAdditionalDataV2},
};
use solana_rpc_client_types::config::{
    CommitmentConfig, RpcAccountInfoConfig, RpcContextConfig, UiDataSliceConfig,
};
use solana_sdk::{account::Account, pubkey::Pubkey};

use super::{Answer, Call, RpcError, cluster::respond, params, params::Params};
use crate::{chain::Chain, tokens};

const MULTIPLE_MAX: usize = 100;
const ACCOUNT_BYTES_MAX: usize = 10 * 1024 * 1024;
const BASE58_BYTES_MAX: usize = 128;

pub(super) fn minimum_balance(call: &Call, params: &Params) -> Answer {
    params.at_most(2)?;
    let length: usize = params.required(0)?;
    let _: Option<CommitmentConfig> = params.optional(1)?;
    if length > ACCOUNT_BYTES_MAX {
        return Err(RpcError::params(format!("an account has at most {ACCOUNT_BYTES_MAX} bytes")));
    }
    Ok(json!(call.node.chain()?.svm.minimum_balance_for_rent_exemption(length)))
}

pub(super) fn balance(call: &Call, params: &Params) -> Answer {
    params.at_most(2)?;
    let address = params.pubkey(0)?;
    let config: RpcContextConfig = params.optional(1)?.unwrap_or_default();
    let mut chain = call.node.chain()?;
    let slot = call.slot(&chain, config.commitment, config.min_context_slot)?;
    respond(slot, chain.account_at(&address, slot).map_or(0, |account| account.lamports))
}

pub(super) fn account_info(call: &Call, params: &Params) -> Answer {
    params.at_most(2)?;
    let address = params.pubkey(0)?;
    let config: RpcAccountInfoConfig = params.optional(1)?.unwrap_or_default();
    let mut chain = call.node.chain()?;
    let slot = call.slot(&chain, config.commitment, config.min_context_slot)?;
    let encoding = config.encoding.unwrap_or(UiAccountEncoding::Binary);
    respond(slot, show(&mut chain, &address, slot, encoding, config.data_slice)?)
}

pub(super) fn multiple(call: &Call, params: &Params) -> Answer {
    params.at_most(2)?;
    let addresses: Vec<String> = params.required(0)?;
    if addresses.len() > MULTIPLE_MAX {
        let count = addresses.len();
        let message = format!("Too many inputs provided; max {MULTIPLE_MAX}, got {count}");
        return Err(RpcError::params(message));
    }
    let addresses =
        addresses.iter().map(|text| params::pubkey(text)).collect::<Result<Vec<_>, _>>()?;
    let config: RpcAccountInfoConfig = params.optional(1)?.unwrap_or_default();
    let mut chain = call.node.chain()?;
    let slot = call.slot(&chain, config.commitment, config.min_context_slot)?;
    let encoding = config.encoding.unwrap_or(UiAccountEncoding::Base64);
    let accounts = addresses
        .iter()
        .map(|address| show(&mut chain, address, slot, encoding, config.data_slice))
        .collect::<Result<Vec<_>, _>>()?;
    respond(slot, accounts)
}

pub(super) fn token_balance(call: &Call, params: &Params) -> Answer {
    params.at_most(2)?;
    let address = params.pubkey(0)?;
    let commitment: Option<CommitmentConfig> = params.optional(1)?;
    let mut chain = call.node.chain()?;
    let slot = call.slot(&chain, commitment, None)?;
    let account = chain
        .account_at(&address, slot)
        .ok_or_else(|| RpcError::params("Invalid param: could not find account"))?;
    let held = tokens::holding(0, &account, |mint| chain.account_at(mint, slot))
        .ok_or_else(|| RpcError::params("Invalid param: not a Token account"))?;
    respond(slot, held.amount())
}

fn show(
    chain: &mut Chain,
    address: &Pubkey,
    slot: u64,
    encoding: UiAccountEncoding,
    slice: Option<UiDataSliceConfig>,
) -> Result<Option<UiAccount>, RpcError> {
    let Some(account) = chain.account_at(address, slot) else { return Ok(None) };
    let decimals = (encoding == UiAccountEncoding::JsonParsed)
        .then(|| tokens::mint_of(&account))
        .flatten()
        .and_then(|mint| tokens::decimals(&chain.account_at(&mint, slot)?));
    encode(address, &account, encoding, slice, decimals).map(Some)
}

/// `decimals` are those of the account's mint, when it is a token account.
pub(super) fn encode(
    address: &Pubkey,
    account: &Account,
    encoding: UiAccountEncoding,
    slice: Option<UiDataSliceConfig>,
    decimals: Option<u8>,
) -> Result<UiAccount, RpcError> {
    let length = slice.map_or(account.data.len(), |slice| {
        slice.length.min(account.data.len().saturating_sub(slice.offset))
    });
    let base58 = matches!(encoding, UiAccountEncoding::Binary | UiAccountEncoding::Base58);
    if base58 && length > BASE58_BYTES_MAX {
        let message = format!(
            "Encoded binary (base 58) data should be less than {BASE58_BYTES_MAX} bytes, please \
             use Base64 encoding."
        );
        return Err(RpcError::request(message));
    }
    let additional = decimals.map(|decimals| AccountAdditionalDataV3 {
        spl_token_additional_data: Some(SplTokenAdditionalDataV2::with_decimals(decimals)),
    });
    Ok(encode_ui_account(address, account, encoding, additional, slice))
}
