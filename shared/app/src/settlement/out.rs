//! One transaction at a time: signed, stored, sent, followed to its end. Knows neither jobs nor
//! debts; who owes the money writes down what came of it.

use framefair_chain::{
    Commitment, Fate, Order, PRICE_MAX, RENT_EXEMPT_MIN, Sent, UNITS_MAX, check_out, memo_out,
};
use framefair_domain::money::Lamports;
use framefair_domain::settlement::{Event, Inflow, Outflow, SettlementId, next};
use framefair_domain::time::{HOUR_MS, MINUTE_MS, SECOND_MS};
use framefair_domain::wallet::Wallet;
use framefair_store::rows::{OutStep, OutflowRow, SignedTx, WayOutRow};
use framefair_store::{When, Write, WriteFailed, keys};

use super::{Advanced, Signers, cap};
use crate::{Broken, Call, Ctx, Refusal};

pub(super) const SOON: Advanced = Advanced::Later(2 * SECOND_MS);
const WHEN_RPC_IS_BACK_MS: i64 = 10 * SECOND_MS;
/// What escrow or gas cannot pay for is looked at again after this.
const WHEN_FUNDED_MS: i64 = MINUTE_MS;
/// What is above the cap of the day is looked at again after this, for an operator may raise the cap.
const WHEN_RAISED_MS: i64 = HOUR_MS;
/// Two signatures, and all compute units at the highest price that we bid.
const FEE_MAX: u64 = 2 * 5_000 + UNITS_MAX as u64 * PRICE_MAX / 1_000_000;

/// What is to leave, and under which name.
pub(super) struct Leaving<'a> {
    pub settlement: SettlementId,
    pub legs: &'a [(Wallet, Lamports)],
    /// The last place of the way out that is none of these legs'.
    pub before: u32,
    /// Whether it was signed once already, and counted as leaving.
    pub counted: bool,
}

/// Where it stands now.
#[derive(Debug)]
pub(super) enum Stands {
    /// On its way: look again soon.
    Open,
    /// Nothing can be done before this many milliseconds.
    PutOff(i64),
    /// Proven to have moved nothing, for ever: sign again.
    Void,
    /// Too often void: an operator must look.
    Hopeless,
    /// Final. The entry is still to be written.
    Arrived(OutflowRow),
}

/// Signs the transaction for place `n` and stores it; whoever fills the place first wins, and what
/// is stored is what is sent.
pub(super) async fn sign(
    ctx: &Ctx,
    call: &Call,
    signers: &Signers,
    leaving: &Leaving<'_>,
    n: u32,
) -> Result<Stands, Refusal> {
    let tried = attempt(leaving, n).saturating_sub(1);
    if next(Inflow::Final, Outflow::Owed, tried, Event::Sign).is_err() {
        tracing::error!(settlement = %leaving.settlement, "Too many attempts to pay out: an operator must look");
        return Ok(Stands::Hopeless);
    }
    let ours = [signers.escrow.wallet(), signers.gas.wallet()];
    if leaving.legs.iter().any(|(to, _)| ours.contains(to)) {
        tracing::error!(settlement = %leaving.settlement, "The platform owes money to itself: an operator must look");
        return Ok(Stands::Hopeless);
    }
    if !funded(ctx, signers, sum(leaving.legs)).await? {
        tracing::error!(settlement = %leaving.settlement, "Escrow or gas is short: nothing leaves until it is funded");
        return Ok(Stands::PutOff(WHEN_FUNDED_MS));
    }
    let out = ctx.chain.sign_out(&order(leaving, n), &signers.escrow, &signers.gas).await?;
    // Once nothing but the table can fail any more: what is tried again and again counts each time.
    if !leaving.counted
        && let Some(tomorrow) = cap::take(ctx, call, sum(leaving.legs)).await?
    {
        tracing::error!(settlement = %leaving.settlement, "What may leave in a day is used up: an operator must look");
        return Ok(Stands::PutOff(tomorrow.min(WHEN_RAISED_MS)));
    }
    let row = WayOutRow {
        settlement: leaving.settlement,
        n,
        step: OutStep::Signed(SignedTx {
            signature: out.signature,
            bytes: out.bytes,
            last_valid: out.last_valid_block_height,
            min_slot: out.min_slot,
        }),
    };
    match ctx.store.write(Write::put(&row, When::Absent)).await {
        Ok(()) | Err(WriteFailed::Condition) => {}
        Err(other) => return Err(other.into()),
    }
    let stored = ctx.store.get::<WayOutRow>(&keys::way_out(leaving.settlement, n)).await?;
    let stored = stored
        .ok_or_else(|| Broken(format!("a stored payout of {} is gone", leaving.settlement)))?;
    // Somebody else may have decided otherwise: the next look finds that.
    if let Some(tx) = stored.signed() {
        send(ctx, signers, leaving, n, tx).await?;
    }
    Ok(Stands::Open)
}

