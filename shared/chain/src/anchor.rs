//! Anchors: transactions that carry one memo and move nothing, signed and paid for by one wallet. Knows
//! no ledger.

use framefair_domain::wallet::Wallet;
use solana_message::VersionedMessage;

use crate::chain::Chain;
use crate::error::ChainError;
use crate::facts::read_wire;
use crate::instructions::{memo, read_unit_price, unit_limit, unit_price};
use crate::out::{GuardRefused, PRICE_MAX, SignedOut, message, price_at, sign};
use crate::signer::Signer;

/// Compute units: the memo program spends some hundreds for each of about 170 characters.
const UNITS: u32 = 150_000;

impl Chain {
    /// Signs a transaction that says `text`. Each further attempt bids more for its place.
    pub async fn sign_memo(
        &self,
        text: &str,
        attempt: u32,
        signer: &Signer,
    ) -> Result<SignedOut, ChainError> {
        let recent = self.fresh_blockhash().await?;
        let instructions = [unit_limit(UNITS), unit_price(price_at(attempt)), memo(text)];
        let unsigned = message(&instructions, &signer.wallet(), recent.hash);
        let bytes = sign(VersionedMessage::Legacy(unsigned), &[signer]).await?;
        check_memo(&bytes, text, &signer.wallet())?;
        Ok(SignedOut::new(bytes, &recent)?)
    }
}

/// Refuses stored bytes that are anything but this memo by this wallet. Call it before every send.
pub fn check_memo(bytes: &[u8], text: &str, by: &Wallet) -> Result<(), GuardRefused> {
    let transaction = read_wire(bytes).ok_or(GuardRefused::Unreadable)?;
    let VersionedMessage::Legacy(found) = &transaction.message else {
        return Err(GuardRefused::Differs("not a legacy transaction"));
    };
    let planned = |price: u64| {
        let instructions = [unit_limit(UNITS), unit_price(price), memo(text)];
        message(&instructions, by, found.recent_blockhash)
    };
    let price = found.instructions.get(1).and_then(|it| read_unit_price(&it.data));
    let price = price.filter(|price| *price <= PRICE_MAX);
    let price = price.ok_or(GuardRefused::Differs("the fee is over its cap"))?;
    if planned(price) != *found {
        return Err(GuardRefused::Differs("its instructions or accounts"));
    }
    if !transaction.verify_with_results().into_iter().all(|valid| valid) {
        return Err(GuardRefused::BadSignature);
    }
    Ok(())
}
