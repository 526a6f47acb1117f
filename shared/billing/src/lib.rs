//! What is bought with money: checkouts opened at Stripe, and what Stripe reports of them afterwards.
//! Knows Stripe and the packages; knows no account and no balance.
//!
//! - [`Package`]: what is for sale and what it costs.
//! - [`Stripe::checkout`]: opens the page on which somebody pays.
//! - [`Endpoint::read`]: takes in a webhook, and believes it only when signed and fresh.
//!
//! Nothing here reads a clock, keeps state or tries again: the webhook is told what time it is, and
//! whoever tries a checkout again brings the same idempotency key.

mod checkout;
mod event;
mod package;
mod webhook;

pub use checkout::{API, CheckoutSession, Failed, NotReady, PATIENCE, Stripe};
pub use event::{Dispute, Event, EventKind, Refund};
pub use package::Package;
pub use webhook::{BODY_BYTES_MAX, BadEvent, Endpoint, NoSecret, TOLERANCE_S};
