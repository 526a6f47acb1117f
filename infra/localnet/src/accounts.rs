//! Accounts as they were at the end of any recent slot, by undoing what came after. Knows which
//! account changed when; nothing of why.

use std::collections::{BTreeMap, HashMap};

use litesvm::LiteSVM;
use solana_sdk::{account::Account, pubkey::Pubkey};

use crate::journal::Change;

/// For each slot with changes: every account changed in it, as it was before the slot.
#[derive(Default)]
pub(crate) struct Undo {
    before: BTreeMap<u64, HashMap<Pubkey, Option<Account>>>,
}

impl Undo {
    /// Remembers `account` as the state of `address` before `slot`, unless the slot already did.
    pub(crate) fn remember(&mut self, slot: u64, address: Pubkey, account: Option<Account>) {
        self.before.entry(slot).or_default().entry(address).or_insert(account);
    }

    /// Forgets how to go back to before `slot`.
    pub(crate) fn forget_before(&mut self, slot: u64) {
        while self.before.first_key_value().is_some_and(|(oldest, _)| *oldest < slot) {
            self.before.pop_first();
        }
    }

    /// The account at the end of `slot`.
    pub(crate) fn account_at(&self, svm: &LiteSVM, address: &Pubkey, slot: u64) -> Option<Account> {
        for changed in self.before.range(slot + 1..).map(|(_, changed)| changed) {
            if let Some(account) = changed.get(address) {
                return account.clone();
            }
        }
        svm.get_account(address)
    }

    /// What has to be put back to stand at the end of `slot`.
    fn since(&self, slot: u64) -> HashMap<Pubkey, Option<Account>> {
        let mut accounts = HashMap::new();
        for changed in self.before.range(slot + 1..).map(|(_, changed)| changed) {
            for (address, account) in changed {
                accounts.entry(*address).or_insert_with(|| account.clone());
            }
        }
        accounts
    }

    /// Puts every account back to where it was before `slot`, for good.
    pub(crate) fn roll_back(&mut self, svm: &mut LiteSVM, slot: u64) {
        for (address, account) in self.since(slot.saturating_sub(1)) {
            put(svm, address, account);
        }
        self.before.split_off(&slot);
    }

    /// Runs `look` on the accounts as they were at the end of `slot`. Costs what changed since.
    pub(crate) fn look_at<T>(
        &self,
        svm: &mut LiteSVM,
        slot: u64,
        look: impl FnOnce(&LiteSVM) -> T,
    ) -> T {
        let past = self.since(slot);
        let present: Vec<_> = past.keys().map(|key| (*key, svm.get_account(key))).collect();
        for (address, account) in past {
            put(svm, address, account);
        }
        let seen = look(svm);
        for (address, account) in present {
            put(svm, address, account);
        }
        seen
    }
}

/// Applies a change that happened in `slot`, remembering what it replaces.
pub(crate) fn apply(svm: &mut LiteSVM, undo: &mut Undo, slot: u64, change: &Change) {
    undo.remember(slot, change.address, svm.get_account(&change.address));
    put(svm, change.address, change.account.clone());
}

/// Sets or removes an account. The virtual machine removes accounts without lamports.
pub(crate) fn put(svm: &mut LiteSVM, address: Pubkey, account: Option<Account>) {
    if let Err(cause) = svm.set_account(address, account.unwrap_or_default()) {
        // Only a broken program or sysvar is refused; transfers never make one.
        tracing::warn!(%address, %cause, "an account could not be set");
    }
}
