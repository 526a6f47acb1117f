//! What Stripe reports of purchases, booked once however often, in whichever order and by how many events
//! it is reported. Each event is one transaction: the claim of its id, of the session or the payment that
//! it is about, and the movement of credits, if there is one.
//!
//! - A paid session credits its package. A refund of the whole payment or a lost dispute takes the whole
//!   package back, once per payment, even below zero.
//! - Refunds and disputes know the payment and not the session; both sides meet in the row of the payment.
//!   If the refund is told first, the payment settles without a movement: what would be credited and
//!   debited in the same breath is neither.
//! - A refund of a part moves nothing: there is no part of a package, and it is the seller's own gift. When
//!   the parts have come to the whole, Stripe says so in the last of them.

use framefair_billing::{BadEvent, Event, EventKind, Package};
use framefair_domain::id::UserId;
use framefair_store::rows::{
    BalanceRow, Became, Bought, Direction, PurchaseRow, Source, StripeEventRow, StripePaymentRow,
};
use framefair_store::{Broken as StoreBroken, When, Write, WriteFailed, keys};

use super::post::{DrawsOn, Posting, post_with};
use crate::write::Done;
use crate::{Call, Ctx, Refusal};

/// Whoever is overtaken reads again. What can be overtaken has three steps at most.
const TRIES: usize = 8;
const INVALID_PAYLOAD: &str = "Invalid payload";

/// Takes in what was sent to the webhook: the raw body, none if it is longer than
/// [`super::WEBHOOK_BYTES_MAX`], and the value of `Stripe-Signature`.
pub async fn reported(
    ctx: &Ctx,
    call: &mut Call,
    body: Option<&[u8]>,
    signature: &str,
) -> Result<(), Refusal> {
    let Some(endpoint) = ctx.platform.payments.endpoint() else {
        tracing::warn!(
            "Somebody reports a payment, and no signing secret is configured to believe it"
        );
        let is_signed = !signature.trim().is_empty();
        return Err(if is_signed { BadEvent::Signature } else { BadEvent::Missing }.into());
    };
    let body = body.ok_or(Refusal::Webhook(INVALID_PAYLOAD))?;
    let event = endpoint.read(body, signature, call.now.seconds())?;
    for _ in 0..TRIES {
        if book(ctx, call, &event).await?.is_some() {
            return Ok(());
        }
    }
    Err(Refusal::Busy)
}

/// In the contract's words.
impl From<BadEvent> for Refusal {
    fn from(bad: BadEvent) -> Refusal {
        Refusal::Webhook(match bad {
            BadEvent::Missing => "Missing stripe-signature header",
            BadEvent::Signature => "Invalid signature",
            BadEvent::Payload => INVALID_PAYLOAD,
        })
    }
}

/// The event is booked, now or before.
struct Booked;

/// None: somebody else was faster, and it has to be decided anew.
type Attempt = Result<Option<Booked>, Refusal>;

async fn book(ctx: &Ctx, call: &mut Call, event: &Event) -> Attempt {
    match &event.kind {
        EventKind::Paid { session, account, sku, payment_intent } => {
            let package = sku.as_deref().and_then(Package::from_sku);
            let Some(package) = package else {
                return note(ctx, call, event, Became::UnknownPackage).await;
            };
            let Some(user) = *account else {
                return note(ctx, call, event, Became::UnknownAccount).await;
            };
            let payment = payment_intent.as_deref();
            paid(ctx, call, event, Sale { session, user, package, payment }).await
        }
        EventKind::Refunded(refund) if refund.amount_refunded_cents < refund.amount_cents => {
            note(ctx, call, event, Became::GivenBackInPart).await
        }
        EventKind::Refunded(refund) => {
            let why = "Refunded by Stripe";
            taken_back(ctx, call, event, refund.payment_intent.as_deref(), why).await
        }
        EventKind::DisputeLost(dispute) => {
            let why = "A dispute with the buyer's bank was lost";
            taken_back(ctx, call, event, dispute.payment_intent.as_deref(), why).await
        }
        EventKind::AsyncFailed { .. }
        | EventKind::DisputeOpened(_)
        | EventKind::DisputeWon(_)
        | EventKind::Other { .. } => note(ctx, call, event, Became::Noted).await,
        EventKind::Unreadable { .. } => note(ctx, call, event, Became::Unattributed).await,
    }
}

/// The claim of the event's id, with what became of it.
fn claim(call: &Call, event: &Event, became: Became) -> Write {
    let about = match &event.kind {
        EventKind::Paid { session, .. } | EventKind::AsyncFailed { session } => session,
        EventKind::Refunded(refund) => &refund.charge,
        EventKind::DisputeOpened(dispute)
        | EventKind::DisputeWon(dispute)
        | EventKind::DisputeLost(dispute) => &dispute.dispute,
        EventKind::Other { kind } | EventKind::Unreadable { kind } => kind,
    };
    let row = StripeEventRow {
        id: event.id.clone(),
        about: about.clone(),
        became,
        happened: event.created.unwrap_or(call.now),
        told: call.now,
    };
    Write::put(&row, When::Absent)
}

fn said(event: &Event, became: Became) -> Booked {
    match became {
        Became::UnknownPackage
        | Became::UnknownAccount
        | Became::PaymentUsed
        | Became::Unattributed => {
            tracing::warn!(event = event.id, ?became, "Stripe reports money that is nobody's here");
        }
        _ => tracing::info!(event = event.id, ?became, "Stripe reported"),
    }
    Booked
}

