//! The wallet that this node speaks for. The secret stays with whoever made the closure.

use std::sync::Arc;

use framefair_domain::wallet::Wallet;

/// A wallet, and the means to sign a text with it (base58 of the detached signature).
#[derive(Clone)]
pub struct Identity {
    pub wallet: Wallet,
    sign: Arc<dyn Fn(&str) -> String + Send + Sync>,
}

impl Identity {
    pub fn new(wallet: Wallet, sign: impl Fn(&str) -> String + Send + Sync + 'static) -> Identity {
        Identity { wallet, sign: Arc::new(sign) }
    }

    pub fn sign(&self, text: &str) -> String {
        (self.sign)(text)
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("wallet", &self.wallet).finish_non_exhaustive()
    }
}
