//! The methods that only tests call. A page in a browser cannot: they are hidden from any request
//! that bears an Origin.
//!
//! - `localnetSetAccount [address, {lamports, data?, owner?, executable?} | null]`: data in base64.
//! - `localnetWarpSlots [slots, {seconds?}]`: empty blocks at once; block time may jump, too.
//! - `localnetDropTransaction [signature]`: a transaction that is not finalized never was. Returns
//!   all that are gone by that.
//! - `localnetHoldTransaction [signature or address]`: what is sent from now on and matches is
//!   accepted but does not land; `localnetReleaseTransaction` with the same lands it, if it still
//!   can; `localnetHeldTransactions []` lists.
//! - `localnetView [{lagSlots?, history?}]`: a second port onto the same chain, `lagSlots` behind.
//!   `history`: true; false, a node that has forgotten (null, empty, and statuses of the last 300
//!   slots only); "refused", a node that was never to keep any (-32011). Returns its URL.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};
use solana_sdk::{account::Account, pubkey::Pubkey};

use super::{Answer, Call, RpcError, params, params::Params};
use crate::{
    chain::LAG_SLOTS_MAX,
    node::{History, View},
    testing::Rule,
};

const WARP_SLOTS_MAX: u64 = 10_000_000;
const WARP_SECONDS_MAX: u32 = 10 * 365 * 86_400;

pub(super) fn dispatch(call: &Call, method: &str, params: &Params) -> Answer {
    match method {
        "localnetSetAccount" => set_account(call, params),
        "localnetWarpSlots" => warp(call, params),
        "localnetDropTransaction" => drop_transaction(call, params),
        "localnetHoldTransaction" => hold(call, params),
        "localnetReleaseTransaction" => release(call, params),
        "localnetHeldTransactions" => held(call, params),
        "localnetView" => view(call, params),
        _ => Err(RpcError::method(method)),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AccountParams {
    lamports: u64,
    #[serde(default)]
    data: String,
    owner: Option<String>,
    #[serde(default)]
    executable: bool,
}

fn set_account(call: &Call, params: &Params) -> Answer {
    params.at_most(2)?;
    let address = params.pubkey(0)?;
    let account = params.optional::<AccountParams>(1)?.map(read_account).transpose()?;
    call.node.chain()?.set_account(address, account)?;
    call.node.tell();
    Ok(Value::Null)
}

fn read_account(params: AccountParams) -> Result<Account, RpcError> {
    let data = BASE64_STANDARD
        .decode(params.data)
        .map_err(|cause| RpcError::params(format!("invalid base64 encoding: {cause}")))?;
    let owner = params.owner.map(|owner| params::pubkey(&owner)).transpose()?;
    if params.executable {
        return Err(RpcError::params("programs cannot be set, only deployed"));
    }
    Ok(Account {
        lamports: params.lamports,
        data,
        owner: owner.unwrap_or(Pubkey::default()),
        executable: false,
        rent_epoch: u64::MAX,
    })
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WarpParams {
    #[serde(default)]
    seconds: u32,
}

fn warp(call: &Call, params: &Params) -> Answer {
    params.at_most(2)?;
    let slots: u64 = params.required(0)?;
    let WarpParams { seconds } = params.optional(1)?.unwrap_or_default();
    if !(1..=WARP_SLOTS_MAX).contains(&slots) || seconds > WARP_SECONDS_MAX {
        let message = format!("1 to {WARP_SLOTS_MAX} slots and at most {WARP_SECONDS_MAX} seconds");
        return Err(RpcError::params(message));
    }
    let mut chain = call.node.chain()?;
    chain.warp(slots, seconds, call.node.now())?;
    let tip = chain.tip();
    drop(chain);
    call.node.tell();
    Ok(json!(tip))
}

fn drop_transaction(call: &Call, params: &Params) -> Answer {
    params.at_most(1)?;
    let signature = params.signature(0)?;
    let gone = call.node.chain()?.drop_transaction(&signature)?;
    call.node.tell();
    Ok(json!(gone.iter().map(ToString::to_string).collect::<Vec<_>>()))
}

fn rule(params: &Params) -> Result<Rule, RpcError> {
    params.at_most(1)?;
    let text: String = params.required(0)?;
    match params::signature(&text) {
        Ok(signature) => Ok(Rule::Signature(signature)),
        Err(_) => params::pubkey(&text).map(Rule::Address),
    }
}

fn hold(call: &Call, params: &Params) -> Answer {
    call.node.chain()?.hold(rule(params)?)?;
    Ok(Value::Null)
}

fn release(call: &Call, params: &Params) -> Answer {
    let released = call.node.chain()?.release(rule(params)?)?;
    call.node.tell();
    let told = released.into_iter().map(|released| {
        json!({
            "signature": released.signature.to_string(),
            "landed": released.refused.is_none(),
            "err": released.refused,
        })
    });
    Ok(Value::Array(told.collect()))
}

fn held(call: &Call, params: &Params) -> Answer {
    params.at_most(0)?;
    let held: Vec<_> = call.node.chain()?.held().map(|held| held.to_string()).collect();
    Ok(json!(held))
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ViewParams {
    #[serde(default)]
    lag_slots: u64,
    history: Option<Value>,
}

fn view(call: &Call, params: &Params) -> Answer {
    params.at_most(1)?;
    let wanted: ViewParams = params.optional(0)?.unwrap_or_default();
    let history = match wanted.history {
        None | Some(Value::Bool(true)) => History::Kept,
        Some(Value::Bool(false)) => History::Forgotten,
        Some(Value::String(word)) if word == "refused" => History::Refused,
        Some(_) => return Err(RpcError::params("history is true, false or \"refused\"")),
    };
    if wanted.lag_slots > LAG_SLOTS_MAX {
        return Err(RpcError::params(format!("a view lags by at most {LAG_SLOTS_MAX} slots")));
    }
    let view = View { lag_slots: wanted.lag_slots, history };
    let address =
        call.node.open_view(view).map_err(|cause| RpcError::internal(cause.to_string()))?;
    Ok(json!(format!("http://{address}")))
}
