//! Where a deployment keeps the keys of its payouts worker. Shows none of them, not even in errors.

use framefair_chain::{KeyError, Signer};
use framefair_store::Broken;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Signers;
use crate::Ctx;

/// The variable that names the secret.
const NAMED_BY: &str = "KEYS_SECRET";

/// Why the keys could not be had.
#[derive(Debug, thiserror::Error)]
pub enum KeysUnread {
    #[error("{NAMED_BY} is not set; it names the secret that holds the keys")]
    Unnamed,
    #[error("the secret that {NAMED_BY} names cannot be read: {}", .0.detail())]
    Secret(Broken),
    #[error(
        "the secret must be {{\"escrow\": KEY, \"gas\": KEY}}, each as it stands in a key file"
    )]
    Shape,
    #[error("the key `{0}`: {1}")]
    Key(&'static str, KeyError),
    #[error("the key `escrow` is not that of ESCROW_WALLET")]
    OtherWallet,
}

#[derive(Deserialize)]
struct Kept<'a> {
    #[serde(borrow)]
    escrow: &'a RawValue,
    #[serde(borrow)]
    gas: &'a RawValue,
}

impl Signers {
    /// From the secret that `KEYS_SECRET` names.
    pub async fn from_env(ctx: &Ctx) -> Result<Signers, KeysUnread> {
        let named = std::env::var(NAMED_BY).ok().filter(|name| !name.is_empty());
        let named = named.ok_or(KeysUnread::Unnamed)?;
        let text = ctx.store.secret(&named).await.map_err(KeysUnread::Secret)?;
        let signers = Signers::parse(&text)?;
        if signers.escrow.wallet() != ctx.platform.escrow {
            return Err(KeysUnread::OtherWallet);
        }
        Ok(signers)
    }

    fn parse(text: &str) -> Result<Signers, KeysUnread> {
        let kept: Kept<'_> = serde_json::from_str(text).map_err(|_| KeysUnread::Shape)?;
        let key = |name, raw: &RawValue| {
            Signer::parse(raw.get()).map_err(|cause| KeysUnread::Key(name, cause))
        };
        Ok(Signers { escrow: key("escrow", kept.escrow)?, gas: key("gas", kept.gas)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_holds_two_key_files_and_says_nothing_of_them_when_it_is_wrong() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str| {
            let path = folder.path().join(name);
            let wallet = Signer::create(&path).expect("a key").wallet();
            (wallet, std::fs::read_to_string(path).expect("its text"))
        };
        let ((escrow, e), (gas, g)) = (file("escrow"), file("gas"));
        let signers = Signers::parse(&format!("{{\"escrow\": {e}, \"gas\": {g}}}")).expect("both");
        assert_eq!((signers.escrow.wallet(), signers.gas.wallet()), (escrow, gas));

        for (text, says) in [
            (format!("{{\"escrow\": {e}}}"), "the secret must be"),
            (e.clone(), "the secret must be"),
            (format!("{{\"escrow\": {e}, \"gas\": [1, 2, 77]}}"), "the key `gas`: not a Solana"),
            (format!("{{\"escrow\": \"seven\", \"gas\": {g}}}"), "the key `escrow`: not a Solana"),
        ] {
            let said = Signers::parse(&text).expect_err("a wrong secret").to_string();
            assert!(said.starts_with(says), "{said}");
            assert!(!said.contains("77") && !said.contains("seven"), "{said}");
        }
    }
}
