//! Opens the page at Stripe on which somebody pays. Knows Stripe's API and its key; what came of a checkout
//! is told by webhooks.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use framefair_domain::id::UserId;
use stripe::{
    ApiErrorsCode, ApiErrorsType, Client, ClientBuilder, IdempotencyKey, RequestStrategy,
    StripeError, StripeRequest,
};
use stripe_checkout::CheckoutSessionMode;
use stripe_checkout::checkout_session::{
    CreateCheckoutSession, CreateCheckoutSessionLineItems, CreateCheckoutSessionLineItemsPriceData,
    CreateCheckoutSessionPaymentIntentData, ProductData,
};
use stripe_types::Currency;
use url::Url;

use crate::package::Package;

/// Stripe's own API.
pub const API: &str = "https://api.stripe.com";

/// From the first step to the last byte of an answer.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// Members of the metadata on a session and on its payment.
pub(crate) const SKU: &str = "sku";
pub(crate) const ACCOUNT: &str = "account";

const LIVE: [&str; 2] = ["sk_live_", "rk_live_"];

/// A page at Stripe on which one buyer pays for one package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckoutSession {
    /// `cs_...`, as in [`crate::EventKind::Paid`].
    pub id: String,
    /// http or https: where the buyer's browser goes.
    pub url: String,
}

/// Why no page was opened. Says nothing of what Stripe wrote but its own name of the error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    /// Nothing was sent: the idempotency key is empty, longer than 255 bytes, or not visible ASCII.
    #[error("not sent: the idempotency key is not 1 to 255 visible ASCII characters")]
    NotSent,
    /// No connection, or no whole answer in time. Whether the page was opened is not known; the same
    /// idempotency key finds it.
    #[error("Stripe was not reached: {0}")]
    Unreachable(String),
    /// Stripe answered with an error: 401 for a key that it does not know, 429 when it is asked too often,
    /// 409 while the same idempotency key is at work, 500 and above when it is broken.
    #[error("refused by Stripe with {status}, {code}")]
    Refused {
        status: u16,
        /// Stripe's own name of it, such as `rate_limit`.
        code: String,
    },
    /// An answer, but none of Stripe's, or without an id and an address.
    #[error("answered, but not as Stripe answers")]
    NotUnderstood,
}

/// The client could not be made. Does not show the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    #[error("the secret key of Stripe is blank or not visible ASCII")]
    Key,
    #[error("the address of Stripe is no http or https address, or has a query or a login")]
    Base,
    #[error("a live key of Stripe goes over https only")]
    Plain,
}

/// Stripe, asked with one secret key. Cheap to clone.
#[derive(Clone)]
pub struct Stripe {
    client: Client,
    base: Url,
}

impl Stripe {
    /// `secret_key` as in `sk_...`; white space around it is not its own. `api_base` is [`API`], or
    /// somebody who plays Stripe.
    pub fn new(secret_key: &str, api_base: &str) -> Result<Stripe, NotReady> {
        Stripe::with_patience(secret_key, api_base, PATIENCE)
    }

    /// With another limit than [`PATIENCE`] on the whole of a request and its answer.
    pub fn with_patience(
        secret_key: &str,
        api_base: &str,
        patience: Duration,
    ) -> Result<Stripe, NotReady> {
        let key = secret_key.trim();
        if key.is_empty() || !visible(key) {
            return Err(NotReady::Key);
        }
        let base = base(api_base).ok_or(NotReady::Base)?;
        if base.scheme() == "http" && LIVE.iter().any(|live| key.starts_with(live)) {
            return Err(NotReady::Plain);
        }
        // Once per process; whoever was first has installed the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = ClientBuilder::new(key)
            .url(base.as_str())
            .timeout(patience)
            .app_info("framefair", Some(env!("CARGO_PKG_VERSION").to_owned()), None)
            .build()
            .map_err(|_| NotReady::Base)?;
        Ok(Stripe { client, base })
    }

    /// Opens a page on which `account` pays for one `package`, in US dollars.
    ///
    /// The buyer's browser is sent to `success_url` or `cancel_url` afterwards, which proves nothing: that
    /// money has come is told by a webhook. Asked again with the same `idempotency_key` and the same
    /// arguments within a day, Stripe answers with the same page, and with other arguments it refuses.
    /// Asks once.
    pub async fn checkout(
        &self,
        account: UserId,
        package: Package,
        success_url: &str,
        cancel_url: &str,
        idempotency_key: &str,
    ) -> Result<CheckoutSession, Failed> {
        let key = Some(idempotency_key).filter(|key| visible(key));
        let key = key.and_then(|key| IdempotencyKey::new(key).ok()).ok_or(Failed::NotSent)?;
        let request = order(account, package).success_url(success_url).cancel_url(cancel_url);
        // The answer is read as the two members that matter: the library's own type of it has a hundred,
        // and one that it has no room for would lose a page that was opened.
        let asked = request.build().customize::<Opened>();
        let asked = asked.request_strategy(RequestStrategy::Idempotent(key));
        asked.send(&self.client).await?.session().ok_or(Failed::NotUnderstood)
    }
}

