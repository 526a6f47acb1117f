//! The chain: slots, blocks and what is in them, as one value behind one lock. Knows the rules by
//! which a transaction lands, is seen, is final, or is undone; nothing of JSON or sockets.

use std::{collections::VecDeque, io, path::Path};

use litesvm::LiteSVM;
use solana_rpc_client_types::config::CommitmentLevel;
use solana_sdk::{
    account::Account,
    clock::Clock,
    hash::Hash,
    pubkey::Pubkey,
    signature::{Signature, Signer},
    slot_hashes::{MAX_ENTRIES, SlotHashes},
    transaction::{TransactionError, VersionedTransaction},
};

use crate::{
    accounts::{Undo, apply, put},
    blockhash::{BLOCKHASH_AGE_MAX, Blockhashes},
    clock::{BIRTH_SLOT, FIRST_SLOT, Now, SLOTS_PER_EPOCH, Segment, SlotClock},
    execute::{Body, Executed, execute},
    journal::{Change, Journal, JournalError, Location, Record},
    ledger::{Entry, Ledger},
    testing::Held,
};

const JOURNAL_VERSION: u32 = 1;
/// A block is confirmed when this many have followed it.
pub const CONFIRMED_AFTER: u64 = 1;
/// A block is finalized when this many have followed it.
pub const FINALIZED_AFTER: u64 = 32;
/// The most that a lagging view may lag.
pub const LAG_SLOTS_MAX: u64 = 1_024;
/// How far back accounts can be read.
pub(crate) const UNDO_SLOTS: u64 = FINALIZED_AFTER + LAG_SLOTS_MAX;
/// Five hundred million SOL, about what a real cluster has.
const FAUCET_LAMPORTS: u64 = 500_000_000 * 1_000_000_000;

/// Something that happened in a slot that is not final: what a rollback has to do over.
pub(crate) struct Event {
    pub(crate) slot: u64,
    pub(crate) what: What,
}

