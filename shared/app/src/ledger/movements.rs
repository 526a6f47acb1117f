//! What moves in escrow is told as entries of one account, in the order of the chain, and sealed with all
//! others. Nothing of it is on the way of a payment: the chain has it all, and is read behind everybody.

use framefair_chain::{ChainError, Commitment, Seen, UNSUPPORTED_VERSION};
use framefair_domain::id::EntryId;
use framefair_domain::ledger::{Leaf, NOTHING_BEFORE, digits};
use framefair_domain::merkle::Hash;
use framefair_domain::money::Lamports;
use framefair_domain::settlement::SettlementId;
use framefair_domain::time::MINUTE_MS;
use framefair_store::rows::{
    Cause, ClaimRow, Direction, Inbound, InflowRow, MovementRow, MovementsRow, OutflowRow, Unbooked,
};
use framefair_store::{When, Write, keys};

use crate::watch::since;
use crate::write::Done;
use crate::{Broken, Call, Ctx, Refusal};

const UNIT: &str = "lamports";
/// Looked at before what was found is written, in one transaction, and so often in one call.
const TOGETHER: usize = 20;
const TURNS_MAX: usize = 10;
/// A final movement that is in no book after this time and so many looks is told as what it is: in no book.
const BOOKED_WITHIN_MS: i64 = 10 * MINUTE_MS;
const LOOKS_MIN: u32 = 10;

/// What is anchored of a movement.
pub(super) fn leaf(row: &MovementRow) -> (String, Hash) {
    Leaf {
        account_seq: row.seq,
        amount: &row.amount.0.to_string(),
        balance_after: &row.balance_after.to_string(),
        created_at: &row.created.to_rfc3339(),
        direction: row.direction.word(),
        entry_id: row.number,
        id: &row.id.to_string(),
        prev_leaf: &digits(&row.prev_leaf),
        reference_id: &row.transaction.to_string(),
        source: row.cause.word(),
        unit: Some(UNIT),
        user_id: &row.wallet.to_string(),
        v: 1,
    }
    .written()
}

/// Tells what has become final since the last time, and says how many movements those were. It ends before
/// the first one that is not in the books yet, and when it has looked at enough.
pub async fn gather(ctx: &Ctx, call: &mut Call) -> Result<usize, Refusal> {
    let known = ctx.store.get::<MovementsRow>(&keys::movements_head()).await?;
    let (mut when, mut head) = match known {
        Some(head) => (When::Rev(head.rev), head),
        None => (When::Absent, NONE_YET),
    };
    let seen = since(ctx, head.until).await?;
    let mut told = 0;
    // Oldest first, and written down after some of them, whatever they are: who sends much that moves nothing
    // must not keep the others waiting.
    for some in seen.rchunks(TOGETHER).take(TURNS_MAX) {
        let before = head.clone();
        let mut writes = Vec::new();
        for next in some.iter().rev() {
            match movement(ctx, call, next, &mut head).await? {
                Known::Movement(row) => {
                    let key = Some(keys::movement_claim(&next.signature));
                    let by = row.seq.to_string();
                    let claim = ClaimRow { key, by, until_s: None };
                    writes.push(Write::put(&claim, When::Absent));
                    writes.push(Write::put(&*row, When::Absent));
                }
                Known::Nothing => {}
                Known::NotYet => break,
            }
            head.until = Some(next.signature);
            head.waits = None;
        }
        let movements = writes.len() / 2;
        if head == before {
            break;
        }
        head.rev += 1;
        writes.push(Write::put(&head, when));
        if !ctx.all(writes).await.done()? {
            // Somebody else tells it; or the node that was asked is behind, and listed what was told.
            break;
        }
        told += movements;
        if head.waits.is_some() {
            break;
        }
        when = When::Rev(head.rev);
    }
    Ok(told)
}

const NONE_YET: MovementsRow = MovementsRow {
    rev: 0,
    until: None,
    movements: 0,
    balance: 0,
    last_leaf: NOTHING_BEFORE,
    waits: None,
};

/// What a transaction of escrow comes to.
enum Known {
    Movement(Box<MovementRow>),
    /// It moved nothing of escrow.
    Nothing,
    /// It may still find its way into the books.
    NotYet,
}

/// The movement as the chain has it, counted in `head`; the books say only why it was.
async fn movement(
    ctx: &Ctx,
    call: &mut Call,
    seen: &Seen,
    head: &mut MovementsRow,
) -> Result<Known, Refusal> {
    if seen.error.is_some() {
        return Ok(Known::Nothing);
    }
    let facts = match ctx.chain.facts(&seen.signature, Commitment::Finalized).await {
        // As in the books: the audit names it.
        Err(ChainError::Rpc { code: UNSUPPORTED_VERSION, .. }) => return Ok(Known::Nothing),
        facts => facts?.ok_or(Refusal::ChainUnreachable)?,
    };
    let wallet = ctx.platform.escrow;
    let delta = facts.deltas.iter().find(|(known, _)| *known == wallet).map_or(0, |it| it.1);
    if delta == 0 {
        return Ok(Known::Nothing);
    }
    let created = facts.block_time.or(seen.block_time).unwrap_or(call.now);
    let cause = match cause(ctx, seen, delta > 0).await? {
        Some(cause) => cause,
        None if !has_waited(call, seen, head) => return Ok(Known::NotYet),
        None => Cause::Unbooked,
    };
    let balance = i64::try_from(delta).ok().and_then(|delta| head.balance.checked_add(delta));
    let balance = balance.ok_or_else(|| Broken("escrow holds more than there is".into()))?;
    let amount = u64::try_from(delta.unsigned_abs()).unwrap_or(u64::MAX);
    let row = MovementRow {
        wallet,
        seq: head.movements + 1,
        id: EntryId::new(call.now, call.entropy()),
        number: ctx.numbers.take(ctx).await?,
        amount: Lamports(amount),
        direction: if delta > 0 { Direction::Credit } else { Direction::Debit },
        cause,
        transaction: seen.signature,
        balance_after: balance,
        prev_leaf: head.last_leaf,
        sealed: None,
        created,
    };
    head.movements = row.seq;
    head.balance = balance;
    head.last_leaf = leaf(&row).1;
    Ok(Known::Movement(Box::new(row)))
}

/// Whether those who keep the books had their time since this transaction was first missed.
fn has_waited(call: &Call, seen: &Seen, head: &mut MovementsRow) -> bool {
    let known = head.waits.take().filter(|waits| waits.transaction == seen.signature);
    let first = Unbooked { transaction: seen.signature, since: call.now, looks: 0 };
    let waits = head.waits.insert(known.unwrap_or(first));
    waits.looks += 1;
    waits.looks >= LOOKS_MIN && call.now.since_ms(waits.since) >= BOOKED_WITHIN_MS
}

/// Why it moved, if that is in the books.
async fn cause(ctx: &Ctx, seen: &Seen, came_in: bool) -> Result<Option<Cause>, Refusal> {
    if came_in {
        let booked = ctx.store.get::<InflowRow>(&keys::inflow(&seen.signature)).await?;
        return Ok(booked.map(|row| match row.kind {
            Inbound::Payment => Cause::Payment,
            Inbound::Float => Cause::Float,
            Inbound::Stray => Cause::Stray,
        }));
    }
    let booked = ctx.store.get::<OutflowRow>(&keys::outflow(&seen.signature)).await?;
    Ok(booked.map(|row| match row.settlement {
        SettlementId::Job(_) => Cause::Settlement,
        SettlementId::Debt(_) => Cause::Debt,
    }))
}
