//! Which transactions landed, in what order, and whom they touched. An index in memory; bodies
//! stay in the journal. Knows nothing of commitment: callers say up to which slot they may see.

use std::collections::HashMap;

use solana_sdk::{pubkey::Pubkey, signature::Signature, transaction::TransactionError};

use crate::journal::{Landed, Location};

pub(crate) struct Entry {
    pub(crate) signature: Signature,
    pub(crate) slot: u64,
    /// Place in its block.
    pub(crate) index: u32,
    pub(crate) err: Option<TransactionError>,
    pub(crate) memo: Option<String>,
    pub(crate) at: Location,
    keys: Vec<Pubkey>,
}

/// Entries ascend by (slot, index), so a rollback is a cut.
#[derive(Default)]
pub(crate) struct Ledger {
    entries: Vec<Entry>,
    by_signature: HashMap<Signature, u32>,
    by_address: HashMap<Pubkey, Vec<u32>>,
}

impl Ledger {
    pub(crate) fn push(&mut self, landed: &Landed, at: Location) {
        let number = self.entries.len() as u32;
        let index = match self.entries.last() {
            Some(last) if last.slot == landed.slot => last.index + 1,
            _ => 0,
        };
        self.by_signature.insert(landed.signature, number);
        let mut keys = landed.keys.clone();
        keys.sort_unstable();
        keys.dedup();
        for key in &keys {
            self.by_address.entry(*key).or_default().push(number);
        }
        self.entries.push(Entry {
            signature: landed.signature,
            slot: landed.slot,
            index,
            err: landed.err.clone(),
            memo: landed.memo.clone(),
            at,
            keys,
        });
    }

    pub(crate) fn find(&self, signature: &Signature, up_to: u64) -> Option<&Entry> {
        let number = *self.by_signature.get(signature)?;
        self.entries.get(number as usize).filter(|entry| entry.slot <= up_to)
    }

    /// Newest first.
    pub(crate) fn of_address<'a>(
        &'a self,
        address: &Pubkey,
        up_to: u64,
    ) -> impl Iterator<Item = &'a Entry> {
        self.by_address
            .get(address)
            .into_iter()
            .flatten()
            .rev()
            .filter_map(|number| self.entries.get(*number as usize))
            .filter(move |entry| entry.slot <= up_to)
    }

    /// How many landed up to and including `slot`.
    pub(crate) fn count(&self, slot: u64) -> usize {
        self.entries.partition_point(|entry| entry.slot <= slot)
    }

    /// Forgets everything in `slot` and later; returns what was forgotten, oldest first.
    pub(crate) fn cut(&mut self, slot: u64) -> Vec<Entry> {
        let from = self.entries.partition_point(|entry| entry.slot < slot);
        let gone = self.entries.split_off(from);
        for entry in &gone {
            self.by_signature.remove(&entry.signature);
            for key in &entry.keys {
                if let Some(numbers) = self.by_address.get_mut(key) {
                    numbers.retain(|number| (*number as usize) < from);
                }
            }
        }
        gone
    }
}