/// Records an event that moves nothing.
async fn note(ctx: &Ctx, call: &Call, event: &Event, became: Became) -> Attempt {
    match ctx.store.write(claim(call, event, became)).await {
        Ok(()) => Ok(Some(said(event, became))),
        Err(WriteFailed::Condition) => Ok(Some(Booked)),
        Err(WriteFailed::Broken(broken)) => Err(broken.into()),
    }
}

/// What a paid session says, as far as it is known here.
struct Sale<'a> {
    session: &'a str,
    user: UserId,
    package: Package,
    payment: Option<&'a str>,
}

async fn paid(ctx: &Ctx, call: &mut Call, event: &Event, sale: Sale<'_>) -> Attempt {
    let Sale { session, user, package, payment } = sale;
    let (event_key, purchase_key, balance_key) =
        (keys::stripe_event(&event.id), keys::purchase(session), keys::balance(user));
    let (seen, purchase, known, row) = tokio::try_join!(
        ctx.store.get::<StripeEventRow>(&event_key),
        ctx.store.get::<PurchaseRow>(&purchase_key),
        ctx.store.get::<BalanceRow>(&balance_key),
        payment_row(ctx, payment),
    )?;
    let used = row.as_ref().is_some_and(|row| row.bought.is_some());
    match (seen, purchase, known) {
        (Some(_), ..) => return Ok(Some(Booked)),
        (_, Some(_), _) => return note(ctx, call, event, Became::SettledBefore).await,
        (.., None) => return note(ctx, call, event, Became::UnknownAccount).await,
        _ if used => return note(ctx, call, event, Became::PaymentUsed).await,
        _ => {}
    }
    let given_back = row.as_ref().is_some_and(|row| row.back.is_some());
    let became = if given_back { Became::GivenBackFirst } else { Became::Credited };
    let bought = PurchaseRow {
        session: session.to_owned(),
        user,
        sku: package.sku().to_owned(),
        payment: payment.map(str::to_owned),
        event: event.id.clone(),
    };
    let mut writes = vec![claim(call, event, became), Write::put(&bought, When::Absent)];
    if let Some(payment) = payment {
        let bought = Bought { session: session.to_owned(), user, amount: package.credits() };
        writes.push(learned(payment, row, |row| row.bought = Some(bought)));
    }
    if given_back {
        return Ok(ctx.all(writes).await.done()?.then(|| said(event, became)));
    }
    let posting = Posting {
        user,
        kind: "stripe",
        reference: session.to_owned(),
        amount: package.credits(),
        direction: Direction::Credit,
        source: Source::Stripe,
        description: Some(format!("Bought {}", package.sku())),
        draws_on: DrawsOn::Free,
    };
    Ok(post_with(ctx, call, &posting, &writes).await?.map(|_| said(event, became)))
}

/// All of a payment went back to the buyer.
async fn taken_back(
    ctx: &Ctx,
    call: &mut Call,
    event: &Event,
    payment: Option<&str>,
    why: &str,
) -> Attempt {
    let Some(payment) = payment else {
        return note(ctx, call, event, Became::Unattributed).await;
    };
    let event_key = keys::stripe_event(&event.id);
    let (seen, row) = tokio::try_join!(
        ctx.store.get::<StripeEventRow>(&event_key),
        payment_row(ctx, Some(payment)),
    )?;
    if seen.is_some() {
        return Ok(Some(Booked));
    }
    if row.as_ref().is_some_and(|row| row.back.is_some()) {
        return note(ctx, call, event, Became::TakenBackBefore).await;
    }
    let bought = row.as_ref().and_then(|row| row.bought.clone());
    let became = if bought.is_some() { Became::Debited } else { Became::Remembered };
    let back = learned(payment, row, |row| row.back = Some(event.id.clone()));
    let writes = vec![claim(call, event, became), back];
    let Some(bought) = bought else {
        return Ok(ctx.all(writes).await.done()?.then(|| said(event, became)));
    };
    let posting = Posting {
        user: bought.user,
        kind: "stripe-back",
        reference: bought.session,
        amount: bought.amount,
        direction: Direction::Debit,
        source: Source::Adjustment,
        description: Some(why.to_owned()),
        draws_on: DrawsOn::Debt,
    };
    Ok(post_with(ctx, call, &posting, &writes).await?.map(|_| said(event, became)))
}

async fn payment_row(
    ctx: &Ctx,
    payment: Option<&str>,
) -> Result<Option<StripePaymentRow>, StoreBroken> {
    match payment {
        Some(payment) => ctx.store.get(&keys::stripe_payment(payment)).await,
        None => Ok(None),
    }
}

/// The write after which the row of a payment, as it was read, knows one thing more.
fn learned(
    payment: &str,
    row: Option<StripePaymentRow>,
    learn: impl FnOnce(&mut StripePaymentRow),
) -> Write {
    let when = row.as_ref().map_or(When::Absent, |row| When::Rev(row.rev));
    let payment = payment.to_owned();
    let mut row = row.unwrap_or(StripePaymentRow { payment, rev: 0, bought: None, back: None });
    row.rev += 1;
    learn(&mut row);
    Write::put(&row, when)
}
