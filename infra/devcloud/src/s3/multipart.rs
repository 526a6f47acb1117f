//! Uploads in parts. Knows what makes a list of parts an object; the parts are blobs like others.

use std::path::PathBuf;

use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};

use super::answers::{checksum_type, displaced, millis, now_ms, signed, write_condition};
use super::blob::{self, Draft, Said};
use super::checksums::{Checksums, Claims, composite};
use super::index::{self, Entry, Headers, Upload};
use super::objects::{body_length, trailer_algorithm};
use super::{Buckets, internal};

const PARTS_MAX: i32 = 10_000;
/// Every part but the last has at least this many bytes.
const PART_BYTES_MIN: u64 = 5 * 1024 * 1024;

impl Buckets {
    pub(super) async fn start_upload(
        &self,
        input: CreateMultipartUploadInput,
    ) -> S3Result<CreateMultipartUploadOutput> {
        let id = uuid::Uuid::now_v7().simple().to_string();
        let upload = Upload {
            bucket: input.bucket.clone(),
            key: input.key.clone(),
            headers: Headers {
                content_type: input.content_type,
                content_disposition: input.content_disposition,
                content_encoding: input.content_encoding,
                content_language: input.content_language,
                cache_control: input.cache_control,
                metadata: input.metadata.unwrap_or_default().into_iter().collect(),
            },
            algorithm: input.checksum_algorithm.as_ref().map(|a| a.as_str().to_owned()),
        };
        let started = {
            let id = id.clone();
            self.index.call(move |conn| index::start_upload(conn, &id, &upload, now_ms())).await
        };
        if !started.map_err(internal)? {
            return Err(s3_error!(NoSuchBucket));
        }
        Ok(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            checksum_algorithm: input.checksum_algorithm,
            checksum_type: input.checksum_type,
            upload_id: Some(id),
            ..CreateMultipartUploadOutput::default()
        })
    }

    /// The upload, if it exists and is of this very object.
    async fn upload(&self, id: &str, bucket: &str, key: &str) -> S3Result<Upload> {
        let id = id.to_owned();
        let found = self.index.call(move |conn| index::upload(conn, &id)).await;
        match found.map_err(internal)? {
            Some(upload) if upload.bucket == bucket && upload.key == key => Ok(upload),
            _ => Err(s3_error!(NoSuchUpload)),
        }
    }

    pub(super) async fn put_part(
        &self,
        req: S3Request<UploadPartInput>,
    ) -> S3Result<UploadPartOutput> {
        let length = body_length(&req, req.input.content_length);
        let trailer = trailer_algorithm(&req);
        let input = req.input;
        if !(1..=PARTS_MAX).contains(&input.part_number) {
            return Err(s3_error!(InvalidArgument, "A part's number is 1 to {}.", PARTS_MAX));
        }
        let upload = self.upload(&input.upload_id, &input.bucket, &input.key).await?;
        let mut claimed = Checksums {
            crc32: input.checksum_crc32,
            crc32c: input.checksum_crc32c,
            crc64nvme: input.checksum_crc64nvme,
            sha1: input.checksum_sha1,
            sha256: input.checksum_sha256,
            composite: false,
        };
        claimed.claim_query(req.uri.query().unwrap_or(""));
        let algorithm = trailer.or(upload.algorithm);
        let said = Said {
            claims: Claims::new(claimed, algorithm.as_deref())?,
            md5: input.content_md5,
            length,
            trailers: req.trailing_headers,
        };
        let body = input.body.ok_or_else(|| s3_error!(IncompleteBody))?;

        let draft = Draft::new(&self.folder.join(&input.bucket));
        let stored = blob::receive(&draft, body, said, self.object_size_max).await?;
        let part = Entry {
            blob: stored.blob,
            size: stored.size,
            etag: hex::encode(stored.md5),
            modified_ms: now_ms(),
            headers: Headers::default(),
            checksums: stored.checksums,
        };
        let c = part.checksums.clone();
        let etag = part.etag.clone();
        let freed = self
            .index
            .call(move |conn| {
                let put = index::put_part(conn, &input.upload_id, input.part_number, &part)?;
                // On the committing thread, for the reason given in `publish`.
                if put.is_some() {
                    draft.keep();
                }
                Ok(put)
            })
            .await
            .map_err(internal)?
            .ok_or_else(|| s3_error!(NoSuchUpload))?;
        self.forget(&input.bucket, freed.into_iter().collect()).await;
        Ok(UploadPartOutput {
            checksum_crc32: c.crc32,
            checksum_crc32c: c.crc32c,
            checksum_crc64nvme: c.crc64nvme,
            checksum_sha1: c.sha1,
            checksum_sha256: c.sha256,
            e_tag: Some(ETag::Strong(etag)),
            ..UploadPartOutput::default()
        })
    }

    pub(super) async fn list_parts_of(&self, input: ListPartsInput) -> S3Result<ListPartsOutput> {
        self.upload(&input.upload_id, &input.bucket, &input.key).await?;
        let id = input.upload_id.clone();
        let parts = self.index.call(move |conn| index::parts(conn, &id)).await.map_err(internal)?;
        let after = input.part_number_marker.unwrap_or(0);
        let max = usize::try_from(input.max_parts.unwrap_or(1000).clamp(0, 1000)).unwrap_or(0);
        let mut later = parts.into_iter().filter(|(number, _)| *number > after);
        let page: Vec<Part> = later
            .by_ref()
            .take(max)
            .map(|(number, part)| Part {
                checksum_crc32: part.checksums.crc32,
                checksum_sha256: part.checksums.sha256,
                e_tag: Some(ETag::Strong(part.etag)),
                last_modified: Some(millis(part.modified_ms)),
                part_number: Some(number),
                size: Some(signed(part.size)),
                ..Part::default()
            })
            .collect();
        Ok(ListPartsOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            is_truncated: Some(later.next().is_some()),
            next_part_number_marker: page.last().and_then(|p| p.part_number),
            part_number_marker: Some(after),
            max_parts: i32::try_from(max).ok(),
            parts: Some(page),
            ..ListPartsOutput::default()
        })
    }

    pub(super) async fn complete(
        &self,
        input: CompleteMultipartUploadInput,
    ) -> S3Result<CompleteMultipartUploadOutput> {
        let condition = write_condition(input.if_match, input.if_none_match)?;
        let upload = self.upload(&input.upload_id, &input.bucket, &input.key).await?;
        let id = input.upload_id.clone();
        let stored =
            self.index.call(move |conn| index::parts(conn, &id)).await.map_err(internal)?;
        let named = input.multipart_upload.and_then(|m| m.parts).unwrap_or_default();
        let chosen = choose(&stored, &named)?;
        let size: u64 = chosen.iter().map(|part| part.size).sum();
        if size > self.object_size_max {
            return Err(s3_error!(EntityTooLarge));
        }
        if input.mpu_object_size.is_some_and(|s| u64::try_from(s) != Ok(size)) {
            return Err(s3_error!(InvalidRequest, "The object's size differs from the one given."));
        }

        let draft = Draft::new(&self.folder.join(&input.bucket));
        let paths: Vec<PathBuf> =
            chosen.iter().map(|part| self.path(&input.bucket, &part.blob)).collect();
        let entry = Entry {
            blob: draft.blob().to_owned(),
            size,
            etag: joint_etag(&chosen)?,
            modified_ms: now_ms(),
            headers: upload.headers,
            checksums: composite(&chosen.iter().map(|p| &p.checksums).collect::<Vec<_>>()),
        };
        if input.checksum_sha256.is_some() && input.checksum_sha256 != entry.checksums.sha256 {
            return Err(s3_error!(BadDigest));
        }
        let (draft, joined) = tokio::task::spawn_blocking(move || {
            let joined = blob::join(&draft, &paths);
            (draft, joined)
        })
        .await
        .map_err(|_| internal(crate::Fault::Lost))?;
        match joined {
            Ok(bytes) if bytes == size => {}
            // A part was uploaded again, or the upload ended, while its bytes were being joined.
            Ok(_) => return Err(s3_error!(InvalidPart)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(s3_error!(InvalidPart));
            }
            Err(e) => return Err(internal(e.into())),
        }
        let answer = CompleteMultipartUploadOutput {
            bucket: Some(input.bucket.clone()),
            key: Some(input.key.clone()),
            location: Some(format!("/{}/{}", input.bucket, input.key)),
            checksum_crc32: entry.checksums.crc32.clone(),
            checksum_sha256: entry.checksums.sha256.clone(),
            checksum_type: checksum_type(&entry),
            e_tag: Some(ETag::Strong(entry.etag.clone())),
            ..CompleteMultipartUploadOutput::default()
        };
        let (written, freed) = self
            .index
            .call(move |conn| {
                let with = Some((&entry, &condition));
                let ended = index::end_upload(conn, &input.upload_id, with)?;
                if matches!(ended, Some((index::Written::Done(_), _))) {
                    draft.keep();
                }
                Ok(ended)
            })
            .await
            .map_err(internal)?
            .ok_or_else(|| s3_error!(NoSuchUpload))?;
        displaced(written)?;
        self.forget(&input.bucket, freed).await;
        Ok(answer)
    }

    pub(super) async fn abort(
        &self,
        input: AbortMultipartUploadInput,
    ) -> S3Result<AbortMultipartUploadOutput> {
        self.upload(&input.upload_id, &input.bucket, &input.key).await?;
        let id = input.upload_id;
        let ended = self.index.call(move |conn| index::end_upload(conn, &id, None)).await;
        let (_, freed) = ended.map_err(internal)?.ok_or_else(|| s3_error!(NoSuchUpload))?;
        self.forget(&input.bucket, freed).await;
        Ok(AbortMultipartUploadOutput::default())
    }
}

