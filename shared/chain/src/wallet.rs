//! The paying side, for a client with a key of its own. Knows nothing of escrow or settlements.

use std::time::Duration;

use framefair_domain::money::Lamports;
use framefair_domain::wallet::{TxSignature, Wallet};
use serde_json::json;
use solana_message::VersionedMessage;
use tokio::time::{Instant, sleep};

use crate::chain::{Chain, Commitment};
use crate::error::ChainError;
use crate::fate::{Fate, Sent};
use crate::instructions::{memo, transfer};
use crate::out::{message, sign, signature_of};
use crate::signer::Signer;

const LOOK_EVERY: Duration = Duration::from_millis(300);
/// A transaction gets lost on the way more often than not confirmed in this time.
const SEND_EVERY: Duration = Duration::from_secs(2);
/// A blockhash serves for about a minute, and finality comes a quarter minute later.
const GIVE_UP_AFTER: Duration = Duration::from_secs(180);

/// How far a payment has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Signed(TxSignature),
    /// The node took it; told once for every time that it was handed over.
    Sent,
    Processing,
}

/// Why a payment is not confirmed. Where a signature is told the money may still move, or has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayError {
    #[error("nothing was sent: {0}")]
    NotSent(ChainError),
    #[error("the payment {signature} failed on chain ({error}); only its fee was spent")]
    Failed { signature: TxSignature, error: String },
    #[error("the payment {signature} was never taken and cannot be any more; pay again")]
    Expired { signature: TxSignature },
    #[error(
        "it is not known what became of the payment {signature} ({why}); look it up before you \
         pay again"
    )]
    Unknown { signature: TxSignature, why: String },
}

/// Pays, and waits until the payment is confirmed.
pub async fn pay(
    chain: &Chain,
    signer: &Signer,
    to: &Wallet,
    lamports: Lamports,
    memo: &str,
) -> Result<TxSignature, PayError> {
    pay_with(chain, signer, to, lamports, memo, |_| ()).await
}

/// As `pay`, telling how it goes.
pub async fn pay_with(
    chain: &Chain,
    signer: &Signer,
    to: &Wallet,
    lamports: Lamports,
    text: &str,
    mut on: impl FnMut(Progress),
) -> Result<TxSignature, PayError> {
    let recent = chain.node.recent(Commitment::Confirmed).await.map_err(PayError::NotSent)?;
    let from = signer.wallet();
    let instructions = [transfer(&from, to, lamports), memo(text)];
    let message = VersionedMessage::Legacy(message(&instructions, &from, recent.hash));
    let bytes = sign(message, &[signer]).await.map_err(PayError::NotSent)?;
    let unreadable = || PayError::NotSent(ChainError::Signing("its own bytes are unreadable"));
    let sent = Sent {
        signature: signature_of(&bytes).ok_or_else(unreadable)?,
        last_valid_block_height: recent.last_valid_block_height,
        min_slot: recent.slot,
        memo: text.to_owned(),
    };
    on(Progress::Signed(sent.signature));
    confirm(chain, &from, &sent, Some(&bytes), on).await
}

/// Asks the node, of a test cluster, to give lamports to a wallet, and waits until it has.
pub async fn airdrop(
    chain: &Chain,
    wallet: &Wallet,
    lamports: Lamports,
) -> Result<TxSignature, PayError> {
    let recent = chain.node.recent(Commitment::Confirmed).await.map_err(PayError::NotSent)?;
    let how = json!({ "commitment": Commitment::Confirmed.word() });
    let asked = chain.node.call("requestAirdrop", json!([wallet, lamports.0, how]));
    let sent = Sent {
        signature: asked.await.map_err(PayError::NotSent)?,
        last_valid_block_height: recent.last_valid_block_height,
        min_slot: recent.slot,
        memo: String::new(),
    };
    confirm(chain, wallet, &sent, None, |_| ()).await
}

/// Looks, and sends again, until the transaction is confirmed or certainly will not be. A node
/// that falters in between is asked again: the transaction is out already.
async fn confirm(
    chain: &Chain,
    wallet: &Wallet,
    sent: &Sent,
    bytes: Option<&[u8]>,
    mut on: impl FnMut(Progress),
) -> Result<TxSignature, PayError> {
    let signature = sent.signature;
    let begun = Instant::now();
    let mut send_at = begun;
    let mut why = String::new();
    while begun.elapsed() < GIVE_UP_AFTER {
        if let Some(bytes) = bytes.filter(|_| Instant::now() >= send_at) {
            send_at = Instant::now() + SEND_EVERY;
            match chain.send(bytes).await {
                Ok(()) => on(Progress::Sent),
                Err(error) => why = error.to_string(),
            }
        }
        match chain.fate(sent, wallet).await {
            Ok(Fate::Confirmed { .. } | Fate::Finalized { .. }) => return Ok(signature),
            Ok(Fate::FailedOnChain { error, .. }) => {
                return Err(PayError::Failed { signature, error });
            }
            Ok(Fate::Expired) => return Err(PayError::Expired { signature }),
            Ok(Fate::Processing) => on(Progress::Processing),
            Ok(Fate::Unseen) => {}
            Ok(Fate::Unknowable(reason)) => why = reason,
            Err(error) => why = error.to_string(),
        }
        sleep(LOOK_EVERY).await;
    }
    Err(PayError::Unknown { signature, why })
}
