//! What became of a transaction that was sent, and above all when it is safe to say that it never
//! will land. Signs and sends nothing; whatever is in doubt is not expired.

use framefair_domain::wallet::{TxSignature, Wallet};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::chain::{Chain, Commitment, InContext, PAGE_MAX, Page, Seen};
use crate::error::{ChainError, MIN_SLOT_NOT_REACHED, NO_HISTORY, UNSUPPORTED_VERSION};
use crate::facts::words_for;
use crate::rpc::Rpc;

/// A block's hash serves for so many blocks after it: a constant of the cluster.
const HASH_SERVES: u64 = 150;
/// A window with more transactions than these pages hold is left to an operator.
const PAGES_MAX: usize = 50;
/// A memo like ours in so many strangers' transactions is left to an operator.
const LOOKS_MAX: usize = 32;

/// A transaction that was signed and may have been sent, as it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub signature: TxSignature,
    pub last_valid_block_height: u64,
    pub min_slot: u64,
    pub memo: String,
}

/// Where a transaction stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nobody has it, and it can still land: send the same bytes again.
    Unseen,
    /// In a block that is not confirmed yet, or failed in one that is not finalized yet.
    Processing,
    Confirmed {
        slot: u64,
    },
    Finalized {
        slot: u64,
    },
    /// It landed for ever and moved nothing but its fee.
    FailedOnChain {
        slot: u64,
        error: String,
    },
    /// It has not landed and never can: a new one may be signed.
    Expired,
    /// The nodes cannot tell. Ask again later, or park; never sign a new one.
    Unknowable(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    slot: u64,
    err: Value,
    confirmations: Option<u64>,
    confirmation_status: Option<String>,
}

impl Chain {
    /// The fate of a transaction from `escrow`. `Expired` needs all of: a finalized height past
    /// its validity; no trace of it, history included, on a node that is past it; and a walk over
    /// escrow's finalized history, back to before it was signed, without a transfer by escrow
    /// under its memo. With two nodes both must find so.
    pub async fn fate(&self, sent: &Sent, escrow: &Wallet) -> Result<Fate, ChainError> {
        let first = fate_at(&self.node, sent, escrow).await?;
        let Some(second) = self.second.as_ref().filter(|_| first == Fate::Expired) else {
            return Ok(first);
        };
        match fate_at(second, sent, escrow).await? {
            Fate::Unseen | Fate::Unknowable(_) => {
                Ok(unknowable("one node holds it for expired, and the other cannot tell"))
            }
            expired_or_seen => Ok(expired_or_seen),
        }
    }
}

async fn fate_at(node: &Rpc, sent: &Sent, escrow: &Wallet) -> Result<Fate, ChainError> {
    match try_fate(node, sent, escrow).await {
        Err(ChainError::Rpc { code: MIN_SLOT_NOT_REACHED, .. }) => {
            Ok(unknowable("a node lags behind its own earlier answer"))
        }
        Err(ChainError::Rpc { code, .. }) if NO_HISTORY.contains(&code) => {
            Ok(unknowable("the node keeps no history of that time"))
        }
        other => other,
    }
}

async fn try_fate(node: &Rpc, sent: &Sent, escrow: &Wallet) -> Result<Fate, ChainError> {
    if let (Some(fate), _) = status(node, &sent.signature).await? {
        return Ok(fate);
    }
    if node.block_height(Commitment::Finalized).await? <= sent.last_valid_block_height {
        return Ok(Fate::Unseen);
    }
    // Nodes behind one address differ. This answer binds a finalized slot to its height; what
    // follows must come from a node that has seen that slot.
    let past = node.recent(Commitment::Finalized).await?;
    let height = past.last_valid_block_height.saturating_sub(HASH_SERVES);
    if height <= sent.last_valid_block_height {
        return Ok(Fate::Unseen);
    }
    // It may have landed between the first look and the height.
    let (fate, seen_from) = status(node, &sent.signature).await?;
    if let Some(fate) = fate {
        return Ok(fate);
    }
    if seen_from < past.slot {
        return Ok(unknowable("the node that was asked lags behind"));
    }
    walk(node, sent, escrow, past.slot).await
}

