//! One movement of credits, exactly once: a claim of its reference, the entry, the balance after it, and
//! the use of the day, all in one transaction.

use std::time::Duration;

use framefair_domain::credits::Credits;
use framefair_domain::id::{EntryId, UserId};
use framefair_store::rows::{BalanceRow, Direction, EntryRow, OnceRow, Source};
use framefair_store::{Check, Key, TransactFailed, Update, When, Write, keys};

use super::balance;
use super::day::Day;
use crate::ledger::leaf;
use crate::{Broken, Call, Ctx, Refusal};

/// Somebody else moved the same balance: tried again so often, with pauses that double and come to five
/// seconds at most.
const TRIES: u32 = 8;
const FIRST_PAUSE_MS: u64 = 20;

pub(crate) struct Posting {
    pub(crate) user: UserId,
    /// References of two kinds never meet.
    pub(crate) kind: &'static str,
    pub(crate) reference: String,
    pub(crate) amount: Credits,
    pub(crate) direction: Direction,
    pub(crate) source: Source,
    pub(crate) description: Option<String>,
    pub(crate) draws_on: DrawsOn,
}

/// Where a debit takes its amount from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DrawsOn {
    /// What is free, and never more than that.
    Free,
    /// What is free, even below zero: money that is gone already is taken back all the same.
    Debt,
    /// What was held for a job, which is complete with that.
    Hold,
}

impl Posting {
    fn once(&self) -> Key {
        keys::once(self.user, self.kind, &self.reference)
    }
}

/// Repeated with the same reference and amount it is answered with the first entry.
pub(crate) async fn post(ctx: &Ctx, call: &mut Call, wish: Posting) -> Result<EntryRow, Refusal> {
    post_with(ctx, call, &wish, &[]).await?.ok_or(Refusal::Busy)
}

/// The same in one transaction with `others`. None if a condition of one of those does not hold: then
/// nothing was written.
pub(crate) async fn post_with(
    ctx: &Ctx,
    call: &mut Call,
    wish: &Posting,
    others: &[Write],
) -> Result<Option<EntryRow>, Refusal> {
    let _turn = ctx.turns.take(wish.user).await;
    for tried in 0..TRIES {
        let mut balance = balance(ctx, wish.user).await?;
        let available = balance.available;
        let is_free_debit = wish.direction == Direction::Debit && wish.draws_on == DrawsOn::Free;
        if is_free_debit && wish.amount > available {
            let short = Refusal::InsufficientCredits { available, requested: wish.amount };
            return posted(ctx, wish).await?.ok_or(short).map(Some);
        }
        let entry = next_entry(ctx, call, wish, &mut balance).await?;
        let once = OnceRow { key: Some(wish.once()), seq: entry.seq, amount: wish.amount };
        // The others stand first: where one of them fails, what else fails says nothing.
        let mut writes = others.to_vec();
        let claim = writes.len();
        writes.extend([
            Write::put(&once, When::Absent),
            Write::put(&entry, When::Absent),
            moved(wish, &balance).into(),
        ]);
        if entry.source == Source::Usage {
            writes.push(use_of(&entry));
        }
        match ctx.store.transact(writes).await {
            Ok(()) => {
                if entry.source == Source::Usage {
                    ctx.metrics.credits_consumed(entry.amount);
                }
                return Ok(Some(entry));
            }
            Err(TransactFailed::Conditions(failed)) if failed.iter().any(|leg| *leg < claim) => {
                return Ok(None);
            }
            Err(TransactFailed::Conditions(failed)) if failed.contains(&claim) => {
                let first = posted(ctx, wish).await?;
                return Ok(Some(first.ok_or_else(|| Broken("a claim of credits is gone".into()))?));
            }
            Err(TransactFailed::Conditions(_)) => {}
            // What stays contended was tried for long enough.
            Err(other) => return Err(other.into()),
        }
        // Full jitter.
        let pause = call.lot() % (FIRST_PAUSE_MS << tried);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    Err(Refusal::Busy)
}

/// The entry that this reference wrote before, if it did.
async fn posted(ctx: &Ctx, wish: &Posting) -> Result<Option<EntryRow>, Refusal> {
    let Some(claim) = ctx.store.get::<OnceRow>(&wish.once()).await? else { return Ok(None) };
    if claim.amount != wish.amount {
        return Err(Refusal::ReferenceReused);
    }
    let entry = ctx.store.get(&keys::entry(wish.user, claim.seq)).await?;
    Ok(Some(entry.ok_or_else(|| Broken("a claimed entry of credits is gone".into()))?))
}

/// What the posting changes of the balance, which has counted it already.
fn moved(wish: &Posting, balance: &BalanceRow) -> Update {
    let amount = wish.amount.0;
    match (wish.direction, wish.draws_on) {
        (Direction::Credit, _) => balance.after_entry(amount, 0),
        (Direction::Debit, DrawsOn::Hold) => balance.after_entry(0, -amount).add("completed", 1),
        (Direction::Debit, DrawsOn::Debt) => balance.after_entry(-amount, 0),
        // A hold may have come in between.
        (Direction::Debit, DrawsOn::Free) => {
            balance.after_entry(-amount, 0).require(Check::at_least("available", amount))
        }
    }
}

/// Counts the posting in the balance and says what is to be written down about it.
async fn next_entry(
    ctx: &Ctx,
    call: &mut Call,
    wish: &Posting,
    balance: &mut BalanceRow,
) -> Result<EntryRow, Refusal> {
    let before = balance.available.checked_add(balance.held);
    let after = before.and_then(|before| match wish.direction {
        Direction::Credit => before.checked_add(wish.amount),
        Direction::Debit => before.checked_sub(wish.amount),
    });
    let balance_after = after.ok_or_else(|| Refusal::invalid("no account holds that much"))?;
    balance.rev += 1;
    balance.entries += 1;
    balance.updated = call.now;
    let entry = EntryRow {
        user: wish.user,
        seq: balance.entries,
        id: numbered(call, balance.entries),
        number: ctx.numbers.take(ctx).await?,
        amount: wish.amount,
        direction: wish.direction,
        source: wish.source,
        reference: wish.reference.clone(),
        balance_after,
        prev_leaf: balance.last_leaf,
        sealed: None,
        description: wish.description.clone(),
        created: call.now,
    };
    balance.last_leaf = leaf(&entry).1;
    Ok(entry)
}

/// An id that ends in the place of the entry in its account, so that it is found by its id.
fn numbered(call: &mut Call, seq: u64) -> EntryId {
    let mut entropy: [u8; 10] = call.entropy();
    entropy[5..].copy_from_slice(&seq.to_be_bytes()[3..]);
    EntryId::new(call.now, entropy)
}

/// Where in its account an entry of this id would stand.
pub(crate) fn place_of(id: EntryId) -> u64 {
    let mut seq = [0; 8];
    seq[3..].copy_from_slice(&id.0.as_bytes()[11..]);
    u64::from_be_bytes(seq)
}

fn use_of(entry: &EntryRow) -> Write {
    let day = Day::of(entry.created);
    let update = Update::at(keys::usage(entry.user, &day.month()), When::Always);
    update.set("month", day.month()).add(day.attribute().as_str(), entry.amount.0).into()
}
