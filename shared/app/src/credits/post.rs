//! One movement of credits, exactly once: a claim of its reference, the entry, the balance after it, and
//! the use of the day, all in one transaction.

use std::time::Duration;

use framefair_domain::credits::Credits;
use framefair_domain::id::{EntryId, UserId};
use framefair_store::rows::{BalanceRow, Direction, EntryRow, OnceRow, Source};
use framefair_store::{Key, TransactFailed, Update, When, Write, keys};

use super::balance;
use super::day::Day;
use crate::ledger::leaf;
use crate::{Broken, Call, Ctx, Refusal};

/// Somebody else moved the same balance: tried again so often, with pauses that double and come to five
/// seconds at most.
const TRIES: u32 = 8;
const FIRST_PAUSE_MS: u64 = 20;
/// Its place among the writes.
const CLAIM: usize = 0;

pub(super) struct Posting {
    pub(super) user: UserId,
    /// References of two kinds never meet.
    pub(super) kind: &'static str,
    pub(super) reference: String,
    pub(super) amount: Credits,
    pub(super) direction: Direction,
    pub(super) source: Source,
    pub(super) description: Option<String>,
}

impl Posting {
    fn once(&self) -> Key {
        keys::once(self.user, self.kind, &self.reference)
    }
}

/// Repeated with the same reference and amount it is answered with the first entry.
pub(super) async fn post(ctx: &Ctx, call: &mut Call, wish: Posting) -> Result<EntryRow, Refusal> {
    let _turn = ctx.turns.take(wish.user).await;
    for tried in 0..TRIES {
        let mut balance = balance(ctx, wish.user).await?;
        let available = balance.available;
        if wish.direction == Direction::Debit && wish.amount > available {
            let short = Refusal::InsufficientCredits { available, requested: wish.amount };
            return posted(ctx, &wish).await?.ok_or(short);
        }
        let entry = next_entry(ctx, call, &wish, &mut balance).await?;
        let claim = OnceRow { key: Some(wish.once()), seq: entry.seq, amount: wish.amount };
        let mut writes = vec![
            Write::put(&claim, When::Absent),
            Write::put(&entry, When::Absent),
            Write::put(&balance, When::Rev(balance.rev - 1)),
        ];
        if entry.source == Source::Usage {
            writes.push(use_of(&entry));
        }
        match ctx.store.transact(writes).await {
            Ok(()) => return Ok(entry),
            Err(TransactFailed::Conditions(failed)) if failed.contains(&CLAIM) => {
                let first = posted(ctx, &wish).await?;
                return Ok(first.ok_or_else(|| Broken("a claim of credits is gone".into()))?);
            }
            Err(TransactFailed::Conditions(_) | TransactFailed::Contended) => {}
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

/// Moves the balance and says what is to be written down about it.
async fn next_entry(
    ctx: &Ctx,
    call: &mut Call,
    wish: &Posting,
    balance: &mut BalanceRow,
) -> Result<EntryRow, Refusal> {
    let moved = match wish.direction {
        Direction::Credit => balance.available.checked_add(wish.amount),
        Direction::Debit => balance.available.checked_sub(wish.amount),
    };
    let after = moved.and_then(|available| {
        balance.available = available;
        available.checked_add(balance.held)
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
