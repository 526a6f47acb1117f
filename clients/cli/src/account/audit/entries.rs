//! Whether an account's entries are those that were anchored, all of them, in their order. Pure: it is given
//! the hub's history and proofs, and what the chain says.

use framefair_domain::credits::Credits;
use framefair_domain::ledger::{Leaf, NOTHING_BEFORE, digits};
use framefair_domain::merkle::leaf_hash;
use framefair_domain::time::{MINUTE_MS, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use super::anchors::Memo;
use super::finding::{Finding, Kind};
use crate::account::ledger::walked;
use crate::exit::plain;
use crate::hub::account::{Entry, Proof};

/// An entry of the history, and its proof if there is one.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) entry: Entry,
    pub(super) proof: Option<Proof>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Audited {
    pub(super) findings: Vec<Finding>,
    /// Entries that the chain vouches for.
    pub(super) proven: usize,
    /// The newest, that are not anchored yet.
    pub(super) waiting: usize,
}

/// What the text of a leaf says that the history does not.
#[derive(Debug, Deserialize)]
struct Text {
    account_seq: u64,
    prev_leaf: String,
    user_id: String,
}

/// The newest entry that was looked at.
struct Before {
    seq: u64,
    leaf: String,
    user: Option<String>,
}

const MEMBERS: [&str; 8] = [
    "amount",
    "balance_after",
    "created_at",
    "direction",
    "entry_id",
    "id",
    "reference_id",
    "source",
];
const NAME_MAX: usize = 40;
/// A batch is sealed after five minutes at most, and its anchor is booked within ten more.
const WAITS_MAX_MS: i64 = 15 * MINUTE_MS;

/// `told` begins with the oldest; `now` is the chain's time.
pub(super) fn audit(told: &[Told], memos: &[Memo], now: Option<Timestamp>) -> Audited {
    let mut audited = Audited::default();
    let mut before = Before { seq: 0, leaf: digits(&NOTHING_BEFORE), user: None };
    let mut balance: Option<Credits> = Some(Credits::ZERO);
    let last_proven = told.iter().rposition(|it| it.proof.is_some());
    for (place, it) in told.iter().enumerate() {
        let of = name(&it.entry);
        let mut found = Vec::new();
        let after = signed(&it.entry.balance_after);
        if balance.zip(moved(&it.entry)).and_then(|(was, by)| was.checked_add(by)) != after {
            found.push((Kind::Balance, "it does not follow from the one before".to_owned()));
        }
        balance = after;
        match &it.proof {
            Some(proof) => found.extend(looked_at(&it.entry, proof, memos, &mut before)),
            None => {
                let made = Timestamp::from_rfc3339(&it.entry.created_at);
                let is_passed_over = last_proven.is_some_and(|last| place < last);
                match unproven(is_passed_over, made, now) {
                    Some(missing) => found.push(missing),
                    None => audited.waiting += 1,
                }
            }
        }
        if found.is_empty() && it.proof.is_some() {
            audited.proven += 1;
        }
        let found = found.into_iter().map(|(kind, why)| Finding::new(kind, &of, why));
        audited.findings.extend(found);
    }
    audited
}

/// Why what has no proof should have one, if it should. A hub that keeps its proofs to itself must not look like
/// one that is about to anchor.
pub(super) fn unproven(
    is_passed_over: bool,
    made: Option<Timestamp>,
    now: Option<Timestamp>,
) -> Option<(Kind, String)> {
    let age_ms = now.zip(made).map(|(now, made)| now.since_ms(made));
    let why = match age_ms {
        _ if is_passed_over => "a newer one has a proof, and this has none".to_owned(),
        Some(age_ms) if age_ms >= WAITS_MAX_MS => {
            format!("it is {} minutes old, and has no proof", age_ms / MINUTE_MS)
        }
        _ => return None,
    };
    Some((Kind::NotProven, why))
}

fn name(entry: &Entry) -> String {
    match entry.entry_id {
        Some(number) => format!("entry {number}"),
        None => format!("entry {}", plain(&entry.id, NAME_MAX)),
    }
}

/// By how much the balance moved.
fn moved(entry: &Entry) -> Option<Credits> {
    let amount = Credits::parse(&entry.amount).ok()?;
    match entry.direction.as_str() {
        "CREDIT" => Some(amount),
        "DEBIT" => Credits::ZERO.checked_sub(amount),
        _ => None,
    }
}

fn signed(text: &str) -> Option<Credits> {
    match text.strip_prefix('-') {
        Some(debt) => Credits::ZERO.checked_sub(Credits::parse(debt).ok()?),
        None => Credits::parse(text).ok(),
    }
}

fn looked_at(
    entry: &Entry,
    proof: &Proof,
    memos: &[Memo],
    before: &mut Before,
) -> Vec<(Kind, String)> {
    let mut found: Vec<(Kind, String)> = is_anchored(proof, memos).into_iter().collect();
    let Ok(text) = serde_json::from_str::<Text>(&proof.leaf) else {
        found.push((Kind::Changed, "its text is none of an entry".to_owned()));
        return found;
    };
    if let Some(why) = difference(entry, proof, &text) {
        found.push((Kind::Changed, why));
    }
    if before.user.as_ref().is_some_and(|user| *user != text.user_id) {
        found.push((Kind::Changed, "it is another account's".to_owned()));
    }
    if Some(text.account_seq) != before.seq.checked_add(1) {
        let why = format!("number {} comes after number {}", text.account_seq, before.seq);
        found.push((Kind::Omitted, why));
    } else if text.prev_leaf != before.leaf {
        found.push((Kind::Omitted, "it follows another than the one before it".to_owned()));
    }
    *before = Before {
        seq: text.account_seq,
        leaf: digits(&leaf_hash(proof.leaf.as_bytes())),
        user: Some(text.user_id),
    };
    found
}

/// Why the chain does not vouch for the text of a proof, if it does not.
pub(super) fn is_anchored(proof: &Proof, memos: &[Memo]) -> Option<(Kind, String)> {
    let Some(root) = walked(proof) else {
        return Some((Kind::Changed, "its text does not lead to its root".to_owned()));
    };
    let mut there = memos.iter().filter(|it| it.transaction.to_string() == proof.anchor_tx_hash);
    if there.any(|memo| memo.anchor.root == root) {
        return None;
    }
    let why = "its anchor on the chain does not say its root, or is none";
    Some((Kind::NotOnChain, why.to_owned()))
}

/// In what the history is another than the text that was anchored: the text is written anew from it, and
/// must come out the same.
fn difference(entry: &Entry, proof: &Proof, text: &Text) -> Option<String> {
    let number = entry.entry_id.unwrap_or_default();
    let leaf = Leaf {
        account_seq: text.account_seq,
        amount: &entry.amount,
        balance_after: &entry.balance_after,
        created_at: &entry.created_at,
        direction: &entry.direction,
        entry_id: number,
        id: &entry.id,
        prev_leaf: &text.prev_leaf,
        reference_id: &entry.reference_id,
        source: &entry.source,
        unit: None,
        user_id: &text.user_id,
        v: 1,
    };
    let written = leaf.text();
    if written == proof.leaf {
        return None;
    }
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    let (here, there) = (read(&written), read(&proof.leaf));
    let named: Vec<&str> = MEMBERS.into_iter().filter(|name| here[*name] != there[*name]).collect();
    Some(match named.as_slice() {
        [] => "its text is not written as that of an entry is".to_owned(),
        named => format!("the history says another {}", named.join(", ")),
    })
}

#[cfg(test)]
#[path = "entries_tests.rs"]
mod tests;
