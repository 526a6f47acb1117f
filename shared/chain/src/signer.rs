//! Keys that sign transactions, and their files. Knows no transaction; never shows a secret.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use ed25519_dalek::{Signer as _, SigningKey};
use framefair_domain::wallet::{TxSignature, Wallet};

use crate::error::ChainError;

/// A JSON array of 64 small numbers is at most 4 × 64 characters and some blanks.
const FILE_MAX_BYTES: u64 = 4096;

/// Something that signs for one wallet. A key file now; a key that never leaves a KMS fits beside
/// it, which is why signing is async and may fail.
pub struct Signer {
    kind: Kind,
    wallet: Wallet,
}

enum Kind {
    /// Boxed: zeroed when it is dropped, and not copied around on the stack before.
    File(Box<SigningKey>),
}

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("the key file cannot be used: {0}")]
    Io(#[from] io::Error),
    #[error("there is a key file already, and a key is never overwritten: move it away first")]
    Exists,
    #[error("not a Solana key file: it must be a JSON array of 64 bytes whose halves fit")]
    NotAKey,
    #[error("others may read the key file: run `chmod 600` on it")]
    TooOpen,
}

impl Signer {
    /// Reads a key file as the Solana tools write it.
    pub fn load(path: impl AsRef<Path>) -> Result<Signer, KeyError> {
        let file = File::open(path)?;
        if open_to_others(&file)? {
            return Err(KeyError::TooOpen);
        }
        let mut text = String::new();
        let read = file.take(FILE_MAX_BYTES).read_to_string(&mut text);
        read.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => KeyError::NotAKey,
            _ => KeyError::Io(error),
        })?;
        Signer::parse(&text)
    }

    /// Reads a key as it stands in such a file.
    pub fn parse(text: &str) -> Result<Signer, KeyError> {
        let bytes: Vec<u8> = serde_json::from_str(text).map_err(|_| KeyError::NotAKey)?;
        let bytes: [u8; 64] = bytes.try_into().map_err(|_| KeyError::NotAKey)?;
        let key = SigningKey::from_keypair_bytes(&bytes).map_err(|_| KeyError::NotAKey)?;
        Signer::of(key).ok_or(KeyError::NotAKey)
    }

    /// Draws a new key and writes it to a file that did not exist. The file appears whole or not
    /// at all, readable by its owner alone.
    pub fn create(path: impl AsRef<Path>) -> Result<Signer, KeyError> {
        let path = path.as_ref();
        let key = SigningKey::from_bytes(&rand::random());
        let signer = Signer::of(key.clone()).ok_or(KeyError::NotAKey)?;
        let text = serde_json::to_string(&key.to_keypair_bytes().to_vec())
            .map_err(|_| KeyError::NotAKey)?;
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{:016x}", rand::random::<u64>()));
        let written = write_private(beside.as_ref(), &text)
            // A link, unlike a rename, never replaces what is there.
            .and_then(|()| fs::hard_link(&beside, path));
        // The name beside is scaffolding, whatever became of the key.
        let removed = fs::remove_file(&beside);
        written.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => KeyError::Exists,
            _ => KeyError::Io(error),
        })?;
        removed?;
        Ok(signer)
    }

    /// A key that lives in this process only, such as a test's.
    pub fn from_secret(secret: [u8; 32]) -> Option<Signer> {
        Signer::of(SigningKey::from_bytes(&secret))
    }

    fn of(key: SigningKey) -> Option<Signer> {
        let wallet = Wallet::from_bytes(key.verifying_key().to_bytes()).ok()?;
        Some(Signer { kind: Kind::File(Box::new(key)), wallet })
    }

    pub const fn wallet(&self) -> Wallet {
        self.wallet
    }

    pub(crate) async fn sign(&self, message: &[u8]) -> Result<TxSignature, ChainError> {
        match &self.kind {
            Kind::File(key) => key
                .try_sign(message)
                .map(|signature| TxSignature(signature.to_bytes()))
                .map_err(|_| ChainError::Signing("the key file's key refused")),
        }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::File(_) => "file",
        };
        f.debug_struct("Signer").field("kind", &kind).field("wallet", &self.wallet).finish()
    }
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(unix)]
fn open_to_others(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(file.metadata()?.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn open_to_others(_: &File) -> io::Result<bool> {
    Ok(false)
}