/// The status as a fate, and the slot from which the node looked back.
async fn status(node: &Rpc, of: &TxSignature) -> Result<(Option<Fate>, u64), ChainError> {
    let params = json!([[of], { "searchTransactionHistory": true }]);
    let answer: InContext<(Option<Status>,)> = node.call("getSignatureStatuses", params).await?;
    Ok((answer.value.0.map(fate_of), answer.context.slot))
}

fn fate_of(status: Status) -> Fate {
    let slot = status.slot;
    let finalized = match status.confirmation_status.as_deref() {
        Some(word) => word == "finalized",
        // Older nodes say it so: nothing is left to wait for.
        None => status.confirmations.is_none(),
    };
    let confirmed = status.confirmation_status.as_deref() == Some("confirmed");
    match (status.err.is_null(), finalized, confirmed) {
        (true, true, _) => Fate::Finalized { slot },
        (true, false, true) => Fate::Confirmed { slot },
        (false, true, _) => Fate::FailedOnChain { slot, error: words_for(&status.err) },
        (_, false, _) => Fate::Processing,
    }
}

/// Looks for the transaction, and for any other that paid under its memo, in escrow's history from
/// now back to before it was signed. Escrow held the money before it could owe it, so a history
/// that does not reach back so far is cut off and proves nothing.
async fn walk(node: &Rpc, sent: &Sent, escrow: &Wallet, min_slot: u64) -> Result<Fate, ChainError> {
    let mut before = None;
    let mut looks = 0;
    for _ in 0..PAGES_MAX {
        let page = Page { before, until: None, limit: PAGE_MAX, min_slot: Some(min_slot) };
        let lines = node.signatures_of(escrow, page).await?;
        let Some(last) = lines.last() else {
            return Ok(unknowable("the node's history does not reach back to the signing"));
        };
        before = Some(last.signature);
        for line in &lines {
            if line.signature == sent.signature {
                return Ok(landed(line));
            }
            if line.slot < sent.min_slot {
                return Ok(Fate::Expired);
            }
            let hint = line.memo.as_ref().is_some_and(|memo| memo.contains(&sent.memo));
            if hint && !sent.memo.is_empty() {
                looks += 1;
                if looks > LOOKS_MAX {
                    return Ok(unknowable("too many transactions carry the memo"));
                }
                if let Some(fate) = another(node, sent, escrow, line).await? {
                    return Ok(fate);
                }
            }
        }
    }
    Ok(unknowable("too many transactions since the signing"))
}

fn landed(line: &Seen) -> Fate {
    match &line.error {
        None => Fate::Finalized { slot: line.slot },
        Some(error) => Fate::FailedOnChain { slot: line.slot, error: error.clone() },
    }
}

/// Anybody may write our memo into a transaction that names escrow; only escrow can pay under it.
async fn another(
    node: &Rpc,
    sent: &Sent,
    escrow: &Wallet,
    line: &Seen,
) -> Result<Option<Fate>, ChainError> {
    let read = match node.facts(&line.signature, Commitment::Finalized).await {
        // Ours are of the legacy format, whatever newer ones there are.
        Err(ChainError::Rpc { code: UNSUPPORTED_VERSION, .. }) => return Ok(None),
        read => read?,
    };
    let Some(facts) = read else {
        return Ok(Some(unknowable("the node lists a transaction that it does not have")));
    };
    // Who pays for a memo has signed it.
    let paid = facts.deltas.iter().any(|(wallet, delta)| wallet == escrow && *delta < 0);
    let by_escrow = paid || facts.transfers.iter().any(|transfer| transfer.from == *escrow);
    if by_escrow && facts.memos.contains(&sent.memo) {
        let other = line.signature;
        return Ok(Some(unknowable(&format!("the wallet paid under this memo in {other}"))));
    }
    Ok(None)
}

fn unknowable(why: &str) -> Fate {
    Fate::Unknowable(why.to_owned())
}