/// The key stays where it is.
impl fmt::Debug for Stripe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stripe").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

fn order(account: UserId, package: Package) -> CreateCheckoutSession {
    let metadata = HashMap::from([
        (SKU.to_owned(), package.sku().to_owned()),
        (ACCOUNT.to_owned(), account.to_string()),
    ]);
    let mut price = CreateCheckoutSessionLineItemsPriceData::new(Currency::USD);
    price.unit_amount = Some(package.price_usd_cents());
    price.product_data = Some(ProductData::new(package.title()));
    let mut item = CreateCheckoutSessionLineItems::new();
    item.price_data = Some(price);
    item.quantity = Some(1);
    // Stripe copies the metadata of a payment onto its charge, and a refund names its charge only.
    let mut payment = CreateCheckoutSessionPaymentIntentData::new();
    payment.metadata = Some(metadata.clone());
    CreateCheckoutSession::new()
        .mode(CheckoutSessionMode::Payment)
        .client_reference_id(account.to_string())
        .metadata(metadata)
        .line_items(vec![item])
        .payment_intent_data(payment)
}

#[derive(miniserde::Deserialize)]
struct Opened {
    id: String,
    url: String,
}

impl Opened {
    fn session(self) -> Option<CheckoutSession> {
        let web = web(&self.url).is_some();
        let named = !self.id.is_empty() && self.id.len() <= 255 && visible(&self.id);
        (web && named).then_some(CheckoutSession { id: self.id, url: self.url })
    }
}

impl From<StripeError> for Failed {
    fn from(error: StripeError) -> Failed {
        match error {
            StripeError::Stripe(said, status) => {
                let code = match (said.code, said.type_) {
                    (Some(ApiErrorsCode::Unknown(_)), _) => "with a code of no name".to_owned(),
                    (Some(code), _) => code.as_str().to_owned(),
                    (None, ApiErrorsType::Unknown(_)) => "with a type of no name".to_owned(),
                    (None, kind) => kind.as_str().to_owned(),
                };
                Failed::Refused { status, code }
            }
            StripeError::JSONDeserialize(_) => Failed::NotUnderstood,
            StripeError::Timeout => Failed::Unreachable("no whole answer in time".to_owned()),
            StripeError::ClientError(why) | StripeError::ConfigError(why) => {
                Failed::Unreachable(why)
            }
        }
    }
}

fn visible(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn web(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
}

/// With a slash at the end, which the library relies on.
fn base(text: &str) -> Option<Url> {
    let url = web(&format!("{}/", text.trim().trim_end_matches('/')))?;
    let plain = url.query().is_none() && url.fragment().is_none();
    (plain && url.username().is_empty() && url.password().is_none()).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_made_of_a_key_and_an_address() {
        let made = |key, base| Stripe::new(key, base).map(|it| it.base.to_string());
        for (key, base, is) in [
            ("sk_test_1", API, "https://api.stripe.com/"),
            ("sk_live_1\n", API, "https://api.stripe.com/"),
            ("rk_test_1", "http://127.0.0.1:12111", "http://127.0.0.1:12111/"),
            ("sk_test_1", "http://localhost:1/stripe//", "http://localhost:1/stripe/"),
        ] {
            assert_eq!(made(key, base).as_deref(), Ok(is), "{base}");
        }
        for (key, base, why) in [
            ("", API, NotReady::Key),
            (" \n", API, NotReady::Key),
            ("sk_test_1\nx", API, NotReady::Key),
            ("sk_tést", API, NotReady::Key),
            ("sk_test_1", "", NotReady::Base),
            ("sk_test_1", "api.stripe.com", NotReady::Base),
            ("sk_test_1", "ftp://api.stripe.com", NotReady::Base),
            ("sk_test_1", "https://", NotReady::Base),
            ("sk_test_1", "https://sk@api.stripe.com", NotReady::Base),
            ("sk_test_1", "https://api.stripe.com?x=1", NotReady::Base),
            ("sk_test_1", "https://api.stripe.com#x", NotReady::Base),
            ("sk_live_1", "http://api.stripe.com", NotReady::Plain),
            ("rk_live_1", "HTTP://127.0.0.1", NotReady::Plain),
        ] {
            assert_eq!(made(key, base), Err(why), "{key:?} {base}");
        }
    }

    #[test]
    fn the_key_shows_nowhere() {
        let stripe = Stripe::new("sk_test_secret", API).expect("a client");
        assert_eq!(format!("{stripe:?}"), r#"Stripe { base: "https://api.stripe.com/", .. }"#);
        let broken = Stripe::new("sk_live_secret", "http://localhost").expect_err("over http");
        assert!(!format!("{broken} {broken:?}").contains("secret"));
    }
}
