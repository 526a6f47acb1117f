//! Bytes on disk: streamed in under a name of our own, checked, synced. Knows no bucket's contents
//! and makes nothing visible.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::StreamingBlob;
use s3s::{S3Result, TrailingHeaders, s3_error};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, BufWriter};

use super::checksums::{Checksums, Claims};
use super::internal;

const BUFFER_BYTES: usize = 256 * 1024;

/// What the client said about the body before and, in trailers, after it.
pub(super) struct Said {
    pub(super) claims: Claims,
    pub(super) md5: Option<String>,
    /// Bytes of the body itself, without the framing of a chunked signature.
    pub(super) length: Option<u64>,
    pub(super) trailers: Option<TrailingHeaders>,
}

/// A body that is on disk, and true to what was said of it.
pub(super) struct Stored {
    pub(super) blob: String,
    pub(super) size: u64,
    pub(super) md5: [u8; 16],
    pub(super) checksums: Checksums,
}

/// A file that is deleted unless it is kept. Covers every early return, and a dropped request.
pub(super) struct Draft {
    path: PathBuf,
    blob: String,
    kept: bool,
}

impl Draft {
    pub(super) fn new(folder: &Path) -> Self {
        let blob = uuid::Uuid::now_v7().simple().to_string();
        Self { path: folder.join(&blob), blob, kept: false }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Call once a row names the blob.
    pub(super) fn keep(mut self) {
        self.kept = true;
    }

    pub(super) fn blob(&self) -> &str {
        &self.blob
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.kept {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Streams `body` into the draft's file. Nothing is visible yet when this returns.
pub(super) async fn receive(
    draft: &Draft,
    mut body: StreamingBlob,
    mut said: Said,
    size_max: u64,
) -> S3Result<Stored> {
    let too_large = || s3_error!(EntityTooLarge, "The object may have {} bytes at most.", size_max);
    if said.length.is_some_and(|length| length > size_max) {
        return Err(too_large());
    }
    let file = tokio::fs::File::create_new(draft.path()).await.map_err(|e| {
        if e.kind() == io::ErrorKind::NotFound {
            s3_error!(NoSuchBucket)
        } else {
            internal(e.into())
        }
    })?;
    let mut file = BufWriter::with_capacity(BUFFER_BYTES, file);
    let mut md5 = Md5::new();
    let mut size = 0_u64;
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(unreadable)?;
        size += chunk.len() as u64;
        if size > size_max {
            return Err(too_large());
        }
        md5.update(&chunk);
        said.claims.update(&chunk);
        file.write_all(&chunk).await.map_err(|e| internal(e.into()))?;
    }
    if said.length.is_some_and(|length| length != size) {
        return Err(s3_error!(IncompleteBody));
    }
    let md5 = md5.finalize();
    if let Some(claimed) = &said.md5 {
        let claimed = STANDARD.decode(claimed).map_err(|_| s3_error!(InvalidDigest))?;
        if claimed != md5 {
            return Err(s3_error!(BadDigest, "The Content-MD5 you specified did not match."));
        }
    }
    let checksums = said.claims.settle(said.trailers.as_ref())?;
    let synced = async {
        file.flush().await?;
        file.get_ref().sync_all().await?;
        sync_folder(draft.path()).await
    };
    synced.await.map_err(|e| internal(e.into()))?;
    Ok(Stored { blob: draft.blob().to_owned(), size, md5, checksums })
}

/// A body breaks off, or differs from its signed digest. Neither is ours, and neither is an object.
fn unreadable(error: s3s::StdError) -> s3s::S3Error {
    tracing::debug!(%error, "an upload ended early or differs from its signature");
    let text = error.to_string();
    if text.contains("Sha256Mismatch") {
        s3_error!(BadDigest, "The body differs from the signed x-amz-content-sha256.")
    } else if text.contains("SignatureMismatch") {
        s3_error!(SignatureDoesNotMatch)
    } else {
        s3_error!(IncompleteBody)
    }
}

/// A file's name is durable only when its folder is.
async fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file.parent().map(Path::to_path_buf).unwrap_or_default();
    tokio::fs::File::open(folder).await?.sync_all().await
}

/// Joins parts into the draft's file.
pub(super) fn join(draft: &Draft, parts: &[PathBuf]) -> io::Result<u64> {
    let mut out = File::create_new(draft.path())?;
    let mut size = 0;
    for part in parts {
        size += io::copy(&mut File::open(part)?.by_ref(), &mut out)?;
    }
    out.sync_all()?;
    File::open(draft.path().parent().unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(size)
}

/// A second name for bytes that never change: a copy without copying.
pub(super) fn link(draft: &Draft, from: &Path) -> io::Result<()> {
    std::fs::hard_link(from, draft.path())?;
    File::open(draft.path().parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// `length` bytes of a blob, from `start`.
pub(super) async fn read(
    path: &Path,
    start: u64,
    length: u64,
) -> io::Result<impl Stream<Item = io::Result<Bytes>> + Send + Sync + 'static + use<>> {
    let mut file = tokio::fs::File::open(path).await?;
    if start > 0 {
        file.seek(io::SeekFrom::Start(start)).await?;
    }
    let source = file.take(length);
    Ok(futures::stream::try_unfold(source, |mut source| async move {
        let want = usize::try_from(source.limit()).unwrap_or(BUFFER_BYTES).min(BUFFER_BYTES);
        if want == 0 {
            return Ok(None);
        }
        let mut buffer = BytesMut::with_capacity(want);
        if source.read_buf(&mut buffer).await? == 0 {
            // The length is already on the wire; an error makes the client see a short answer.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some((buffer.freeze(), source)))
    }))
}
