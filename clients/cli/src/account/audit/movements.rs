//! Whether what moved in a wallet is what was anchored, all of it, in its order. Pure: it is given what the
//! chain says of the wallet, the hub's proofs, and the anchors on the chain.

use framefair_domain::ledger::{NOTHING_BEFORE, digits};
use framefair_domain::merkle::leaf_hash;
use framefair_domain::time::Timestamp;
use framefair_domain::wallet::{TxSignature, Wallet};
use serde::Deserialize;

use super::anchors::Memo;
use super::entries::{Audited, is_anchored, unproven};
use super::finding::{Finding, Kind};
use crate::hub::account::Proof;

/// A transaction that changed the wallet's balance, and its proof if there is one.
#[derive(Debug)]
pub(super) struct Moved {
    pub(super) transaction: TxSignature,
    /// When it was, by the chain.
    pub(super) at: Option<Timestamp>,
    pub(super) lamports: i128,
    pub(super) proof: Option<Proof>,
}

/// What a leaf says of a movement, as far as the chain says it, too.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Text {
    account_seq: u64,
    amount: String,
    balance_after: String,
    direction: String,
    prev_leaf: String,
    reference_id: String,
    unit: String,
    user_id: String,
}

/// `moved` begins with the oldest.
pub(super) fn audit(
    wallet: &Wallet,
    moved: &[Moved],
    memos: &[Memo],
    now: Option<Timestamp>,
) -> Audited {
    let mut audited = Audited::default();
    let (mut prev_leaf, mut balance) = (digits(&NOTHING_BEFORE), 0_i128);
    let last_proven = moved.iter().rposition(|it| it.proof.is_some());
    for ((place, it), seq) in moved.iter().enumerate().zip(1..) {
        let of = format!("transaction {}", it.transaction);
        balance += it.lamports;
        let Some(proof) = &it.proof else {
            let is_passed_over = last_proven.is_some_and(|last| place < last);
            match unproven(is_passed_over, it.at, now) {
                Some((kind, why)) => audited.findings.push(Finding::new(kind, of, why)),
                None => audited.waiting += 1,
            }
            continue;
        };
        let direction = if it.lamports > 0 { "CREDIT" } else { "DEBIT" };
        let on_chain = Text {
            account_seq: seq,
            amount: it.lamports.unsigned_abs().to_string(),
            balance_after: balance.to_string(),
            direction: direction.to_owned(),
            prev_leaf,
            reference_id: it.transaction.to_string(),
            unit: "lamports".to_owned(),
            user_id: wallet.to_string(),
        };
        let mut found: Vec<(Kind, String)> = is_anchored(proof, memos).into_iter().collect();
        found.extend(difference(&on_chain, &proof.leaf));
        prev_leaf = digits(&leaf_hash(proof.leaf.as_bytes()));
        audited.proven += usize::from(found.is_empty());
        let found = found.into_iter().map(|(kind, why)| Finding::new(kind, of.as_str(), why));
        audited.findings.extend(found);
    }
    audited
}

/// In what the text that was anchored is another than the chain has it.
fn difference(on_chain: &Text, leaf: &str) -> Option<(Kind, String)> {
    let Ok(text) = serde_json::from_str::<Text>(leaf) else {
        return Some((Kind::Changed, "its text is none of a movement".to_owned()));
    };
    if text.account_seq != on_chain.account_seq || text.prev_leaf != on_chain.prev_leaf {
        let why = format!("it is number {} of the chain", on_chain.account_seq);
        return Some((Kind::Omitted, format!("{why}, and follows another in the ledger")));
    }
    let differs = [
        ("amount", text.amount != on_chain.amount),
        ("balance_after", text.balance_after != on_chain.balance_after),
        ("direction", text.direction != on_chain.direction),
        ("reference_id", text.reference_id != on_chain.reference_id),
        ("unit", text.unit != on_chain.unit),
        ("user_id", text.user_id != on_chain.user_id),
    ];
    let named: Vec<&str> = differs.into_iter().filter(|it| it.1).map(|it| it.0).collect();
    let why = || format!("the chain says another {}", named.join(", "));
    (!named.is_empty()).then(|| (Kind::Changed, why()))
}

#[cfg(test)]
#[path = "movements_tests.rs"]
mod tests;
