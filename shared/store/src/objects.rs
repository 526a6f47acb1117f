//! Objects in one bucket: put, read, copy, and URLs that let others do one of these once. Knows
//! sizes and hashes; knows nothing of what is inside or where a key comes from.

mod body;
mod parts;
mod presign;

use std::path::Path;
use std::time::Duration;

use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumMode, MetadataDirective};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::Stream;

use crate::Broken;

pub use body::Body;
pub use parts::{InParts, PartTerms, StoredPart};
pub use presign::{Presigned, PutTerms};

/// The slowest sender worth waiting for, which bounds an upload by its length.
const BYTES_PER_SECOND_MIN: u64 = 256 * 1024;
const CONFLICT_TRIES: u32 = 3;
/// What one PUT or one copy may carry; more would need parts.
pub const OBJECT_SIZE_MAX: u64 = 5 * 1024 * 1024 * 1024;

/// The objects of one bucket. Cheap to clone.
#[derive(Clone)]
pub struct Objects {
    client: aws_sdk_s3::Client,
    presign: aws_sdk_s3::Client,
    bucket: String,
}

/// What is known of an object without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub size: u64,
    pub content_type: Option<String>,
    /// Of the whole object, where it was put with one.
    pub sha256: Option<[u8; 32]>,
}

/// Why an object was not put.
#[derive(Debug, thiserror::Error)]
pub enum PutFailed {
    #[error("an object with this key exists")]
    Exists,
    #[error(transparent)]
    Broken(#[from] Broken),
}

/// An object that is being read.
pub struct Opened {
    pub head: Head,
    pub body: Body,
}

impl Objects {
    pub(crate) fn new(
        client: aws_sdk_s3::Client,
        presign: aws_sdk_s3::Client,
        bucket: String,
    ) -> Self {
        Self { client, presign, bucket }
    }

    pub(crate) fn client(&self) -> &aws_sdk_s3::Client {
        &self.client
    }

    /// The object as others name it: `s3://bucket/key`.
    pub fn reference(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }

    pub(crate) fn bucket(&self) -> &str {
        &self.bucket
    }

    /// From memory. `if_absent`: an object that exists stays and [`PutFailed::Exists`] is said.
    pub async fn put(
        &self,
        key: &str,
        bytes: Bytes,
        content_type: &str,
        if_absent: bool,
    ) -> Result<(), PutFailed> {
        let mut tries = 1;
        loop {
            let put = self
                .put_request(key, content_type, if_absent)
                .body(ByteStream::from(bytes.clone()));
            match put.send().await {
                Ok(_) => return Ok(()),
                // Two conditional puts at once: S3 asks the loser to look again.
                Err(error)
                    if error.code() == Some("ConditionalRequestConflict")
                        && tries < CONFLICT_TRIES =>
                {
                    tries += 1;
                }
                Err(error) => return Err(put_failed(error)),
            }
        }
    }

    /// From a file, read while it is sent and again if a try fails.
    pub async fn put_file(
        &self,
        key: &str,
        path: &Path,
        content_type: &str,
        if_absent: bool,
    ) -> Result<(), PutFailed> {
        let size =
            tokio::fs::metadata(path).await.map_err(|cause| Broken::new("PutObject", cause))?.len();
        let body =
            ByteStream::from_path(path).await.map_err(|cause| Broken::new("PutObject", cause))?;
        self.put_long(key, body, size, content_type, if_absent).await
    }

    /// From a stream of known length, which is not repeated if the try fails. A stream of any
    /// other length fails, and nothing is stored.
    pub async fn put_stream<S>(
        &self,
        key: &str,
        stream: S,
        size: u64,
        content_type: &str,
        if_absent: bool,
    ) -> Result<(), PutFailed>
    where
        S: Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    {
        let body = body::sized(stream, size);
        self.put_long(key, body, size, content_type, if_absent).await
    }

    async fn put_long(
        &self,
        key: &str,
        body: ByteStream,
        size: u64,
        content_type: &str,
        if_absent: bool,
    ) -> Result<(), PutFailed> {
        if size > OBJECT_SIZE_MAX {
            return Err(Broken::new("PutObject", "larger than one PUT may carry").into());
        }
        let length = i64::try_from(size).map_err(|cause| Broken::new("PutObject", cause))?;
        self.put_request(key, content_type, if_absent)
            .content_length(length)
            .body(body)
            .customize()
            .config_override(patient(size))
            .send()
            .await
            .map(|_| ())
            .map_err(put_failed)
    }

    fn put_request(
        &self,
        key: &str,
        content_type: &str,
        if_absent: bool,
    ) -> PutObjectFluentBuilder {
        self.client
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .content_type(content_type)
            .set_if_none_match(if_absent.then(|| "*".to_owned()))
    }

    /// The whole object, which must not be larger than `bytes_max`; `None` where there is none.
    pub async fn get(&self, key: &str, bytes_max: u64) -> Result<Option<Bytes>, Broken> {
        let Some(mut opened) = self.open(key).await? else {
            return Ok(None);
        };
        if opened.head.size > bytes_max {
            return Err(Broken::new("GetObject", "the object is larger than the reader allows"));
        }
        let mut whole = Vec::with_capacity(usize::try_from(opened.head.size).unwrap_or(0));
        while let Some(chunk) = opened.body.next().await? {
            whole.extend_from_slice(&chunk);
            if whole.len() as u64 > bytes_max {
                return Err(Broken::new("GetObject", "the object is larger than it said"));
            }
        }
        Ok(Some(whole.into()))
    }

