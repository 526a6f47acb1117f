//! What is owed to one wallet beside the plans of jobs: amounts too small to open an empty wallet,
//! and strays that go back. They are gathered, and leave together in one batch at a time.

use framefair_domain::money::Lamports;
use framefair_domain::settlement::SettlementId;
use framefair_domain::time::{HOUR_MS, MINUTE_MS, Timestamp};
use framefair_domain::wallet::Wallet;
use framefair_store::rows::{Batch, DebtRow, OutflowRow, WayOutRow};
use framefair_store::{Order, TransactFailed, When, Write, WriteFailed, keys};

use super::out::{self, Leaving, SOON, Stands};
use super::{Advanced, Signers};
use crate::{Broken, Call, Ctx, Refusal};

/// Between two looks at a wallet that cannot take its debt yet: as long as that has lasted, within
/// these.
const LOOK_AGAIN_MIN_MS: i64 = 10 * MINUTE_MS;
const LOOK_AGAIN_MAX_MS: i64 = 24 * HOUR_MS;
/// What is on its way is looked at by the sweeper no more often than this.
const WHILE_OPEN_MS: i64 = MINUTE_MS;

/// The writes by which each wallet is owed so much more. They belong into the write that takes the
/// amounts out of where they were.
pub(crate) async fn owe(
    ctx: &Ctx,
    call: &Call,
    amounts: &[(Wallet, Lamports)],
) -> Result<Vec<Write>, Refusal> {
    let mut debts: Vec<(DebtRow, When)> = Vec::new();
    for &(wallet, lamports) in amounts {
        let known = debts.iter().position(|(debt, _)| debt.wallet == wallet);
        let index = match known {
            Some(index) => index,
            None => {
                debts.push(read_or_begin(ctx, call, wallet).await?);
                debts.len() - 1
            }
        };
        let debt = &mut debts[index].0;
        let more =
            |sum: Lamports| sum.checked_add(lamports).ok_or(Broken("a debt overflows".into()));
        if debt.waiting == Lamports::ZERO {
            debt.since = call.now;
        }
        debt.total = more(debt.total)?;
        debt.waiting = more(debt.waiting)?;
        debt.due = Some(debt.due.map_or(call.now, |due| due.min(call.now)));
    }
    Ok(debts.iter().map(|(debt, when)| Write::put(debt, *when)).collect())
}

async fn read_or_begin(ctx: &Ctx, call: &Call, wallet: Wallet) -> Result<(DebtRow, When), Refusal> {
    let known = ctx.store.get::<DebtRow>(&keys::debt(&wallet)).await?;
    Ok(match known {
        Some(debt) => {
            let when = When::Rev(debt.rev);
            (DebtRow { rev: debt.rev + 1, ..debt }, when)
        }
        None => {
            let none = Lamports::ZERO;
            let (total, waiting, batch, due) = (none, none, None, None);
            let since = call.now;
            (DebtRow { wallet, rev: 0, total, waiting, batch, used: 0, since, due }, When::Absent)
        }
    })
}