/// Follows the stored transaction at place `n`.
pub(super) async fn follow(
    ctx: &Ctx,
    signers: &Signers,
    leaving: &Leaving<'_>,
    n: u32,
    tx: &SignedTx,
) -> Result<Stands, Refusal> {
    let settlement = leaving.settlement;
    let sent = Sent {
        signature: tx.signature,
        last_valid_block_height: tx.last_valid,
        min_slot: tx.min_slot,
        memo: memo_out(settlement, n),
    };
    Ok(match ctx.chain.fate(&sent, &signers.escrow.wallet()).await? {
        Fate::Unseen => {
            send(ctx, signers, leaving, n, tx).await?;
            Stands::Open
        }
        Fate::Processing | Fate::Confirmed { .. } => Stands::Open,
        Fate::Finalized { slot } => {
            let (signature, lamports) = (tx.signature, sum(leaving.legs));
            Stands::Arrived(OutflowRow { signature, settlement, n, slot, lamports })
        }
        Fate::FailedOnChain { error, .. } => {
            tracing::error!(%settlement, n, error, "A payout failed on chain");
            Stands::Void
        }
        Fate::Expired => {
            tracing::warn!(%settlement, n, "A payout expired and is signed anew");
            Stands::Void
        }
        Fate::Unknowable(why) => {
            tracing::warn!(%settlement, n, why, "The fate of a payout cannot be known yet");
            Stands::PutOff(WHEN_RPC_IS_BACK_MS)
        }
    })
}

async fn send(
    ctx: &Ctx,
    signers: &Signers,
    leaving: &Leaving<'_>,
    n: u32,
    tx: &SignedTx,
) -> Result<(), Refusal> {
    let settlement = leaving.settlement;
    check_out(&tx.bytes, &order(leaving, n), &signers.escrow.wallet(), &signers.gas.wallet())
        .map_err(|refused| Broken(format!("a stored payout of {settlement}: {refused}")))?;
    if let Err(error) = ctx.chain.send(&tx.bytes).await {
        tracing::debug!(%settlement, n, %error, "Sending said no, which means nothing");
    }
    Ok(())
}

fn order<'a>(leaving: &Leaving<'a>, n: u32) -> Order<'a> {
    let attempt = attempt(leaving, n);
    Order { settlement: leaving.settlement, n, attempt, legs: leaving.legs }
}

fn attempt(leaving: &Leaving<'_>, n: u32) -> u32 {
    n.saturating_sub(leaving.before)
}

/// Attempts are counted, so none is spent on what cannot land.
async fn funded(ctx: &Ctx, signers: &Signers, sum: Lamports) -> Result<bool, Refusal> {
    let (escrow, gas) = (signers.escrow.wallet(), signers.gas.wallet());
    let (escrow, gas) = tokio::try_join!(
        ctx.chain.balance(&escrow, Commitment::Confirmed),
        ctx.chain.balance(&gas, Commitment::Confirmed),
    )?;
    // A wallet holds nothing at all, or the rent-exempt minimum.
    let escrow_left = escrow.0.checked_sub(sum.0);
    let stays = escrow_left.is_some_and(|left| left == 0 || left >= RENT_EXEMPT_MIN);
    Ok(stays && gas.0 >= RENT_EXEMPT_MIN + FEE_MAX)
}

/// Whether `wallet` can take so little: a transfer that leaves a new wallet under the rent-exempt
/// minimum fails the whole transaction.
pub(super) async fn can_take(
    ctx: &Ctx,
    wallet: &Wallet,
    lamports: Lamports,
) -> Result<bool, Refusal> {
    if lamports.0 >= RENT_EXEMPT_MIN {
        return Ok(true);
    }
    let has = ctx.chain.balance(wallet, Commitment::Finalized).await?;
    Ok(has.0.saturating_add(lamports.0) >= RENT_EXEMPT_MIN)
}

fn sum(legs: &[(Wallet, Lamports)]) -> Lamports {
    Lamports(legs.iter().map(|(_, lamports)| lamports.0).sum())
}
