//! What a signed webhook says, as far as money for credits goes. Knows the shape of Stripe's events; who
//! signed them was looked at before.
//!
//! Only the members that are needed are read, so an event of a later version of Stripe's API is read like
//! any other, and one of a kind that is not acted on need only be an event.

use std::collections::HashMap;

use framefair_domain::id::UserId;
use framefair_domain::time::{SECOND_MS, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::checkout::{ACCOUNT, SKU};

/// Stripe's promise for the length of what it names.
const ID_BYTES_MAX: usize = 255;

/// Something that happened at Stripe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `evt_...`, the same each time the event is sent. At most 255 visible ASCII characters, as all ids.
    pub id: String,
    /// When it happened, which is to the second, where it says so. Says nothing about the order of arrival.
    pub created: Option<Timestamp>,
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// The money for a checkout has come: `checkout.session.completed` with `payment_status` "paid", or
    /// `checkout.session.async_payment_succeeded`. A session is paid once, but may be reported paid by two
    /// events of different ids.
    Paid {
        /// `cs_...`, from [`crate::CheckoutSession`].
        session: String,
        /// Who bought, from `client_reference_id`; none if that is missing or no id of ours.
        account: Option<UserId>,
        /// What was bought, for [`crate::Package::from_sku`]; any text that somebody put there.
        sku: Option<String>,
        /// `pi_...`, by which refunds and disputes name the payment.
        payment_intent: Option<String>,
    },
    /// The money for a completed checkout will not come: `checkout.session.async_payment_failed`.
    AsyncFailed { session: String },
    /// Money was given back, in whole or in part: `charge.refunded`.
    Refunded(Refund),
    /// The buyer's bank asks the money back, or only asks: `charge.dispute.created`.
    DisputeOpened(Dispute),
    /// The money stays, or stays again, with the seller: `charge.dispute.closed` with status "won", or with
    /// "warning_closed" if the bank had only asked.
    DisputeWon(Dispute),
    /// The money is lost: `charge.dispute.closed` with status "lost".
    DisputeLost(Dispute),
    /// Whatever else, such as `checkout.session.completed` before the money has come, or
    /// `charge.dispute.closed` with a status that says neither won nor lost.
    Other {
        /// Stripe's name of it, such as `checkout.session.expired`.
        kind: String,
    },
    /// It would be one of those above, but what it is about lacks a member that is needed, or has one of the wrong
    /// type or beyond its limits.
    Unreadable { kind: String },
}

/// How much of a payment was given back by now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// `ch_...`
    pub charge: String,
    /// `pi_...`, as in [`EventKind::Paid`].
    pub payment_intent: Option<String>,
    /// From the metadata of the payment, where [`crate::Stripe::checkout`] put it.
    pub account: Option<UserId>,
    /// From the metadata of the payment, too.
    pub sku: Option<String>,
    /// Of all refunds of this charge together, this one included; never more than `amount_cents`, and all of it
    /// where nothing is said. In hundredths of its currency.
    pub amount_refunded_cents: i64,
    /// What was paid, in hundredths of its currency.
    pub amount_cents: i64,
}

/// A payment that the buyer's bank questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispute {
    /// `dp_...` or `du_...`, the same from the opening to the end.
    pub dispute: String,
    /// `ch_...`
    pub charge: String,
    /// `pi_...`, as in [`EventKind::Paid`].
    pub payment_intent: Option<String>,
    /// The bank only asks, and no money has moved.
    pub inquiry: bool,
}

impl Event {
    /// None if the text is no event.
    pub(crate) fn parse(body: &[u8]) -> Option<Event> {
        let envelope: Envelope = object(std::str::from_utf8(body).ok()?)?;
        let data: Data = object(envelope.data.get())?;
        let kind = EventKind::parse(&envelope.kind.0, data.object.get())
            .unwrap_or_else(|| EventKind::Unreadable { kind: envelope.kind.0.clone() });
        let created = match envelope.created {
            Some(seconds) => Some(seconds.checked_mul(SECOND_MS).filter(|ms| *ms >= 0)?),
            None => None,
        };
        Some(Event { id: envelope.id.0, created: created.map(Timestamp), kind })
    }
}

