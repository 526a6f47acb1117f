//! Signs a message with a wallet's file. Transactions are signed elsewhere, by the chain's own code.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use ed25519_dalek::{Signer, SigningKey};

use crate::exit::{Exit, Failure};

/// A JSON array of 64 small numbers is far shorter.
const BYTES_MAX: u64 = 4096;

/// The secret half of a wallet. Never shown; zeroed when dropped.
pub(crate) struct Key(SigningKey);

/// Reads a key file as Solana's tools write it.
pub(crate) fn load(file: &Path) -> Result<Key, Failure> {
    // The chain's reader goes first: it also refuses a file that others may read.
    crate::purse::load(file)?;
    let unusable = |why: &str| {
        Failure::new(Exit::Files, format!("the wallet {} cannot be used", file.display()), why)
    };
    let mut text = String::new();
    File::open(file)
        .and_then(|file| file.take(BYTES_MAX).read_to_string(&mut text))
        .map_err(|error| unusable(&error.to_string()))?;
    let bytes: Vec<u8> = serde_json::from_str(&text).map_err(|_| unusable("it is no key file"))?;
    let bytes: [u8; 64] = bytes.try_into().map_err(|_| unusable("it is no key file"))?;
    SigningKey::from_keypair_bytes(&bytes).map(Key).map_err(|_| unusable("its halves do not fit"))
}

impl Key {
    /// Base58 of the detached signature over the text.
    pub(crate) fn sign(&self, text: &str) -> String {
        framefair_domain::wallet::TxSignature(self.0.sign(text.as_bytes()).to_bytes()).to_string()
    }
}

#[cfg(test)]
mod tests {
    use framefair_domain::signing::verify;

    use super::*;

    #[test]
    fn what_a_wallet_signs_its_address_verifies() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("me.json");
        let wallet = crate::purse::create(&file).unwrap().wallet();
        let signature = load(&file).unwrap().sign("cancel:x:1:n");
        assert_eq!(verify(&wallet, b"cancel:x:1:n", &signature), Ok(()));
        assert!(verify(&wallet, b"cancel:x:1:m", &signature).is_err());
    }

    #[test]
    fn a_file_that_is_no_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in
            [("empty", ""), ("text", "hello"), ("short", "[1,2,3]"), ("big", &"[".repeat(10_000))]
        {
            let file = folder.path().join(name);
            std::fs::write(&file, text).unwrap();
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt;
                std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
            }
            assert_eq!(load(&file).err().unwrap().exit, Exit::Files, "{name}");
        }
        assert!(
            load(&folder.path().join("absent")).err().unwrap().to_string().contains("wallet new")
        );
    }
}
