//! Money out: signs a settlement's transfers, and refuses bytes that differ from its plan. Knows
//! neither why money is owed nor what became of what was sent.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use framefair_domain::money::Lamports;
use framefair_domain::settlement::SettlementId;
use framefair_domain::wallet::{TxSignature, Wallet};
use serde::Deserialize;
use serde_json::json;
use solana_hash::Hash;
use solana_instruction::Instruction;
use solana_message::{Message, VersionedMessage};
use solana_transaction::versioned::VersionedTransaction;

use crate::chain::{Chain, Commitment, InContext};
use crate::error::ChainError;
use crate::facts::read_wire;
use crate::instructions::{
    address_of, memo, read_unit_limit, read_unit_price, transfer, unit_limit, unit_price,
};
use crate::rpc::Rpc;
use crate::signer::Signer;

/// Sixteen transfers to as many wallets, and the rest, are what a packet holds.
pub const LEGS_MAX: usize = 16;
/// What the network takes as one transaction.
const WIRE_MAX_BYTES: usize = 1_232;

/// Compute units: the memo program spends some hundreds for each character, a transfer 150.
const UNITS_BASE: u32 = 60_000;
const UNITS_PER_LEG: u32 = 300;
/// No order of ours asks for more compute units than this.
pub const UNITS_MAX: u32 = 100_000;
/// Price of a unit at the first attempt, in millionths of a lamport; each further attempt bids
/// four times as much.
const PRICE_FIRST: u64 = 10_000;
/// With all units used, 0.0001 SOL of priority fee.
pub const PRICE_MAX: u64 = 1_000_000;

/// A blockhash serves for 150 blocks. A node whose two answers are further off than these is
/// broken, or wants a transaction to be taken for expired while it can still land.
const VALID_FOR_MIN: u64 = 50;
const VALID_FOR_MAX: u64 = 400;

/// What is to be paid, and as which try.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    pub settlement: SettlementId,
    /// Its place in the settlement's way out.
    pub n: u32,
    /// How often these legs were tried; each further time bids more.
    pub attempt: u32,
    pub legs: &'a [(Wallet, Lamports)],
}

impl Order<'_> {
    pub fn memo(&self) -> String {
        memo_out(self.settlement, self.n)
    }
}

/// The text by which an outgoing transaction is known for ours.
pub fn memo_out(settlement: impl Into<SettlementId>, n: u32) -> String {
    format!("framefair:out:{}:{n}", settlement.into())
}

/// A transaction that is signed and not yet sent. Store it before anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedOut {
    /// As the network takes it.
    pub bytes: Vec<u8>,
    pub signature: TxSignature,
    /// It cannot land in a block of a greater height.
    pub last_valid_block_height: u64,
    /// It cannot have landed in a slot before this one.
    pub min_slot: u64,
}

impl SignedOut {
    pub(crate) fn new(bytes: Vec<u8>, recent: &Recent) -> Result<SignedOut, GuardRefused> {
        let signature = signature_of(&bytes).ok_or(GuardRefused::Unreadable)?;
        let last_valid_block_height = recent.last_valid_block_height;
        Ok(SignedOut { bytes, signature, last_valid_block_height, min_slot: recent.slot })
    }
}

