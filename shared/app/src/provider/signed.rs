//! The proof that a provider's wallet said something, and that it says it for the first time.

use framefair_domain::signing::{self, Once, SignatureRefused};
use framefair_domain::time::{MINUTE_MS, Timestamp};
use framefair_domain::wallet::Wallet;
use framefair_store::rows::ClaimRow;
use framefair_store::{When, Write, keys};

use crate::{Call, Ctx, Refusal};

/// A signature as it comes in a request.
#[derive(Clone, Debug)]
pub struct Signed {
    pub signature: String,
    pub once: Option<Once>,
}

impl Signed {
    /// Checks that `wallet` signed `short` (or its single-use form), and returns the write that
    /// uses up the nonce, to be made together with what was signed for.
    pub(crate) fn verify(
        &self,
        ctx: &Ctx,
        call: &Call,
        wallet: &Wallet,
        short: String,
    ) -> Result<Option<Write>, Refusal> {
        if self.once.is_none() && ctx.platform.require_nonce {
            return Err(Refusal::invalid(
                "this hub takes signatures with timestamp and nonce only; add both and sign the text followed by :{timestamp}:{nonce}",
            ));
        }
        // A single-use signature must not pass again as a short one over a longer text.
        if self.once.is_none() && signing::ends_like_once(&short) {
            return Err(SignatureRefused::Mismatch.into());
        }
        let text = signing::text(short, self.once.as_ref());
        signing::verify(wallet, text.as_bytes(), &self.signature)?;
        let Some(once) = &self.once else { return Ok(None) };
        if !once.is_fresh(call.now) {
            return Err(SignatureRefused::Stale.into());
        }
        Ok(Some(nonce_write(wallet, &once.nonce, call.now)))
    }
}

/// Uses up a nonce; it may be forgotten once its timestamp is too old to pass anyway.
pub(crate) fn nonce_write(wallet: &Wallet, nonce: &str, now: Timestamp) -> Write {
    let claim = ClaimRow {
        key: Some(keys::nonce_claim(wallet, nonce)),
        by: wallet.to_string(),
        until_s: Some(now.plus_ms(3 * MINUTE_MS).seconds()),
    };
    Write::put(&claim, When::AbsentOrExpired { now_s: now.seconds() })
}
