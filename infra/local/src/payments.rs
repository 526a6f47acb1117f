//! What one machine sells credits with, and what opens its totals: read from the environment, since keys
//! have no place on a command line.

use anyhow::{Context, Result};
use framefair_app::credits::Payments;
use framefair_app::metrics::MetricsToken;

fn var(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// `METRICS_TOKEN`; without it everybody may read `/metrics`.
pub fn metrics_token_from_env() -> Option<MetricsToken> {
    var("METRICS_TOKEN").and_then(|token| MetricsToken::new(&token))
}

/// `STRIPE_SECRET_KEY` and `STRIPE_WEBHOOK_SECRET`, as `sk_test_...` and `whsec_...`: without the one there is
/// no checkout (503), without the other no webhook is believed (400). `STRIPE_API_URL` is somebody who plays
/// Stripe. Buyers come back to `CHECKOUT_SUCCESS_URL` or `CHECKOUT_CANCEL_URL`, without which to `home`.
pub fn payments_from_env(home: &str) -> Result<Payments> {
    let mut payments = Payments::default();
    if let Some(key) = var("STRIPE_SECRET_KEY") {
        let back = |name| var(name).unwrap_or_else(|| home.to_owned());
        let (success, cancel) = (back("CHECKOUT_SUCCESS_URL"), back("CHECKOUT_CANCEL_URL"));
        let api = var("STRIPE_API_URL");
        payments = payments
            .with_till(&key, api.as_deref(), success, cancel)
            .context("STRIPE_SECRET_KEY or STRIPE_API_URL")?;
    }
    if let Some(secrets) = var("STRIPE_WEBHOOK_SECRET") {
        payments = payments.with_webhook(&secrets).context("STRIPE_WEBHOOK_SECRET")?;
    }
    Ok(payments)
}
