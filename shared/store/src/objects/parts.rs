//! Objects that come in parts: begun, put part by part by us or by the holders of links, joined or
//! dropped. Each part is put with its SHA-256, which the store checks and keeps; or, where its sender said so at the
//! beginning, without.

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::presign::{lasting, presigned};
use super::{Objects, Presigned, is_missing, size_of, whole_hash};
use crate::Broken;

/// More parts than this are read in several answers.
const LISTED_MAX: i32 = 1_000;
/// What one call may delete.
const DELETED_MAX: usize = 1_000;

/// An object that is still in parts.
#[derive(Clone, Copy, Debug)]
pub struct InParts<'a> {
    pub key: &'a str,
    /// The store's own name for them.
    pub id: &'a str,
}

/// A part that the store has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPart {
    /// From 1.
    pub number: u16,
    pub size: u64,
    pub etag: String,
    /// None where it was sent without.
    pub sha256: Option<[u8; 32]>,
}

/// What a part must be, byte for byte.
#[derive(Clone, Copy, Debug)]
pub struct PartTerms {
    pub number: u16,
    pub size: u64,
    pub sha256: Option<[u8; 32]>,
    pub seconds: u64,
}

impl Objects {
    /// Begins an object in parts, each of them with its hash or none; says the store's name for them.
    pub async fn begin_parts(
        &self,
        key: &str,
        content_type: &str,
        hashed: bool,
    ) -> Result<String, Broken> {
        const OP: &str = "CreateMultipartUpload";
        let begun = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(key)
            .content_type(content_type)
            .set_checksum_algorithm(hashed.then_some(ChecksumAlgorithm::Sha256))
            .send()
            .await
            .map_err(|error| Broken::new(OP, error))?;
        begun.upload_id.ok_or_else(|| Broken::new(OP, "an upload without a name"))
    }

    pub async fn put_part(
        &self,
        of: InParts<'_>,
        number: u16,
        bytes: Bytes,
        sha256: [u8; 32],
    ) -> Result<StoredPart, Broken> {
        const OP: &str = "UploadPart";
        let size = bytes.len() as u64;
        let put = self
            .client
            .upload_part()
            .bucket(&self.bucket)
            .key(of.key)
            .upload_id(of.id)
            .part_number(number.into())
            .checksum_sha256(STANDARD.encode(sha256))
            .body(ByteStream::from(bytes))
            .send()
            .await
            .map_err(|error| Broken::new(OP, error))?;
        let etag = put.e_tag.ok_or_else(|| Broken::new(OP, "a part without an ETag"))?;
        Ok(StoredPart { number, size, etag, sha256: Some(sha256) })
    }

    /// A URL to put exactly this part.
    pub async fn presign_part(
        &self,
        of: InParts<'_>,
        terms: PartTerms,
    ) -> Result<Presigned, Broken> {
        const OP: &str = "PresignPart";
        let length = i64::try_from(terms.size).map_err(|cause| Broken::new(OP, cause))?;
        let request = self
            .presign
            .upload_part()
            .bucket(&self.bucket)
            .key(of.key)
            .upload_id(of.id)
            .part_number(terms.number.into())
            .content_length(length)
            .set_checksum_sha256(terms.sha256.map(|hash| STANDARD.encode(hash)))
            .presigned(lasting(terms.seconds)?)
            .await
            .map_err(|cause| Broken::new(OP, cause))?;
        Ok(presigned(&request))
    }

    /// The parts that are there, by number; `None` where nothing is in parts under this name (any
    /// more).
    pub async fn parts(&self, of: InParts<'_>) -> Result<Option<Vec<StoredPart>>, Broken> {
        const OP: &str = "ListParts";
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let listed = self
                .client
                .list_parts()
                .bucket(&self.bucket)
                .key(of.key)
                .upload_id(of.id)
                .max_parts(LISTED_MAX)
                .set_part_number_marker(after)
                .send()
                .await;
            let listed = match listed {
                Err(error) if is_missing(&error) => return Ok(None),
                other => other.map_err(|error| Broken::new(OP, error))?,
            };
            for part in listed.parts.unwrap_or_default() {
                let number = part.part_number.and_then(|number| u16::try_from(number).ok());
                let sha256 = part.checksum_sha256.as_deref().and_then(whole_hash);
                if let (Some(number), Some(etag)) = (number, part.e_tag) {
                    found.push(StoredPart { number, size: size_of(part.size), etag, sha256 });
                }
            }
            after = listed.next_part_number_marker.filter(|_| listed.is_truncated == Some(true));
            if after.is_none() {
                return Ok(Some(found));
            }
        }
    }

    /// Makes the parts one object. False where they are in parts no more, joined before or dropped,
    /// and where they are not the same parts any more.
    pub async fn join_parts(&self, of: InParts<'_>, parts: &[StoredPart]) -> Result<bool, Broken> {
        let completed = parts.iter().map(|part| {
            CompletedPart::builder()
                .part_number(part.number.into())
                .e_tag(&part.etag)
                .set_checksum_sha256(part.sha256.map(|hash| STANDARD.encode(hash)))
                .build()
        });
        let completed =
            CompletedMultipartUpload::builder().set_parts(Some(completed.collect())).build();
        let joined = self
            .client
            .complete_multipart_upload()
            .bucket(&self.bucket)
            .key(of.key)
            .upload_id(of.id)
            .multipart_upload(completed)
            .customize()
            .config_override(super::patient(parts.iter().map(|part| part.size).sum()))
            .send()
            .await;
        match joined {
            Ok(_) => Ok(true),
            Err(error) if is_missing(&error) || error.code() == Some("InvalidPart") => Ok(false),
            Err(error) => Err(Broken::new("CompleteMultipartUpload", error)),
        }
    }

    /// Also where there are none.
    pub async fn drop_parts(&self, of: InParts<'_>) -> Result<(), Broken> {
        let dropped = self
            .client
            .abort_multipart_upload()
            .bucket(&self.bucket)
            .key(of.key)
            .upload_id(of.id)
            .send()
            .await;
        match dropped {
            Ok(_) => Ok(()),
            Err(error) if is_missing(&error) => Ok(()),
            Err(error) => Err(Broken::new("AbortMultipartUpload", error)),
        }
    }

    /// Also those that are not there.
    pub async fn delete_many(&self, keys: &[String]) -> Result<(), Broken> {
        const OP: &str = "DeleteObjects";
        for some in keys.chunks(DELETED_MAX) {
            let named = some.iter().map(|key| ObjectIdentifier::builder().key(key).build());
            let named: Vec<_> =
                named.collect::<Result<_, _>>().map_err(|cause| Broken::new(OP, cause))?;
            let delete = Delete::builder().set_objects(Some(named)).quiet(true).build();
            let deleted = self
                .client
                .delete_objects()
                .bucket(&self.bucket)
                .delete(delete.map_err(|cause| Broken::new(OP, cause))?)
                .send()
                .await
                .map_err(|error| Broken::new(OP, error))?;
            if let Some(error) = deleted.errors().first() {
                let code = error.code().unwrap_or("an error without a code").to_owned();
                return Err(Broken::new(OP, code));
            }
        }
        Ok(())
    }
}
