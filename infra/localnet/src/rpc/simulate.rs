//! Running a transaction without landing it: simulateTransaction, getFeeForMessage and what
//! sendTransaction asks before it accepts one. Runs on the accounts of the wanted slot.

use std::panic::{AssertUnwindSafe, catch_unwind};

use litesvm::types::{SimulatedTransactionInfo, TransactionMetadata};
use solana_account_decoder::UiAccountEncoding;
use solana_rpc_client_types::{
    config::{
        CommitmentConfig, RpcContextConfig, RpcSimulateTransactionAccountsConfig,
        RpcSimulateTransactionConfig,
    },
    response::{RpcBlockhash, RpcSimulateTransactionResult, UiLoadedAddresses},
};
use solana_sdk::{
    account::Account,
    message::v0::LoadedAddresses,
    pubkey::Pubkey,
    signature::Signature,
    transaction::{TransactionError, VersionedTransaction},
};
use solana_transaction_status::{map_inner_instructions, parse_ui_inner_instructions};

use super::{Answer, Call, RpcError, accounts, cluster::respond, params, params::Params};
use crate::{
    blockhash::BLOCKHASH_AGE_MAX,
    chain::Chain,
    clock::FIRST_SLOT,
    execute::{all_keys, balances, loaded_addresses},
};

/// What a run would have done.
struct Simulated {
    err: Option<TransactionError>,
    meta: TransactionMetadata,
    loaded: LoadedAddresses,
    keys: Vec<Pubkey>,
    pre_balances: Vec<u64>,
    post_accounts: Vec<(Pubkey, Account)>,
}

/// Runs `transaction` on the accounts of `slot`; checks nothing beforehand.
fn simulate(chain: &mut Chain, transaction: &VersionedTransaction, slot: u64) -> Simulated {
    chain.sync_sysvars(chain.tip());
    chain.undo.look_at(&mut chain.svm, slot, |svm| {
        let (loaded, refused) = match loaded_addresses(svm, &transaction.message) {
            Ok(loaded) => (loaded, None),
            Err(why) => (LoadedAddresses::default(), Some(why)),
        };
        let keys = all_keys(&transaction.message, &loaded);
        let pre_balances = balances(svm, &keys);
        let mut simulated = Simulated {
            err: refused,
            meta: TransactionMetadata::default(),
            loaded,
            keys,
            pre_balances,
            post_accounts: Vec::new(),
        };
        if simulated.err.is_some() {
            return simulated;
        }
        let run = || svm.simulate_transaction(transaction.clone()).map_err(Box::new);
        let run = catch_unwind(AssertUnwindSafe(run));
        match run {
            Ok(Ok(SimulatedTransactionInfo { meta, post_accounts })) => {
                simulated.meta = meta;
                simulated.post_accounts =
                    post_accounts.into_iter().map(|(key, data)| (key, data.into())).collect();
            }
            Ok(Err(failed)) => {
                simulated.err = Some(failed.err);
                simulated.meta = failed.meta;
            }
            Err(_) => simulated.err = Some(TransactionError::SanitizeFailure),
        }
        simulated
    })
}

fn refused(why: TransactionError) -> Simulated {
    Simulated {
        err: Some(why),
        meta: TransactionMetadata::default(),
        loaded: LoadedAddresses::default(),
        keys: Vec::new(),
        pre_balances: Vec::new(),
        post_accounts: Vec::new(),
    }
}

impl Simulated {
    fn encode(self, inner_instructions: bool) -> RpcSimulateTransactionResult {
        let ran = !self.keys.is_empty();
        let fixed = self.keys.len() - self.loaded.len();
        let inner = inner_instructions.then(|| {
            let keys = solana_sdk::message::AccountKeys::new(
                self.keys.get(..fixed).unwrap_or_default(),
                Some(&self.loaded),
            );
            map_inner_instructions(self.meta.inner_instructions)
                .map(|inner| parse_ui_inner_instructions(inner, &keys))
                .collect()
        });
        let post = |(key, before): (&Pubkey, &u64)| {
            let after = self.post_accounts.iter().find(|(address, _)| address == key);
            after.map_or(*before, |(_, account)| account.lamports)
        };
        let post_balances = self.keys.iter().zip(&self.pre_balances).map(post).collect();
        RpcSimulateTransactionResult {
            err: self.err.map(Into::into),
            logs: Some(self.meta.logs),
            accounts: None,
            units_consumed: Some(self.meta.compute_units_consumed),
            loaded_accounts_data_size: None,
            return_data: (!self.meta.return_data.data.is_empty())
                .then(|| self.meta.return_data.into()),
            inner_instructions: inner,
            replacement_blockhash: None,
            fee: ran.then_some(self.meta.fee),
            pre_balances: ran.then_some(self.pre_balances),
            post_balances: ran.then_some(post_balances),
            pre_token_balances: None,
            post_token_balances: None,
            loaded_addresses: ran.then(|| UiLoadedAddresses::from(&self.loaded)),
        }
    }
}