/// The parts that the client names, if they are those that are stored, rising, and large enough.
fn choose<'a>(
    stored: &'a std::collections::BTreeMap<i32, Entry>,
    named: &[CompletedPart],
) -> S3Result<Vec<&'a Entry>> {
    if named.is_empty() {
        return Err(s3_error!(MalformedXML));
    }
    let mut chosen: Vec<&Entry> = Vec::with_capacity(named.len());
    let mut before = 0;
    for part in named {
        let number = part.part_number.ok_or_else(|| s3_error!(MalformedXML))?;
        if number <= before {
            return Err(s3_error!(InvalidPartOrder));
        }
        before = number;
        let entry = stored.get(&number).ok_or_else(|| s3_error!(InvalidPart))?;
        let same_etag = part.e_tag.as_ref().is_some_and(|e| e.value() == entry.etag);
        let same_sha =
            part.checksum_sha256.is_none() || part.checksum_sha256 == entry.checksums.sha256;
        if !same_etag || !same_sha {
            return Err(s3_error!(InvalidPart));
        }
        if chosen.last().is_some_and(|last| last.size < PART_BYTES_MIN) {
            return Err(s3_error!(EntityTooSmall));
        }
        chosen.push(entry);
    }
    Ok(chosen)
}

/// The digest of the parts' digests, and how many they are: S3's ETag of such an object.
fn joint_etag(parts: &[&Entry]) -> S3Result<String> {
    let mut md5 = Md5::new();
    for part in parts {
        let digest = hex::decode(&part.etag)
            .map_err(|_| internal(std::io::Error::other("a part's ETag is not hex").into()))?;
        md5.update(&digest);
    }
    Ok(format!("{}-{}", hex::encode(md5.finalize()), parts.len()))
}