pub(crate) enum What {
    Landed(Signature, Location),
    AccountSet(Change),
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ChainError {
    #[error("{0}")]
    Refused(#[from] TransactionError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("the chain is stopped")]
    Stopped,
    #[error("the chain's memory and its disk have parted: restart it")]
    Broken,
}

pub(crate) struct Chain {
    pub(crate) svm: LiteSVM,
    pub(crate) hashes: Blockhashes,
    pub(crate) clock: SlotClock,
    pub(crate) undo: Undo,
    pub(crate) ledger: Ledger,
    pub(crate) recent: VecDeque<Event>,
    pub(crate) held: Held,
    journal: Option<Journal>,
    /// A write failed half-way: what is on disk is the truth and memory is not.
    broken: bool,
    /// Which slot the clock and the slot hashes on the virtual machine stand for.
    sysvars_at: Option<u64>,
}

/// What a journal says, gathered record by record.
#[derive(Default)]
struct Replay {
    seed: Option<[u8; 32]>,
    segments: Vec<Segment>,
    undo: Undo,
    ledger: Ledger,
    recent: VecDeque<Event>,
    held: Held,
    tip: u64,
}

impl Replay {
    fn take(
        &mut self,
        svm: &mut LiteSVM,
        at: Location,
        record: Record,
    ) -> Result<(), JournalError> {
        match record {
            Record::Genesis { version: JOURNAL_VERSION, seed } => self.seed = Some(seed),
            Record::Genesis { .. } => return Err(JournalError::Version),
            Record::Segment(segment) => {
                self.tip = self.tip.max(segment.slot);
                self.segments.push(segment);
            }
            Record::Landed(landed) => {
                self.reach(landed.slot);
                for change in &landed.changes {
                    apply(svm, &mut self.undo, landed.slot, change);
                }
                self.ledger.push(&landed, at);
                let what = What::Landed(landed.signature, at);
                self.recent.push_back(Event { slot: landed.slot, what });
            }
            Record::AccountSet { slot, change } => {
                self.reach(slot);
                apply(svm, &mut self.undo, slot, &change);
                self.recent.push_back(Event { slot, what: What::AccountSet(change) });
            }
            Record::RolledBack { slot } => {
                self.undo.roll_back(svm, slot);
                self.ledger.cut(slot);
                self.recent.retain(|event| event.slot < slot);
            }
            Record::Held { wire } => self.held.restore(&wire),
            Record::Freed { signature } => self.held.remove(&signature),
        }
        Ok(())
    }

    fn reach(&mut self, slot: u64) {
        self.tip = self.tip.max(slot);
        self.undo.forget_before(self.tip.saturating_sub(UNDO_SLOTS));
        forget_final(&mut self.recent, self.tip);
    }
}

impl Chain {
    /// Opens the chain in `folder`, or makes one there. `seed` counts only for a new chain.
    pub(crate) fn open(
        folder: &Path,
        slot_ms: u64,
        seed: [u8; 32],
        now: Now,
    ) -> Result<Self, JournalError> {
        // Signatures and blockhashes are checked here, by rules that the machine does not have.
        let mut svm = LiteSVM::new()
            .with_sigverify(false)
            .with_blockhash_check(false)
            .with_transaction_history(0);
        let mut replay = Replay::default();
        let (mut journal, newest) = Journal::open(folder, |at, record| {
            let first = replay.seed.is_none();
            replay.take(&mut svm, at, record)?;
            match replay.seed {
                Some(seed) if first => endow_faucet(&mut svm, &Blockhashes::new(seed)),
                Some(_) => {}
                None => return Err(JournalError::Damaged(at.offset)),
            }
            Ok(())
        })?;
        let (seed, tip) = match replay.seed {
            Some(seed) => (seed, replay.tip.max(newest.unwrap_or(0)) + 1),
            None => {
                debug_assert!(journal.is_empty());
                journal.append(&[Record::Genesis { version: JOURNAL_VERSION, seed }], true)?;
                endow_faucet(&mut svm, &Blockhashes::new(seed));
                (seed, BIRTH_SLOT)
            }
        };
        let clock = SlotClock::resume(replay.segments, tip, slot_ms, now);
        journal.append(&[Record::Segment(clock.segment())], true)?;
        let mut chain = Self {
            svm,
            hashes: Blockhashes::new(seed),
            clock,
            undo: replay.undo,
            ledger: replay.ledger,
            recent: replay.recent,
            held: replay.held,
            journal: Some(journal),
            broken: false,
            sysvars_at: None,
        };
        chain.settle().map_err(|cause| match cause {
            ChainError::Journal(cause) => cause,
            other => io::Error::other(other.to_string()).into(),
        })?;
        Ok(chain)
    }

    /// Lets go of the data folder. Everything that needs the disk fails from here on.
    pub(crate) fn close(&mut self) {
        if let Some(journal) = self.journal.take()
            && let Err(cause) = journal.sync()
        {
            tracing::warn!(%cause, "the chain's journal was not synced");
        }
    }

    pub(crate) fn tip(&self) -> u64 {
        self.clock.tip()
    }

    /// Moves to the slot that `now` falls in; true when that is another one.
    pub(crate) fn tick(&mut self, now: Now) -> Result<bool, ChainError> {
        let before = self.tip();
        if self.clock.advance(now) {
            self.write(&[Record::Segment(self.clock.segment())], false)?;
        }
        if self.tip() != before {
            self.settle()?;
        }
        Ok(self.tip() != before)
    }

    pub(crate) fn warp(&mut self, slots: u64, seconds: u32, now: Now) -> Result<(), ChainError> {
        self.clock.warp(slots, seconds, now);
        self.write(&[Record::Segment(self.clock.segment())], true)?;
        self.settle()
    }

    /// What a new slot brings: hashes to know, history to forget. Touches no account.
    fn settle(&mut self) -> Result<(), ChainError> {
        let tip = self.tip();
        self.hashes.advance(tip);
        self.undo.forget_before(tip.saturating_sub(UNDO_SLOTS));
        forget_final(&mut self.recent, tip);
        self.journal()?.note_slot(tip)?;
        self.expire_held()
    }

    /// The newest slot seen at `level` by someone who lags by `lag`.
    pub(crate) fn slot_at(&self, level: CommitmentLevel, lag: u64) -> u64 {
        let behind = match level {
            CommitmentLevel::Processed => 0,
            CommitmentLevel::Confirmed => CONFIRMED_AFTER,
            CommitmentLevel::Finalized => FINALIZED_AFTER,
        };
        self.tip().saturating_sub(behind + lag).max(FIRST_SLOT)
    }

    /// Whether a transaction that names `hash` may be in the block of `slot`.
    pub(crate) fn is_blockhash_valid(&self, hash: &Hash, slot: u64) -> bool {
        self.hashes
            .slot_of(hash)
            .is_some_and(|born| born <= slot && slot - born <= BLOCKHASH_AGE_MAX)
    }

    /// What can be said against `transaction` in `slot` without running it.
    pub(crate) fn check(
        &self,
        transaction: &VersionedTransaction,
        slot: u64,
    ) -> Result<(), TransactionError> {
        if !self.is_blockhash_valid(transaction.message.recent_blockhash(), slot) {
            return Err(TransactionError::BlockhashNotFound);
        }
        match transaction.signatures.first() {
            Some(signature) if self.ledger.find(signature, slot).is_some() => {
                Err(TransactionError::AlreadyProcessed)
            }
            _ => Ok(()),
        }
    }

    /// Puts `transaction` into the open block. `Refused`: it cannot be there and nothing changed.
    pub(crate) fn land(&mut self, transaction: &VersionedTransaction) -> Result<(), ChainError> {
        let slot = self.tip();
        self.journal()?;
        self.check(transaction, slot)?;
        if !transaction.verify_with_results().iter().all(|valid| *valid) {
            return Err(TransactionError::SignatureFailure.into());
        }
        let record = self.run(transaction, slot)?;
        let offset = self.write(std::slice::from_ref(&record), true)?;
        self.index(record, Location { offset, index: 0 });
        Ok(())
    }

    /// Runs a transaction in `slot` and remembers how to undo it; writes nothing.
    pub(crate) fn run(
        &mut self,
        transaction: &VersionedTransaction,
        slot: u64,
    ) -> Result<Record, TransactionError> {
        self.sync_sysvars(slot);
        let Executed { landed, before } = execute(&mut self.svm, transaction, slot)?;
        for (change, before) in landed.changes.iter().zip(before) {
            self.undo.remember(slot, change.address, before);
        }
        Ok(Record::Landed(landed))
    }

    /// Makes a record that was run, and is on disk at `at`, part of history.
    pub(crate) fn index(&mut self, record: Record, at: Location) {
        match record {
            Record::Landed(landed) => {
                self.ledger.push(&landed, at);
                let what = What::Landed(landed.signature, at);
                self.recent.push_back(Event { slot: landed.slot, what });
            }
            Record::AccountSet { slot, change } => {
                self.recent.push_back(Event { slot, what: What::AccountSet(change) });
            }
            _ => {}
        }
    }

    pub(crate) fn account_at(&mut self, address: &Pubkey, slot: u64) -> Option<Account> {
        self.sync_sysvars(self.tip());
        self.undo.account_at(&self.svm, address, slot)
    }

    /// The transaction behind `entry`, with its metadata.
    pub(crate) fn body(&self, entry: &Entry) -> Result<Body, ChainError> {
        self.body_at(entry.at)
    }

    pub(crate) fn body_at(&self, at: Location) -> Result<Body, ChainError> {
        let journal = self.journal.as_ref().ok_or(ChainError::Stopped)?;
        let Record::Landed(landed) = journal.read(at)? else {
            return Err(JournalError::Damaged(at.offset).into());
        };
        bincode::deserialize(&landed.body).map_err(|_| JournalError::Damaged(at.offset).into())
    }

    /// Appends to the journal. Memory is ahead of it here, so a failure ends this chain's life.
    pub(crate) fn write(&mut self, records: &[Record], durable: bool) -> Result<u64, ChainError> {
        let written = self.journal()?.append(records, durable);
        written.map_err(|cause| {
            self.broken = true;
            tracing::error!(%cause, "the chain's journal could not be written");
            ChainError::Journal(cause)
        })
    }

    /// Whether what is in memory is also on disk.
    pub(crate) fn check_health(&self) -> Result<(), ChainError> {
        match (self.broken, &self.journal) {
            (true, _) => Err(ChainError::Broken),
            (false, None) => Err(ChainError::Stopped),
            (false, Some(_)) => Ok(()),
        }
    }

    fn journal(&mut self) -> Result<&mut Journal, ChainError> {
        self.check_health()?;
        self.journal.as_mut().ok_or(ChainError::Stopped)
    }

    /// Makes programs see `slot`. Done before they run rather than at every tick, so that an idle
    /// chain costs nothing.
    pub(crate) fn sync_sysvars(&mut self, slot: u64) {
        if self.sysvars_at == Some(slot) {
            return;
        }
        let epoch = slot / SLOTS_PER_EPOCH;
        self.svm.set_sysvar(&Clock {
            slot,
            epoch_start_timestamp: self.clock.time(epoch * SLOTS_PER_EPOCH),
            epoch,
            leader_schedule_epoch: epoch + 1,
            unix_timestamp: self.clock.time(slot),
        });
        let oldest = slot.saturating_sub(MAX_ENTRIES as u64).max(FIRST_SLOT);
        let hashes: Vec<_> =
            (oldest..slot).rev().map(|slot| (slot, self.hashes.of(slot))).collect();
        self.svm.set_sysvar(&SlotHashes::new(&hashes));
        self.sysvars_at = Some(slot);
    }
}

fn forget_final(recent: &mut VecDeque<Event>, tip: u64) {
    while recent.front().is_some_and(|event| event.slot + FINALIZED_AFTER <= tip) {
        recent.pop_front();
    }
}

fn endow_faucet(svm: &mut LiteSVM, hashes: &Blockhashes) {
    let faucet = Account { lamports: FAUCET_LAMPORTS, ..Account::default() };
    put(svm, hashes.faucet().pubkey(), Some(faucet));
}
