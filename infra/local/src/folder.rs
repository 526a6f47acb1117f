//! What lies in the data folder, and the lock that keeps a second process out of it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use framefair_app::account::TokenKeys;
use framefair_app::uploads::UploadSecret;
use framefair_chain::{KeyError, Signer};
use serde::{Deserialize, Serialize};

/// A data folder that this process holds. The lock dies with the process.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
    _lock: File,
}

#[derive(Debug, thiserror::Error)]
pub enum FolderRefused {
    #[error(
        "{} is in use by another framefair-local; stop that one, or give another folder with --data",
        .0.display()
    )]
    InUse(PathBuf),
    #[error("the data folder {} cannot be used: {cause}", path.display())]
    Io { path: PathBuf, cause: io::Error },
    #[error("the key {} cannot be used: {cause}", path.display())]
    Key { path: PathBuf, cause: KeyError },
}

/// Where a running process listens; left in the folder for those who come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    pub hub: u16,
    pub rpc: u16,
    pub aws: u16,
}

/// The secret of the embedded cloud, made once per folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CloudKey {
    pub access_key: String,
    pub secret_key: String,
}

impl Folder {
    pub(crate) fn open(root: &Path) -> Result<Folder, FolderRefused> {
        let io = |cause| FolderRefused::Io { path: root.to_owned(), cause };
        fs::create_dir_all(root).map_err(io)?;
        let lock =
            OpenOptions::new().create(true).truncate(false).write(true).open(root.join("lock"));
        let lock = lock.map_err(io)?;
        match lock.try_lock() {
            Ok(()) => Ok(Folder { root: root.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(FolderRefused::InUse(root.to_owned())),
            Err(TryLockError::Error(cause)) => Err(io(cause)),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The wallet of that name, made on first use.
    pub(crate) fn signer(&self, name: &str) -> Result<Signer, FolderRefused> {
        let folder = self.root.join("keys");
        fs::create_dir_all(&folder)
            .map_err(|cause| FolderRefused::Io { path: folder.clone(), cause })?;
        let path = folder.join(format!("{name}.json"));
        let signer = if path.exists() { Signer::load(&path) } else { Signer::create(&path) };
        signer.map_err(|cause| FolderRefused::Key { path, cause })
    }

    pub(crate) fn cloud_key(&self) -> Result<CloudKey, FolderRefused> {
        if let Some(key) = read_cloud_key(&self.root) {
            return Ok(key);
        }
        let secret_key =
            format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
        let key = CloudKey { access_key: "framefair-local".into(), secret_key };
        self.write_private(CLOUD_KEY, &key)?;
        Ok(key)
    }

    /// Behind upload tokens, which outlive the process.
    pub(crate) fn upload_secret(&self) -> Result<UploadSecret, FolderRefused> {
        let path = self.root.join(UPLOAD_SECRET);
        let io = |cause| FolderRefused::Io { path: path.clone(), cause };
        let text = match fs::read(&path) {
            Ok(text) => serde_json::from_slice::<String>(&text).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let fresh = || uuid::Uuid::new_v4().simple().to_string();
                let text = format!("{}{}", fresh(), fresh());
                self.write_private(UPLOAD_SECRET, &text)?;
                Ok(text)
            }
            Err(error) => Err(error),
        };
        UploadSecret::new(&text.map_err(io)?).map_err(|weak| io(io::Error::other(weak)))
    }

    /// Behind the tokens of people, which outlive the process.
    pub(crate) fn token_keys(&self) -> Result<TokenKeys, FolderRefused> {
        self.signer("tokens")?;
        let path = self.root.join("keys").join("tokens.json");
        let text = fs::read_to_string(&path);
        let keys = text.and_then(|text| TokenKeys::parse(&text).map_err(io::Error::other));
        keys.map_err(|cause| FolderRefused::Io { path, cause })
    }

    pub(crate) fn remember_ports(&self, ports: Ports) -> Result<(), FolderRefused> {
        self.write_private(PORTS, &ports)
    }

    fn write_private(&self, name: &str, value: &impl Serialize) -> Result<(), FolderRefused> {
        use std::os::unix::fs::OpenOptionsExt;
        let path = self.root.join(name);
        let partial = self.root.join(format!("{name}.partial"));
        let write = || {
            let text = serde_json::to_string_pretty(value)?;
            let mut options = OpenOptions::new();
            options.create(true).truncate(true).write(true).mode(0o600);
            let mut file = options.open(&partial)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&partial, &path)
        };
        write().map_err(|cause| FolderRefused::Io { path: path.clone(), cause })
    }
}

const CLOUD_KEY: &str = "cloud-key.json";
const PORTS: &str = "ports.json";
const UPLOAD_SECRET: &str = "upload-secret.json";

pub(crate) fn read_cloud_key(root: &Path) -> Option<CloudKey> {
    serde_json::from_str(&fs::read_to_string(root.join(CLOUD_KEY)).ok()?).ok()
}

/// Where the process that holds the folder listens.
pub(crate) fn read_ports(root: &Path) -> Option<Ports> {
    serde_json::from_str(&fs::read_to_string(root.join(PORTS)).ok()?).ok()
}

/// The escrow wallet of a folder that another process holds.
pub(crate) fn read_escrow(root: &Path) -> Result<Signer, FolderRefused> {
    let path = root.join("keys").join("escrow.json");
    Signer::load(&path).map_err(|cause| FolderRefused::Key { path, cause })
}
