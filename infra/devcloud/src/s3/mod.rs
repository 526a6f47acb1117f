//! S3 over a folder. Knows what each operation means; s3s knows the protocol, the XML and the
//! signatures, `index` what is visible, `blob` the bytes.
//!
//! s3s-fs, which ships beside s3s, is not used: it checks digests after the file is in place and
//! answers `If-None-Match: *` from a look that another writer can overtake. Here an object becomes
//! visible by one transaction on the index, after its bytes are checked and on disk.

mod answers;
mod blob;
mod checksums;
mod index;
mod list;
mod multipart;
mod objects;
mod operations;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3Error, S3Result, s3_error};

use crate::sqlite::{Durability, Fault, Sqlite};

/// UTF-8 bytes, as S3 has it.
const KEY_BYTES_MAX: usize = 1024;

/// All buckets. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Buckets {
    index: Sqlite,
    folder: PathBuf,
    object_size_max: u64,
}

pub(crate) fn service(buckets: Buckets, access_key: &str, secret_key: &str) -> S3Service {
    let mut builder = S3ServiceBuilder::new(buckets);
    builder.set_auth(SimpleAuth::from_single(access_key, secret_key));
    builder.build()
}

impl Buckets {
    pub(crate) fn open(index: &Path, folder: PathBuf, object_size_max: u64) -> Result<Self, Fault> {
        Ok(Self {
            index: Sqlite::open(index, index::SCHEMA, Durability::Disk)?,
            folder,
            object_size_max,
        })
    }

    /// Deletes files that no row names: uploads that a killed process left half done.
    ///
    /// Only safe while nothing is being uploaded, that is before serving starts.
    pub(crate) async fn remove_orphans(&self) -> Result<(), Fault> {
        let folder = self.folder.clone();
        self.index
            .call(move |conn| {
                for bucket in index::buckets(conn)? {
                    let known: HashSet<String> = index::blobs(conn, &bucket.name)?;
                    for file in std::fs::read_dir(folder.join(&bucket.name))? {
                        let file = file?;
                        if !file.file_name().to_str().is_some_and(|n| known.contains(n)) {
                            std::fs::remove_file(file.path())?;
                        }
                    }
                }
                Ok(())
            })
            .await
    }

    /// Where a blob lies. Its name is ours and random, so a key can spell no path.
    fn path(&self, bucket: &str, blob: &str) -> PathBuf {
        self.folder.join(bucket).join(blob)
    }

    /// Blobs that no row names any more. What fails here is deleted as an orphan at next start.
    async fn forget(&self, bucket: &str, blobs: Vec<String>) {
        for blob in blobs {
            let path = self.path(bucket, &blob);
            if let Err(error) = tokio::fs::remove_file(&path).await {
                tracing::debug!(%error, path = %path.display(), "a blob could not be deleted");
            }
        }
    }
}

fn check_key(key: &str) -> S3Result<()> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(s3_error!(KeyTooLongError));
    }
    Ok(())
}

fn internal(fault: Fault) -> S3Error {
    tracing::error!(%fault, "S3 failed");
    S3Error::internal_error(fault)
}
