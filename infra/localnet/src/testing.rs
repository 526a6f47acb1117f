//! What no real cluster lets anyone do: hold a transaction back, drop one that was seen, set an
//! account, warp. For tests alone. Knows the chain's insides; nothing of JSON.

use std::collections::HashSet;

use solana_sdk::{
    account::Account,
    pubkey::Pubkey,
    signature::Signature,
    transaction::{TransactionError, VersionedTransaction},
};

use crate::{
    accounts::apply,
    chain::{Chain, ChainError, FINALIZED_AFTER, What},
    journal::{Change, Location, Record},
};

/// Held transactions and rules, each.
const HELD_MAX: usize = 1_000;

/// Which transactions are to be held back when they are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Rule {
    Signature(Signature),
    /// Every transaction that names this account in its static keys.
    Address(Pubkey),
}

impl Rule {
    fn covers(&self, transaction: &VersionedTransaction) -> bool {
        match self {
            Self::Signature(signature) => transaction.signatures.first() == Some(signature),
            Self::Address(address) => transaction.message.static_account_keys().contains(address),
        }
    }
}

/// Accepted transactions that are in no block. They outlive a restart; rules do not.
#[derive(Default)]
pub(crate) struct Held {
    transactions: Vec<VersionedTransaction>,
    rules: HashSet<Rule>,
}

impl Held {
    pub(crate) fn restore(&mut self, wire: &[u8]) {
        if let Ok(transaction) = bincode::deserialize(wire) {
            self.transactions.push(transaction);
        }
    }

    pub(crate) fn remove(&mut self, signature: &Signature) {
        self.transactions.retain(|held| held.signatures.first() != Some(signature));
    }

    fn covers(&self, transaction: &VersionedTransaction) -> bool {
        self.rules.iter().any(|rule| rule.covers(transaction))
            || self.transactions.iter().any(|held| held.signatures == transaction.signatures)
    }
}