/// Why a transaction must not leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuardRefused {
    #[error("it pays nobody")]
    NoLegs,
    #[error("it has over {LEGS_MAX} transfers")]
    TooManyLegs,
    #[error("a transfer of nothing")]
    ZeroLeg,
    #[error("a transfer to the platform's own wallet")]
    LegToOurselves,
    #[error("escrow and gas are one wallet")]
    SameWallet,
    #[error("its sum is more than there can be")]
    SumOverflows,
    #[error("it is over {WIRE_MAX_BYTES} bytes")]
    TooLarge,
    #[error("its bytes are not a transaction")]
    Unreadable,
    #[error("it differs from the plan: {0}")]
    Differs(&'static str),
    #[error("its signatures are not those of escrow and gas")]
    BadSignature,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LatestBlockhash {
    blockhash: String,
    pub(crate) last_valid_block_height: u64,
}

pub(crate) struct Recent {
    pub(crate) hash: Hash,
    pub(crate) slot: u64,
    pub(crate) last_valid_block_height: u64,
}

impl Rpc {
    pub(crate) async fn recent(&self, commitment: Commitment) -> Result<Recent, ChainError> {
        let params = json!([{ "commitment": commitment.word() }]);
        let answer: InContext<LatestBlockhash> = self.call("getLatestBlockhash", params).await?;
        let hash = answer.value.blockhash.parse();
        Ok(Recent {
            hash: hash.map_err(|_| ChainError::untrustworthy("its blockhash is no hash"))?,
            slot: answer.context.slot,
            last_valid_block_height: answer.value.last_valid_block_height,
        })
    }
}

impl Chain {
    /// One that serves for about as long as it should.
    pub(crate) async fn fresh_blockhash(&self) -> Result<Recent, ChainError> {
        let height = self.node.block_height(Commitment::Confirmed).await?;
        let recent = self.node.recent(Commitment::Confirmed).await?;
        let ahead = recent.last_valid_block_height.saturating_sub(height);
        if !(VALID_FOR_MIN..=VALID_FOR_MAX).contains(&ahead) {
            return Err(ChainError::untrustworthy("its blockhash does not serve for 150 blocks"));
        }
        Ok(recent)
    }

    /// Builds and signs the transaction of an order: gas pays the fee, escrow the legs.
    pub async fn sign_out(
        &self,
        order: &Order<'_>,
        escrow: &Signer,
        gas: &Signer,
    ) -> Result<SignedOut, ChainError> {
        let wallets = (escrow.wallet(), gas.wallet());
        check_order(order, &wallets.0, &wallets.1)?;
        let recent = self.fresh_blockhash().await?;
        let units = UNITS_BASE + UNITS_PER_LEG * u32::try_from(order.legs.len()).unwrap_or(0);
        let price = price_at(order.attempt);
        let message = plan(order, &wallets.0, &wallets.1, units, price, recent.hash);
        let bytes = sign(VersionedMessage::Legacy(message), &[gas, escrow]).await?;
        check_out(&bytes, order, &wallets.0, &wallets.1)?;
        Ok(SignedOut::new(bytes, &recent)?)
    }

    /// Hands wire bytes to the node, which checks nothing and repeats nothing. An error does not
    /// mean that the transaction will not land: only `fate` tells.
    pub async fn send(&self, bytes: &[u8]) -> Result<(), ChainError> {
        let expected = signature_of(bytes).ok_or(GuardRefused::Unreadable)?;
        let how = json!({ "encoding": "base64", "skipPreflight": true, "maxRetries": 0 });
        let params = json!([STANDARD.encode(bytes), how]);
        let answered: TxSignature = self.node.call("sendTransaction", params).await?;
        if answered == expected {
            return Ok(());
        }
        Err(ChainError::untrustworthy("it took the transaction under another signature"))
    }
}

/// Refuses stored bytes that are not, to the byte, the plan's transaction by gas and escrow. What
/// the plan leaves open is the blockhash, and the fee within its caps. Call it before every send.
pub fn check_out(
    bytes: &[u8],
    order: &Order<'_>,
    escrow: &Wallet,
    gas: &Wallet,
) -> Result<(), GuardRefused> {
    check_order(order, escrow, gas)?;
    if bytes.len() > WIRE_MAX_BYTES {
        return Err(GuardRefused::TooLarge);
    }
    let transaction = read_wire(bytes).ok_or(GuardRefused::Unreadable)?;
    let VersionedMessage::Legacy(message) = &transaction.message else {
        return Err(GuardRefused::Differs("not a legacy transaction"));
    };
    let data = |position: usize| message.instructions.get(position).map(|one| one.data.as_slice());
    let units = data(0).and_then(read_unit_limit);
    let units = units.ok_or(GuardRefused::Differs("no compute unit limit comes first"))?;
    let price = data(1).and_then(read_unit_price);
    let price = price.ok_or(GuardRefused::Differs("no compute unit price comes second"))?;
    if units > UNITS_MAX || price > PRICE_MAX {
        return Err(GuardRefused::Differs("the fee is over its cap"));
    }
    let planned = plan(order, escrow, gas, units, price, message.recent_blockhash);
    if planned.account_keys.first() != message.account_keys.first() {
        return Err(GuardRefused::Differs("another wallet pays the fee"));
    }
    if planned != *message {
        return Err(GuardRefused::Differs("its instructions or accounts"));
    }
    if !transaction.verify_with_results().into_iter().all(|valid| valid) {
        return Err(GuardRefused::BadSignature);
    }
    Ok(())
}

/// The name of a transaction, from its wire bytes.
pub fn signature_of(bytes: &[u8]) -> Option<TxSignature> {
    let transaction = read_wire(bytes)?;
    Some(TxSignature(transaction.signatures.first()?.as_ref().try_into().ok()?))
}

fn check_order(order: &Order<'_>, escrow: &Wallet, gas: &Wallet) -> Result<(), GuardRefused> {
    if escrow == gas {
        return Err(GuardRefused::SameWallet);
    }
    if order.legs.is_empty() {
        return Err(GuardRefused::NoLegs);
    }
    if order.legs.len() > LEGS_MAX {
        return Err(GuardRefused::TooManyLegs);
    }
    let mut sum = Lamports::ZERO;
    for (to, lamports) in order.legs {
        if *lamports == Lamports::ZERO {
            return Err(GuardRefused::ZeroLeg);
        }
        if to == escrow || to == gas {
            return Err(GuardRefused::LegToOurselves);
        }
        sum = sum.checked_add(*lamports).ok_or(GuardRefused::SumOverflows)?;
    }
    Ok(())
}

fn plan(
    order: &Order<'_>,
    escrow: &Wallet,
    gas: &Wallet,
    units: u32,
    price: u64,
    blockhash: Hash,
) -> Message {
    let mut instructions = vec![unit_limit(units), unit_price(price)];
    let legs = order.legs.iter();
    instructions.extend(legs.map(|(to, lamports)| transfer(escrow, to, *lamports)));
    instructions.push(memo(&order.memo()));
    message(&instructions, gas, blockhash)
}

pub(crate) fn message(instructions: &[Instruction], payer: &Wallet, blockhash: Hash) -> Message {
    Message::new_with_blockhash(instructions, Some(&address_of(payer)), &blockhash)
}

pub(crate) fn price_at(attempt: u32) -> u64 {
    let steps = attempt.saturating_sub(1).min(16);
    PRICE_FIRST.saturating_mul(4_u64.saturating_pow(steps)).min(PRICE_MAX)
}

/// Signs for every account of the message that must sign, and gives the wire bytes.
pub(crate) async fn sign(
    message: VersionedMessage,
    signers: &[&Signer],
) -> Result<Vec<u8>, ChainError> {
    let needed = usize::from(message.header().num_required_signatures);
    let keys: Vec<_> = message.static_account_keys().iter().take(needed).copied().collect();
    let distinct: BTreeSet<Wallet> = signers.iter().map(|signer| signer.wallet()).collect();
    if keys.len() != distinct.len() {
        return Err(ChainError::Signing("the transaction wants other signers"));
    }
    let text = message.serialize();
    let mut signatures = Vec::with_capacity(keys.len());
    for key in keys {
        let signer = signers.iter().find(|signer| address_of(&signer.wallet()) == key);
        let signer = signer.ok_or(ChainError::Signing("the transaction wants other signers"))?;
        signatures.push(signer.sign(&text).await?.0.into());
    }
    let transaction = VersionedTransaction { signatures, message };
    let bytes = wincode::serialize(&transaction);
    let bytes = bytes.map_err(|_| ChainError::Refused(GuardRefused::TooLarge))?;
    if bytes.len() > WIRE_MAX_BYTES {
        return Err(ChainError::Refused(GuardRefused::TooLarge));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
