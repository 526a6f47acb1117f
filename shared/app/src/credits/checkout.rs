//! A page at Stripe on which an account buys a package. Moves nothing: that money has come is told by a
//! webhook.

use framefair_billing::{Failed, Package};
use framefair_domain::id::UserId;
use garde::Validate;
use serde::Deserialize;

use crate::idempotency::{Claim, Claiming, IdempotencyKey, Input};
use crate::{Call, Ctx, Refusal};

/// What somebody wants to buy.
#[derive(Clone, Debug, Deserialize, Validate)]
pub struct Order {
    /// One of the packages.
    #[garde(skip)]
    pub sku: String,
}

/// The address of the page. With a key it is asked for once: the key is claimed for the name that the
/// request has at Stripe, and stands for the page when that is known. Who comes in between asks Stripe by
/// the same name, and gets the same page.
pub async fn checkout(
    ctx: &Ctx,
    call: &mut Call,
    user: UserId,
    key: Option<IdempotencyKey>,
    order: Order,
) -> Result<String, Refusal> {
    let package = Package::from_sku(&order.sku).ok_or_else(no_package)?;
    let till = ctx.platform.payments.till()?;
    let mut name = fresh_name(call);
    let input = Input::default().with(package.sku());
    let claiming = key.map(|key| Claiming::new(&key, "checkout", &user.to_string(), input));
    if let Some(claiming) = &claiming
        && let Claim::Made(made) = claiming.claim(ctx, call, &name).await?
    {
        if is_page(&made) {
            return Ok(made);
        }
        name = made;
    }
    let page = till.stripe.checkout(user, package, &till.success_url, &till.cancel_url, &name);
    let page = page.await;
    // Stripe repeats to a name also that it broke: who tries again needs another name.
    let stands_for = match &page {
        Ok(page) => Some(page.url.clone()),
        Err(Failed::Refused { status: 500.., .. }) => Some(fresh_name(call)),
        Err(_) => None,
    };
    if let (Some(claiming), Some(made)) = (&claiming, stands_for) {
        let claim = claiming.renew(ctx, call, &name, &made).await?;
        if let (Claim::Made(first), Ok(_)) = (claim, &page)
            && is_page(&first)
        {
            return Ok(first);
        }
    }
    Ok(page?.url)
}

/// What a request is called at Stripe. Never looks like a page.
fn fresh_name(call: &mut Call) -> String {
    format!("buy-{}", hex::encode(call.entropy::<16>()))
}

fn is_page(made: &str) -> bool {
    made.starts_with("http")
}

fn no_package() -> Refusal {
    let known = Package::ALL.map(Package::sku).join(", ");
    Refusal::field("sku", format!("sku: one of {known}"))
}

impl From<Failed> for Refusal {
    fn from(failed: Failed) -> Refusal {
        tracing::warn!(cause = %failed, "Stripe opened no page");
        Refusal::NoCheckout
    }
}