impl EventKind {
    fn parse(kind: &str, text: &str) -> Option<EventKind> {
        let other = || EventKind::Other { kind: kind.to_owned() };
        Some(match kind {
            "checkout.session.completed" => {
                let session: Session = object(text)?;
                if session.payment_status.as_deref() == Some("paid") {
                    session.paid()
                } else {
                    other()
                }
            }
            "checkout.session.async_payment_succeeded" => object::<Session>(text)?.paid(),
            "checkout.session.async_payment_failed" => {
                EventKind::AsyncFailed { session: object::<Session>(text)?.id.0 }
            }
            "charge.refunded" => EventKind::Refunded(object::<Charge>(text)?.refund()?),
            "charge.dispute.created" => {
                EventKind::DisputeOpened(object::<Questioned>(text)?.dispute())
            }
            "charge.dispute.closed" => {
                let questioned: Questioned = object(text)?;
                match questioned.status.as_str() {
                    "won" | "warning_closed" => EventKind::DisputeWon(questioned.dispute()),
                    "lost" => EventKind::DisputeLost(questioned.dispute()),
                    _ => other(),
                }
            }
            _ => other(),
        })
    }
}

/// Reads a JSON object. A list of the same members in their order, which serde would take as well, is none.
fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    let text = text.trim_ascii();
    if text.starts_with('{') { serde_json::from_str(text).ok() } else { None }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    id: Id,
    created: Option<i64>,
    #[serde(rename = "type")]
    kind: Id,
    #[serde(borrow)]
    data: &'a RawValue,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    object: &'a RawValue,
}

/// A Checkout Session, <https://docs.stripe.com/api/checkout/sessions/object>.
#[derive(Deserialize)]
struct Session {
    id: Id,
    payment_status: Option<String>,
    client_reference_id: Option<String>,
    metadata: Option<Metadata>,
    payment_intent: Option<Id>,
}

/// A Charge, <https://docs.stripe.com/api/charges/object>. Its metadata are those of its Payment Intent.
#[derive(Deserialize)]
struct Charge {
    id: Id,
    payment_intent: Option<Id>,
    metadata: Option<Metadata>,
    #[serde(default)]
    amount: i64,
    amount_refunded: Option<i64>,
}

/// A Dispute, <https://docs.stripe.com/api/disputes/object>.
#[derive(Deserialize)]
struct Questioned {
    id: Id,
    charge: Id,
    payment_intent: Option<Id>,
    #[serde(default)]
    status: String,
}

/// Whatever others put there beside what is ours.
type Metadata = HashMap<String, Value>;

fn text(metadata: &Metadata, name: &str) -> Option<String> {
    metadata.get(name)?.as_str().map(str::to_owned)
}

impl Session {
    fn paid(self) -> EventKind {
        EventKind::Paid {
            session: self.id.0,
            account: self.client_reference_id.and_then(|id| id.parse().ok()),
            sku: self.metadata.and_then(|metadata| text(&metadata, SKU)),
            payment_intent: self.payment_intent.map(|id| id.0),
        }
    }
}

impl Charge {
    fn refund(self) -> Option<Refund> {
        let refunded = self.amount_refunded.unwrap_or(self.amount);
        if !(0..=self.amount).contains(&refunded) {
            return None;
        }
        let metadata = self.metadata.unwrap_or_default();
        Some(Refund {
            charge: self.id.0,
            payment_intent: self.payment_intent.map(|id| id.0),
            account: text(&metadata, ACCOUNT).and_then(|id| id.parse().ok()),
            sku: text(&metadata, SKU),
            amount_refunded_cents: refunded,
            amount_cents: self.amount,
        })
    }
}

impl Questioned {
    fn dispute(self) -> Dispute {
        Dispute {
            dispute: self.id.0,
            charge: self.charge.0,
            payment_intent: self.payment_intent.map(|id| id.0),
            inquiry: self.status.starts_with("warning_"),
        }
    }
}

/// What Stripe names things by: fit to be a key in a table.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Id(String);

impl TryFrom<String> for Id {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Id, &'static str> {
        let fits = (1..=ID_BYTES_MAX).contains(&text.len());
        if fits && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Id(text))
        } else {
            Err("not an id")
        }
    }
}

#[cfg(test)]
mod tests;