/// What sendTransaction asks first: would it land, and succeed, on the accounts of `slot`?
pub(super) fn preflight(
    chain: &mut Chain,
    transaction: &VersionedTransaction,
    slot: u64,
) -> Result<(), RpcError> {
    let simulated = match chain.check(transaction, slot) {
        Ok(()) => simulate(chain, transaction, slot),
        Err(why) => refused(why),
    };
    let Some(err) = &simulated.err else { return Ok(()) };
    let message = format!("Transaction simulation failed: {err}");
    Err(RpcError::preflight(message, &simulated.encode(false)))
}

pub(super) fn simulate_transaction(call: &Call, params: &Params) -> Answer {
    params.at_most(2)?;
    let text: String = params.required(0)?;
    let config: RpcSimulateTransactionConfig = params.optional(1)?.unwrap_or_default();
    let mut transaction = params::transaction(&text, config.encoding)?;
    if config.sig_verify && config.replace_recent_blockhash {
        return Err(RpcError::params("sigVerify may not be used with replaceRecentBlockhash"));
    }
    let mut chain = call.node.chain()?;
    let slot = call.slot(&chain, config.commitment, config.min_context_slot)?;
    if config.sig_verify && !transaction.verify_with_results().iter().all(|valid| *valid) {
        return Err(RpcError::signature());
    }
    let mut replacement = None;
    if config.replace_recent_blockhash {
        let closed = slot.min(chain.tip().saturating_sub(1));
        let hash = chain.hashes.of(closed);
        transaction.message.set_recent_blockhash(hash);
        replacement = Some(RpcBlockhash {
            blockhash: hash.to_string(),
            last_valid_block_height: closed.saturating_sub(FIRST_SLOT) + BLOCKHASH_AGE_MAX,
        });
    }
    let simulated = match chain.check(&transaction, slot) {
        Ok(()) => simulate(&mut chain, &transaction, slot),
        Err(why) => refused(why),
    };
    let wanted = config
        .accounts
        .map(|wanted| wanted_accounts(&mut chain, &wanted, &simulated, slot))
        .transpose()?;
    let mut result = simulated.encode(config.inner_instructions);
    result.accounts = wanted;
    result.replacement_blockhash = replacement;
    respond(slot, result)
}

fn wanted_accounts(
    chain: &mut Chain,
    wanted: &RpcSimulateTransactionAccountsConfig,
    simulated: &Simulated,
    slot: u64,
) -> Result<Vec<Option<solana_account_decoder::UiAccount>>, RpcError> {
    let encoding = wanted.encoding.unwrap_or(UiAccountEncoding::Base64);
    if matches!(encoding, UiAccountEncoding::Binary | UiAccountEncoding::Base58) {
        return Err(RpcError::params("base58 encoding not supported"));
    }
    if wanted.addresses.len() > simulated.keys.len() {
        let count = simulated.keys.len();
        return Err(RpcError::params(format!("Too many accounts provided; max {count}")));
    }
    let show = |text: &String| {
        let address = params::pubkey(text)?;
        let after = simulated.post_accounts.iter().find(|(key, _)| *key == address);
        let account = match after {
            _ if simulated.err.is_some() => None,
            Some((_, account)) => Some(account.clone()).filter(|account| account.lamports > 0),
            None => chain.account_at(&address, slot),
        };
        account
            .map(|account| accounts::encode(&address, &account, encoding, None, None))
            .transpose()
    };
    wanted.addresses.iter().map(show).collect()
}

pub(super) fn fee_for_message(call: &Call, params: &Params) -> Answer {
    params.at_most(2)?;
    let message = params::message(&params.required::<String>(0)?)?;
    let config: RpcContextConfig = params.optional(1)?.unwrap_or_default();
    let mut chain = call.node.chain()?;
    let commitment = config.commitment.or(Some(CommitmentConfig::finalized()));
    let slot = call.slot(&chain, commitment, config.min_context_slot)?;
    if !chain.is_blockhash_valid(message.recent_blockhash(), slot) {
        return respond(slot, None::<u64>);
    }
    let signatures = vec![Signature::default(); message.header().num_required_signatures.into()];
    let simulated = simulate(&mut chain, &VersionedTransaction { signatures, message }, slot);
    // A fee of nothing is that of a message that never got as far as a price.
    respond(slot, Some(simulated.meta.fee).filter(|fee| *fee > 0))
}