    /// The first bytes of an object, at most so many; `None` where there is none.
    pub async fn beginning(&self, key: &str, bytes_max: usize) -> Result<Option<Bytes>, Broken> {
        let last = bytes_max.saturating_sub(1);
        let answer = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(key)
            .range(format!("bytes=0-{last}"))
            .send()
            .await;
        match answer {
            Ok(answer) => {
                let whole = answer.body.collect().await;
                let whole = whole.map_err(|cause| Broken::new("GetObject", cause))?.into_bytes();
                Ok(Some(whole.slice(..whole.len().min(bytes_max))))
            }
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(Broken::new("GetObject", error)),
        }
    }

    /// The object as a stream; `None` where there is none.
    pub async fn open(&self, key: &str) -> Result<Option<Opened>, Broken> {
        let answer = self.client.get_object().bucket(&self.bucket).key(key).send().await;
        match answer {
            Ok(answer) => Ok(Some(Opened {
                head: Head {
                    size: size_of(answer.content_length),
                    content_type: answer.content_type,
                    sha256: answer.checksum_sha256.as_deref().and_then(whole_hash),
                },
                body: Body::new(answer.body),
            })),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(Broken::new("GetObject", error)),
        }
    }

    pub async fn head(&self, key: &str) -> Result<Option<Head>, Broken> {
        let answer = self
            .client
            .head_object()
            .bucket(&self.bucket)
            .key(key)
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await;
        match answer {
            Ok(answer) => Ok(Some(Head {
                size: size_of(answer.content_length),
                sha256: answer.checksum_sha256().and_then(whole_hash),
                content_type: answer.content_type,
            })),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(Broken::new("HeadObject", error)),
        }
    }

    /// Within the bucket, by the service itself. False where there is no `from`; `if_absent` as
    /// for [`Objects::put`].
    pub async fn copy(
        &self,
        from: &str,
        to: &str,
        content_type: &str,
        if_absent: bool,
    ) -> Result<bool, PutFailed> {
        let answer = self
            .client
            .copy_object()
            .bucket(&self.bucket)
            .copy_source(format!("{}/{}", self.bucket, encoded(from)))
            .key(to)
            .metadata_directive(MetadataDirective::Replace)
            .content_type(content_type)
            .set_if_none_match(if_absent.then(|| "*".to_owned()))
            .customize()
            .config_override(patient(OBJECT_SIZE_MAX))
            .send()
            .await;
        match answer {
            Ok(_) => Ok(true),
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) if error.code() == Some("PreconditionFailed") => Err(PutFailed::Exists),
            Err(error) => Err(Broken::new("CopyObject", error).into()),
        }
    }

    /// Also where there is none.
    pub async fn delete(&self, key: &str) -> Result<(), Broken> {
        self.client
            .delete_object()
            .bucket(&self.bucket)
            .key(key)
            .send()
            .await
            .map(|_| ())
            .map_err(|error| Broken::new("DeleteObject", error))
    }
}

/// Waits for an answer about this many bytes as long as they may take.
fn patient(size: u64) -> aws_sdk_s3::config::Builder {
    let patience = Duration::from_secs(30 + size / BYTES_PER_SECOND_MIN);
    let waits = TimeoutConfig::builder().read_timeout(patience).build();
    aws_sdk_s3::config::Builder::new().timeout_config(waits)
}

fn put_failed<E>(error: SdkError<E, HttpResponse>) -> PutFailed
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    if error.code() == Some("PreconditionFailed") {
        PutFailed::Exists
    } else {
        Broken::new("PutObject", error).into()
    }
}

/// By status too: an answer to HEAD has no body to carry a code.
fn is_missing<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    match error {
        SdkError::ServiceError(service) => {
            service.raw().status().as_u16() == 404 && service.err().code() != Some("NoSuchBucket")
        }
        _ => false,
    }
}

fn size_of(length: Option<i64>) -> u64 {
    length.and_then(|length| u64::try_from(length).ok()).unwrap_or(0)
}

/// `None` for the hash of part hashes, which S3 writes with a count behind it.
fn whole_hash(text: &str) -> Option<[u8; 32]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// Percent-encoding of a key for a header, with its slashes kept.
fn encoded(key: &str) -> String {
    let mut out = String::with_capacity(key.len());
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copied_key_is_encoded_and_keeps_its_slashes() {
        assert_eq!(encoded("staging/a b+ü.png"), "staging/a%20b%2B%C3%BC.png");
    }

    #[test]
    fn a_hash_of_part_hashes_is_no_hash_of_the_object() {
        assert_eq!(whole_hash(&STANDARD.encode([7; 32])), Some([7; 32]));
        assert_eq!(whole_hash(&format!("{}-3", STANDARD.encode([7; 32]))), None);
    }
}
