//! Where a deployment keeps the key of its anchors. Shows nothing of it, not even in errors.

use framefair_chain::{KeyError, Signer};
use framefair_store::Broken;

use crate::Ctx;

/// The variable that names the secret.
const NAMED_BY: &str = "ANCHOR_SECRET";

/// Why the key could not be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyUnread {
    #[error("{NAMED_BY} is not set; it names the secret whose text is the key file of the anchors")]
    Unnamed,
    #[error("the secret that {NAMED_BY} names cannot be read: {}", .0.detail())]
    Secret(Broken),
    #[error("the secret that {NAMED_BY} names: {0}")]
    Key(#[from] KeyError),
    #[error("the secret that {NAMED_BY} names is not the key of ANCHOR_WALLET")]
    OtherWallet,
}

/// From the secret that `ANCHOR_SECRET` names.
pub async fn signer_from_env(ctx: &Ctx) -> Result<Signer, KeyUnread> {
    let named = std::env::var(NAMED_BY).ok().filter(|name| !name.is_empty());
    let text = ctx.store.secret(&named.ok_or(KeyUnread::Unnamed)?).await;
    let signer = Signer::parse(&text.map_err(KeyUnread::Secret)?)?;
    if Some(signer.wallet()) != ctx.platform.anchor {
        return Err(KeyUnread::OtherWallet);
    }
    Ok(signer)
}
