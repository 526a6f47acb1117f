//! What Stripe told us, and what became of it. All of these stay for ever: each is the reason why the same
//! money is not booked twice.

use framefair_domain::credits::Credits;
use framefair_domain::id::UserId;
use framefair_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Entity, Key, keys};

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Became {
    /// The package was credited.
    Credited,
    /// Another event had the same session credited, or settled without a credit.
    SettledBefore,
    /// The money had been given back before anybody told us that it came: nothing was credited.
    GivenBackFirst,
    /// The package was taken back.
    Debited,
    /// Another event had it taken back, or told of it first.
    TakenBackBefore,
    /// Money was given back for which no session is known yet.
    Remembered,
    /// A part of the money was given back; that moves nothing.
    GivenBackInPart,
    /// The session names no package of ours.
    UnknownPackage,
    /// The session names no account of ours.
    UnknownAccount,
    /// One payment was reported for two sessions; it counts for the first.
    PaymentUsed,
    /// Money was given back of a payment without a name.
    Unattributed,
    /// It is of a kind that moves nothing.
    Noted,
}

/// An event, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StripeEventRow {
    /// `evt_...`
    pub id: String,
    /// What it was about: a session, a charge or a dispute, or only the name of its kind.
    pub about: String,
    pub became: Became,
    /// When it happened at Stripe, and when we were told.
    pub happened: Timestamp,
    pub told: Timestamp,
}

impl Entity for StripeEventRow {
    fn key(&self) -> Key {
        keys::stripe_event(&self.id)
    }
}

/// A session that was paid, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurchaseRow {
    /// `cs_...`
    pub session: String,
    pub user: UserId,
    pub sku: String,
    /// `pi_...`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<String>,
    /// The event that had it settled.
    pub event: String,
}

impl Entity for PurchaseRow {
    fn key(&self) -> Key {
        keys::purchase(&self.session)
    }
}

/// A payment, by the name that refunds and disputes know it by. Either side may be told first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StripePaymentRow {
    /// `pi_...`
    pub payment: String,
    pub rev: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bought: Option<Bought>,
    /// The event by which all of it went back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<String>,
}

/// What a payment was for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bought {
    pub session: String,
    pub user: UserId,
    pub amount: Credits,
}

impl Entity for StripePaymentRow {
    fn key(&self) -> Key {
        keys::stripe_payment(&self.payment)
    }
}
