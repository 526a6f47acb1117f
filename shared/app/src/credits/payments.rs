//! What a deployment sells credits with: the till that opens pages to pay on, and the ear that hears of
//! payments. A function has the one that it needs, and where nothing is sold there is neither.

use framefair_billing::{Endpoint, NoSecret, NotReady, Stripe};

use crate::Refusal;

pub use framefair_billing::BODY_BYTES_MAX as WEBHOOK_BYTES_MAX;

/// Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Payments {
    till: Option<Till>,
    endpoint: Option<Endpoint>,
}

#[derive(Clone, Debug)]
pub(super) struct Till {
    pub(super) stripe: Stripe,
    /// Where the buyer's browser goes afterwards, which proves nothing.
    pub(super) success_url: String,
    pub(super) cancel_url: String,
}

/// Why nothing could be sold. Shows no secret.
#[derive(Debug, thiserror::Error)]
pub enum BadPayments {
    #[error(transparent)]
    Till(#[from] NotReady),
    #[error(transparent)]
    Webhook(#[from] NoSecret),
}

impl Payments {
    /// With a till: the API key as in `sk_...`, and Stripe's own address or that of somebody who plays it.
    pub fn with_till(
        mut self,
        secret_key: &str,
        api_url: Option<&str>,
        success_url: String,
        cancel_url: String,
    ) -> Result<Payments, BadPayments> {
        let stripe = Stripe::new(secret_key, api_url.unwrap_or(framefair_billing::API))?;
        self.till = Some(Till { stripe, success_url, cancel_url });
        Ok(self)
    }

    /// With an ear: the signing secrets that are valid now, as in `whsec_...`, with white space between.
    pub fn with_webhook(mut self, secrets: &str) -> Result<Payments, BadPayments> {
        self.endpoint = Some(Endpoint::new(secrets.split_whitespace())?);
        Ok(self)
    }

    pub(super) fn till(&self) -> Result<&Till, Refusal> {
        self.till.as_ref().ok_or(Refusal::NoPayments)
    }

    pub(super) fn endpoint(&self) -> Option<&Endpoint> {
        self.endpoint.as_ref()
    }
}
