//! Whether the anchors form a chain of roots, and whether the hub's list is that chain. Pure: it is given
//! what the chain says and what the hub says, and believes the chain.

use std::collections::{BTreeMap, HashMap, HashSet};

use framefair_domain::ledger::{Anchor, NOTHING_BEFORE, digits};
use framefair_domain::time::{MINUTE_MS, Timestamp};
use framefair_domain::wallet::TxSignature;

use super::finding::{Finding, Kind};
use crate::exit::plain;
use crate::hub::account::Listed;

/// A hub books an anchor a while after it is final, and batches that are on their way together land in any
/// order. What is younger may still be missing.
const YOUNG_MS: i64 = 10 * MINUTE_MS;
/// Characters of a signature.
const SIGNATURE_MAX: usize = 90;

/// An anchor as the chain has it: final, and signed by the authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Memo {
    pub(super) transaction: TxSignature,
    pub(super) slot: u64,
    pub(super) at: Option<Timestamp>,
    pub(super) anchor: Anchor,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Audited {
    pub(super) findings: Vec<Finding>,
    /// Batches that are on the chain.
    pub(super) batches: usize,
    /// Batches that are too young to be missed, on the chain or in the list.
    pub(super) on_their_way: u64,
}

/// `now` is the chain's time; where nobody knows it, nothing is young.
pub(super) fn audit(memos: &[Memo], listed: &[Listed], now: Option<Timestamp>) -> Audited {
    let mut audited = Audited::default();
    let mut batches: BTreeMap<u64, Vec<&Memo>> = BTreeMap::new();
    for memo in memos {
        batches.entry(memo.anchor.batch).or_default().push(memo);
    }
    let newest_listed = listed.iter().map(|it| it.batch).max().unwrap_or(0);
    let newest_old = memos.iter().filter(|memo| !is_young(memo, now)).map(|it| it.anchor.batch);
    let settled = newest_listed.max(newest_old.max().unwrap_or(0));
    audited.batches = batches.len();
    audited.numbers(&batches, settled);
    audited.roots(&batches);
    audited.list(memos, listed);
    let known: HashSet<u64> = listed.iter().map(|it| it.batch).collect();
    for n in batches.keys().filter(|n| !known.contains(n)) {
        if *n <= settled {
            let why = "it is on the chain, and the hub does not list it";
            audited.find(Kind::Hidden, *n, why);
        } else {
            audited.on_their_way += 1;
        }
    }
    audited
}

fn is_young(memo: &Memo, now: Option<Timestamp>) -> bool {
    let age = now.zip(memo.at).map(|(now, at)| now.since_ms(at));
    age.is_some_and(|age| age < YOUNG_MS)
}

impl Audited {
    fn find(&mut self, kind: Kind, batch: u64, why: impl Into<String>) {
        self.findings.push(Finding::new(kind, format!("batch {batch}"), why));
    }

    /// From 1, without gaps, each once.
    fn numbers(&mut self, batches: &BTreeMap<u64, Vec<&Memo>>, settled: u64) {
        let mut before = 0;
        for (n, memos) in batches {
            let missing = n.saturating_sub(before + 1);
            let (first, last) = (before + 1, n.saturating_sub(1));
            if *n == 0 {
                self.find(Kind::Gap, 0, "batches are numbered from 1");
            } else if missing > 0 && first > settled {
                self.on_their_way += missing;
            } else if missing > 0 {
                let of = match missing {
                    1 => format!("batch {first}"),
                    _ => format!("batches {first} to {last}"),
                };
                let why = format!("the chain has none, and has batch {n}");
                self.findings.push(Finding::new(Kind::Gap, of, why));
            }
            if let [first, others @ ..] = memos.as_slice() {
                for other in others {
                    let same = if other.anchor == first.anchor { "same" } else { "another" };
                    let (one, two) = (first.transaction, other.transaction);
                    let why = format!("{two} says the {same} anchor after {one}");
                    self.find(Kind::SecondMemo, *n, why);
                }
            }
            // The largest number there is has none after it.
            before = (*n).min(u64::MAX - 1);
        }
    }

    /// Each anchor names the root of the one before.
    fn roots(&mut self, batches: &BTreeMap<u64, Vec<&Memo>>) {
        for (n, memos) in batches.iter().filter(|(n, _)| **n > 0) {
            let before = batches.get(&(n - 1)).filter(|_| *n > 1);
            for memo in memos {
                let named = memo.anchor.previous;
                let fits = match before {
                    Some(before) => before.iter().any(|it| it.anchor.root == named),
                    // A root that nobody has said fits nothing; that is a gap, and found as one.
                    None => *n > 1 || named == NOTHING_BEFORE,
                };
                if !fits {
                    let why = format!("it names {}, and that is not it", digits(&named));
                    self.find(Kind::PreviousRoot, *n, why);
                }
            }
        }
    }

    /// Everything that the hub lists is on the chain as it says.
    fn list(&mut self, memos: &[Memo], listed: &[Listed]) {
        let mut by_transaction: HashMap<String, Vec<&Memo>> = HashMap::new();
        for memo in memos {
            by_transaction.entry(memo.transaction.to_string()).or_default().push(memo);
        }
        let mut known: HashMap<u64, &Listed> = HashMap::new();
        for it in listed {
            match known.insert(it.batch, it) {
                // A page moves on when something new comes above it.
                Some(same) if same == it => continue,
                Some(_) => self.find(Kind::ListedTwice, it.batch, "the hub lists two of them"),
                None => {}
            }
            let there = by_transaction.get(&it.tx_hash).map(Vec::as_slice).unwrap_or_default();
            let fitting = there.iter().find(|memo| memo.anchor.batch == it.batch);
            let Some(memo) = fitting.or(there.first()) else {
                let named = plain(&it.tx_hash, SIGNATURE_MAX);
                let why = format!("the authority has no final anchor {named} on the chain");
                self.find(Kind::NotOnChain, it.batch, why);
                continue;
            };
            let differing = differing(it, memo);
            if !differing.is_empty() {
                let why = format!("the hub says another {}", differing.join(", "));
                self.find(Kind::OtherOnChain, it.batch, why);
            }
        }
    }
}

fn differing(listed: &Listed, memo: &Memo) -> Vec<&'static str> {
    let Anchor { batch, leaves, root, previous } = memo.anchor;
    let members = [
        ("number", listed.batch == batch),
        ("root", listed.merkle_root == digits(&root)),
        ("previous root", listed.previous_root == digits(&previous)),
        ("number of entries", listed.entry_count == u64::from(leaves)),
        ("slot", listed.block_number == memo.slot),
    ];
    members.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect()
}

#[cfg(test)]
#[path = "anchors_tests.rs"]
mod tests;