/// One step towards paying what is owed to `wallet`.
pub(super) async fn pay(
    ctx: &Ctx,
    call: &Call,
    signers: &Signers,
    wallet: &Wallet,
) -> Result<Advanced, Refusal> {
    // Before the debt: whoever was held up between the two could take what a later batch has put
    // there for that of an earlier one, and sign the earlier one's amount anew.
    let last = last_out(ctx, wallet).await?;
    let debt = ctx.store.get::<DebtRow>(&keys::debt(wallet)).await?;
    let mut debt = debt.ok_or(Refusal::NotFound)?;
    let batch = match debt.batch {
        Some(batch) => batch,
        None if debt.waiting == Lamports::ZERO => return rest(ctx, debt, None).await,
        None if !out::can_take(ctx, wallet, debt.waiting).await? => {
            let waited = call.now.since_ms(debt.since);
            let again = waited.clamp(LOOK_AGAIN_MIN_MS, LOOK_AGAIN_MAX_MS);
            return rest(ctx, debt, Some(call.now.plus_ms(again))).await;
        }
        None => {
            let batch = Batch { lamports: debt.waiting, parked: false };
            debt.waiting = Lamports::ZERO;
            debt.batch = Some(batch);
            debt.due = Some(call.now.plus_ms(WHILE_OPEN_MS));
            if !save(ctx, &mut debt).await? {
                return Ok(SOON);
            }
            batch
        }
    };
    if batch.parked {
        return rest(ctx, debt, None).await;
    }
    let legs = [(*wallet, batch.lamports)];
    let last = last.filter(|row| row.n > debt.used);
    let signed = last.as_ref().and_then(|row| Some((row, row.signed()?)));
    let (before, counted) = (debt.used, signed.is_some());
    let settlement = SettlementId::Debt(*wallet);
    let leaving = Leaving { settlement, legs: &legs, before, counted };
    let mut stands = Stands::Void;
    if let Some((row, tx)) = signed {
        stands = out::follow(ctx, signers, &leaving, row.n, tx).await?;
    }
    if matches!(stands, Stands::Void) {
        let n = last.map_or(debt.used, |row| row.n) + 1;
        stands = out::sign(ctx, call, signers, &leaving, n).await?;
    }
    match stands {
        Stands::Open | Stands::Void if debt.due.is_some_and(|due| due > call.now) => Ok(SOON),
        Stands::Open | Stands::Void => {
            rest(ctx, debt, Some(call.now.plus_ms(WHILE_OPEN_MS))).await?;
            Ok(SOON)
        }
        Stands::PutOff(ms) => rest(ctx, debt, Some(call.now.plus_ms(ms))).await,
        Stands::Hopeless => {
            debt.batch = Some(Batch { parked: true, ..batch });
            rest(ctx, debt, None).await
        }
        Stands::Arrived(entry) => arrived(ctx, call, debt, entry).await,
    }
}

/// The last place of the wallet's way out.
async fn last_out(ctx: &Ctx, wallet: &Wallet) -> Result<Option<WayOutRow>, Refusal> {
    let partition = keys::debt(wallet).pk;
    let rows =
        ctx.store.query::<WayOutRow>(&partition, keys::WAY_OUT, Order::Descending, 1).await?;
    Ok(rows.into_iter().next())
}

async fn arrived(
    ctx: &Ctx,
    call: &Call,
    mut debt: DebtRow,
    entry: OutflowRow,
) -> Result<Advanced, Refusal> {
    debt.batch = None;
    debt.used = entry.n;
    let more = debt.waiting > Lamports::ZERO;
    debt.due = more.then_some(call.now);
    let rev = debt.rev;
    debt.rev += 1;
    let writes = vec![Write::put(&entry, When::Absent), Write::put(&debt, When::Rev(rev))];
    match ctx.store.transact(writes).await {
        Ok(()) => {}
        Err(TransactFailed::Conditions(_)) => return Ok(SOON),
        Err(other) => return Err(other.into()),
    }
    tracing::info!(wallet = %debt.wallet, lamports = entry.lamports.0, "Paid a debt");
    Ok(if more { SOON } else { Advanced::Nothing })
}

/// Leaves the debt alone until `due`; for ever, or until more is owed, without.
async fn rest(ctx: &Ctx, mut debt: DebtRow, due: Option<Timestamp>) -> Result<Advanced, Refusal> {
    debt.due = due;
    Ok(if save(ctx, &mut debt).await? { Advanced::Nothing } else { SOON })
}

/// False when somebody else was faster.
pub(super) async fn save(ctx: &Ctx, debt: &mut DebtRow) -> Result<bool, Refusal> {
    let rev = debt.rev;
    debt.rev += 1;
    match ctx.store.write(Write::put(debt, When::Rev(rev))).await {
        Ok(()) => Ok(true),
        Err(WriteFailed::Condition) => Ok(false),
        Err(other) => Err(other.into()),
    }
}
