//! The hashes of blocks, and for how long a transaction may name one. No state but a seed.
//!
//! Every hash follows from the chain's random seed and a slot: none can be guessed from outside,
//! all are the same after a restart, and none has to be stored.

use std::collections::HashMap;

use sha2::{Digest, Sha256};
use solana_sdk::{hash::Hash, signature::Keypair};

use crate::clock::FIRST_SLOT;

/// A transaction may land while its blockhash is at most this many blocks old.
pub const BLOCKHASH_AGE_MAX: u64 = 150;
/// Hashes older than this are of no use to anyone, lagging views included.
const WINDOW: u64 = BLOCKHASH_AGE_MAX + crate::chain::UNDO_SLOTS;

pub(crate) struct Blockhashes {
    seed: [u8; 32],
    slots: HashMap<Hash, u64>,
    /// Hashes of all slots in `from..to` are in `slots`.
    from: u64,
    to: u64,
}

impl Blockhashes {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self { seed, slots: HashMap::new(), from: FIRST_SLOT, to: FIRST_SLOT }
    }

    pub(crate) fn genesis(&self) -> Hash {
        derive(&self.seed, b"genesis", 0)
    }

    /// Who gives airdrops.
    pub(crate) fn faucet(&self) -> Keypair {
        Keypair::new_from_array(derive(&self.seed, b"faucet", 0).to_bytes())
    }

    pub(crate) fn of(&self, slot: u64) -> Hash {
        derive(&self.seed, b"block", slot)
    }

    /// The slot that `hash` closed, if that was before `tip` and not long ago.
    pub(crate) fn slot_of(&self, hash: &Hash) -> Option<u64> {
        self.slots.get(hash).copied()
    }

    /// Makes the hashes of all complete slots known: those before `tip`.
    pub(crate) fn advance(&mut self, tip: u64) {
        let from = tip.saturating_sub(WINDOW).max(FIRST_SLOT);
        for slot in self.from..from.min(self.to) {
            self.slots.remove(&self.of(slot));
        }
        for slot in self.to.max(from)..tip {
            let hash = self.of(slot);
            self.slots.insert(hash, slot);
        }
        self.from = self.from.max(from);
        self.to = self.to.max(tip);
    }
}

fn derive(seed: &[u8; 32], what: &[u8], slot: u64) -> Hash {
    let digest = Sha256::new()
        .chain_update(seed)
        .chain_update(what)
        .chain_update(slot.to_le_bytes())
        .finalize();
    Hash::new_from_array(digest.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_holds_what_may_still_be_asked_for_and_no_more() {
        let mut hashes = Blockhashes::new([7; 32]);
        for tip in [FIRST_SLOT + 32, FIRST_SLOT + 33, FIRST_SLOT + 10_000, FIRST_SLOT + 10_001] {
            hashes.advance(tip);
            assert!(hashes.slots.len() as u64 <= WINDOW);
            assert_eq!(hashes.slot_of(&hashes.of(tip - 1)), Some(tip - 1));
            assert_eq!(hashes.slot_of(&hashes.of(tip)), None, "an open block has no hash");
            assert_eq!(hashes.slot_of(&hashes.of(tip - WINDOW - 1)), None);
        }
        assert_eq!(hashes.slots.len() as u64, WINDOW);
    }
}
