//! Taking transactions in: sendTransaction, and requestAirdrop, which is one from the faucet.

use serde_json::json;
use solana_compute_budget_interface::ComputeBudgetInstruction;
use solana_rpc_client_types::config::{
    CommitmentConfig, CommitmentLevel, RpcRequestAirdropConfig, RpcSendTransactionConfig,
};
use solana_sdk::{
    hash::Hash,
    message::{Message, VersionedMessage},
    pubkey::Pubkey,
    signature::Signer,
    transaction::VersionedTransaction,
};
use solana_system_interface::instruction::transfer;

use super::{Answer, Call, RpcError, params, params::Params, simulate::preflight};
use crate::chain::{Chain, ChainError};

/// 100,000 SOL.
const AIRDROP_LAMPORTS_MAX: u64 = 100_000 * 1_000_000_000;
/// How many equal airdrops one block may hold.
const EQUAL_AIRDROPS_MAX: u32 = 1_000;
const COMPUTE_UNITS: u32 = 200_000;

pub(super) fn send_transaction(call: &Call, params: &Params) -> Answer {
    params.at_most(2)?;
    let text: String = params.required(0)?;
    let config: RpcSendTransactionConfig = params.optional(1)?.unwrap_or_default();
    let transaction = params::transaction(&text, config.encoding)?;
    let commitment = config.preflight_commitment.map(|commitment| CommitmentConfig { commitment });
    let mut chain = call.node.chain()?;
    let slot = call.slot(&chain, commitment, config.min_context_slot)?;
    if !config.skip_preflight {
        if !transaction.verify_with_results().iter().all(|valid| *valid) {
            return Err(RpcError::signature());
        }
        preflight(&mut chain, &transaction, slot)?;
    }
    accept(&mut chain, &transaction)?;
    drop(chain);
    call.node.tell();
    Ok(json!(transaction.signatures.first().copied().unwrap_or_default().to_string()))
}

/// A node that skips preflight answers before it can know: what cannot land never shows up.
fn accept(chain: &mut Chain, transaction: &VersionedTransaction) -> Result<(), RpcError> {
    match chain.accept(transaction) {
        Ok(()) => Ok(()),
        Err(ChainError::Refused(why)) => {
            tracing::debug!(%why, "a transaction was sent that cannot land");
            Ok(())
        }
        Err(cause) => Err(cause.into()),
    }
}

pub(super) fn request_airdrop(call: &Call, params: &Params) -> Answer {
    params.at_most(3)?;
    let to = params.pubkey(0)?;
    let lamports: u64 = params.required(1)?;
    let config: RpcRequestAirdropConfig = params.optional(2)?.unwrap_or_default();
    if lamports > AIRDROP_LAMPORTS_MAX {
        return Err(RpcError::params(format!(
            "an airdrop is at most {AIRDROP_LAMPORTS_MAX} lamports"
        )));
    }
    let mut chain = call.node.chain()?;
    let tip = chain.slot_at(CommitmentLevel::Processed, 0);
    let blockhash: Hash = match config.recent_blockhash {
        Some(text) => {
            text.parse().map_err(|cause| RpcError::params(format!("Invalid param: {cause:?}")))?
        }
        None => chain.hashes.of(tip.saturating_sub(1)),
    };
    let transaction = airdrop(&chain, &to, lamports, blockhash, tip)
        .ok_or_else(|| RpcError::internal("too many equal airdrops in one slot"))?;
    preflight(&mut chain, &transaction, tip)?;
    accept(&mut chain, &transaction)?;
    drop(chain);
    call.node.tell();
    Ok(json!(transaction.signatures.first().copied().unwrap_or_default().to_string()))
}

/// A transfer from the faucet. Two equal ones in one slot would be one transaction: the second
/// states another compute budget, which changes the signature and nothing else.
fn airdrop(
    chain: &Chain,
    to: &Pubkey,
    lamports: u64,
    blockhash: Hash,
    tip: u64,
) -> Option<VersionedTransaction> {
    let faucet = chain.hashes.faucet();
    (0..EQUAL_AIRDROPS_MAX).find_map(|again| {
        let mut instructions = vec![transfer(&faucet.pubkey(), to, lamports)];
        if again > 0 {
            let units = COMPUTE_UNITS - again;
            instructions.push(ComputeBudgetInstruction::set_compute_unit_limit(units));
        }
        let message =
            Message::new_with_blockhash(&instructions, Some(&faucet.pubkey()), &blockhash);
        let transaction =
            VersionedTransaction::try_new(VersionedMessage::Legacy(message), &[&faucet]).ok()?;
        let signature = transaction.signatures.first()?;
        chain.ledger.find(signature, tip).is_none().then_some(transaction)
    })
}
