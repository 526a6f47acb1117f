//! What is bought with money, and the page at Stripe where it is paid for. Knows Stripe and the packages;
//! knows no account and no balance.
//!
//! Nothing here keeps state or tries again: whoever tries a checkout again brings the same idempotency key.

mod checkout;
mod package;

pub use checkout::{API, CheckoutSession, Failed, NotReady, PATIENCE, Stripe};
pub use package::Package;