/// What became of a released transaction.
pub(crate) struct Released {
    pub(crate) signature: Signature,
    /// Why it is in no block, if it is not.
    pub(crate) refused: Option<TransactionError>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum TestError {
    #[error("no transaction with this signature is in a block that is not finalized")]
    NotDroppable,
    #[error("a transaction with this signature is in a block already")]
    Landed,
    #[error("at most {HELD_MAX} can be held")]
    TooMany,
    #[error(transparent)]
    Chain(#[from] ChainError),
}

impl Chain {
    /// What sendTransaction does with a transaction that passed its checks: into the open block,
    /// or aside when a test asked for that.
    pub(crate) fn accept(&mut self, transaction: &VersionedTransaction) -> Result<(), ChainError> {
        if !self.held.covers(transaction) {
            return self.land(transaction);
        }
        let known = self.held.transactions.iter().any(|held| held == transaction);
        if known || self.held.transactions.len() >= HELD_MAX {
            return Ok(());
        }
        let wire = bincode::serialize(transaction)
            .map_err(|_| ChainError::Refused(TransactionError::SanitizeFailure))?;
        self.write(&[Record::Held { wire }], true)?;
        self.held.transactions.push(transaction.clone());
        Ok(())
    }

    pub(crate) fn hold(&mut self, rule: Rule) -> Result<(), TestError> {
        if let Rule::Signature(signature) = rule
            && self.ledger.find(&signature, u64::MAX).is_some()
        {
            return Err(TestError::Landed);
        }
        if self.held.rules.len() >= HELD_MAX {
            return Err(TestError::TooMany);
        }
        self.held.rules.insert(rule);
        Ok(())
    }

    pub(crate) fn held(&self) -> impl Iterator<Item = Signature> {
        self.held.transactions.iter().filter_map(|held| held.signatures.first().copied())
    }

    /// Ends a rule and lands what it covers, in the order of sending.
    pub(crate) fn release(&mut self, rule: Rule) -> Result<Vec<Released>, ChainError> {
        self.held.rules.remove(&rule);
        let (freed, kept) = std::mem::take(&mut self.held.transactions)
            .into_iter()
            .partition::<Vec<_>, _>(|held| rule.covers(held));
        self.held.transactions = kept;
        let mut released = Vec::with_capacity(freed.len());
        for transaction in freed {
            let signature = transaction.signatures.first().copied().unwrap_or_default();
            self.write(&[Record::Freed { signature }], true)?;
            let refused = match self.land(&transaction) {
                Ok(()) => None,
                Err(ChainError::Refused(why)) => Some(why),
                Err(cause) => return Err(cause),
            };
            released.push(Released { signature, refused });
        }
        Ok(released)
    }

    /// A held transaction whose blockhash is too old can never land: it is forgotten, like a
    /// cluster forgets it.
    pub(crate) fn expire_held(&mut self) -> Result<(), ChainError> {
        if self.held.transactions.is_empty() {
            return Ok(());
        }
        let tip = self.tip();
        let expired: Vec<_> = self
            .held
            .transactions
            .iter()
            .filter(|held| !self.is_blockhash_valid(held.message.recent_blockhash(), tip))
            .filter_map(|held| held.signatures.first().copied())
            .collect();
        for signature in expired {
            self.held.remove(&signature);
            self.write(&[Record::Freed { signature }], true)?;
        }
        Ok(())
    }

    pub(crate) fn set_account(
        &mut self,
        address: Pubkey,
        account: Option<Account>,
    ) -> Result<(), ChainError> {
        let slot = self.tip();
        let change = Change { address, account };
        let record = Record::AccountSet { slot, change: change.clone() };
        let offset = self.write(std::slice::from_ref(&record), true)?;
        apply(&mut self.svm, &mut self.undo, slot, &change);
        self.index(record, Location { offset, index: 0 });
        Ok(())
    }

    /// As if the cluster had switched to a fork without this transaction: it disappears, and
    /// whatever followed it happens again without it. Returns all that are gone by that, which
    /// may be more: what lived on its money cannot land any more.
    pub(crate) fn drop_transaction(
        &mut self,
        signature: &Signature,
    ) -> Result<Vec<Signature>, TestError> {
        let tip = self.tip();
        let slot = self
            .ledger
            .find(signature, u64::MAX)
            .map(|entry| entry.slot)
            .filter(|slot| slot + FINALIZED_AFTER > tip)
            .ok_or(TestError::NotDroppable)?;
        let from = self.recent.partition_point(|event| event.slot < slot);
        // Bodies are read before anything changes: a disk that fails here does no harm.
        let mut again = Vec::new();
        for event in self.recent.iter().skip(from) {
            let step = match &event.what {
                What::AccountSet(change) => Step::Set(change.clone()),
                What::Landed(landed, at) => {
                    let transaction = self.body_at(*at)?.transaction();
                    Step::Run(*landed, transaction.map(Box::new))
                }
            };
            again.push((event.slot, step));
        }

        self.recent.truncate(from);
        self.ledger.cut(slot);
        self.undo.roll_back(&mut self.svm, slot);
        let mut gone = vec![*signature];
        let mut records = vec![Record::RolledBack { slot }];
        for (slot, step) in again {
            match step {
                Step::Set(change) => {
                    apply(&mut self.svm, &mut self.undo, slot, &change);
                    records.push(Record::AccountSet { slot, change });
                }
                Step::Run(landed, _) if landed == *signature => {}
                Step::Run(landed, transaction) => {
                    match transaction.and_then(|transaction| self.run(&transaction, slot).ok()) {
                        Some(record) => records.push(record),
                        None => gone.push(landed),
                    }
                }
            }
        }
        let offset = self.write(&records, true)?;
        for (index, record) in records.into_iter().enumerate() {
            self.index(record, Location { offset, index: index as u32 });
        }
        Ok(gone)
    }
}

enum Step {
    Set(Change),
    Run(Signature, Option<Box<VersionedTransaction>>),
}
