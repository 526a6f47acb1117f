//! Putting, getting and copying whole objects. Knows what S3 promises of each; the index decides
//! who wins.

use std::io;

use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};

use super::answers::{
    self, check_read, checksum_type, displaced, millis, now_ms, signed, write_condition,
};
use super::blob::{self, Draft, Said};
use super::checksums::{Checksums, Claims};
use super::index::{self, Condition, Entry, Headers};
use super::{Buckets, internal};

/// The body's own length: a chunked signature frames it, and then says the length elsewhere.
pub(super) fn body_length<T>(req: &S3Request<T>, content_length: Option<i64>) -> Option<u64> {
    let decoded = req.headers.get("x-amz-decoded-content-length");
    match decoded {
        Some(value) => value.to_str().ok()?.parse().ok(),
        None => u64::try_from(content_length?).ok(),
    }
}

/// Which algorithm's value comes in a trailer, if any.
pub(super) fn trailer_algorithm<T>(req: &S3Request<T>) -> Option<String> {
    let name = req.headers.get("x-amz-trailer")?.to_str().ok()?;
    Some(name.trim().strip_prefix("x-amz-checksum-")?.to_ascii_uppercase())
}

impl Buckets {
    pub(super) async fn put(&self, req: S3Request<PutObjectInput>) -> S3Result<PutObjectOutput> {
        let length = body_length(&req, req.input.content_length);
        let trailer = trailer_algorithm(&req);
        let input = req.input;
        let condition = write_condition(input.if_match, input.if_none_match)?;
        let mut claimed = Checksums {
            crc32: input.checksum_crc32,
            crc32c: input.checksum_crc32c,
            crc64nvme: input.checksum_crc64nvme,
            sha1: input.checksum_sha1,
            sha256: input.checksum_sha256,
            composite: false,
        };
        claimed.claim_query(req.uri.query().unwrap_or(""));
        let algorithm =
            trailer.as_deref().or(input.checksum_algorithm.as_ref().map(|a| a.as_str()));
        let said = Said {
            claims: Claims::new(claimed, algorithm)?,
            md5: input.content_md5,
            length,
            trailers: req.trailing_headers,
        };
        let body = input.body.ok_or_else(|| s3_error!(IncompleteBody))?;

        self.require_bucket(&input.bucket).await?;
        let draft = Draft::new(&self.folder.join(&input.bucket));
        let stored = blob::receive(&draft, body, said, self.object_size_max).await?;
        let entry = Entry {
            blob: stored.blob,
            size: stored.size,
            etag: hex::encode(stored.md5),
            modified_ms: now_ms(),
            headers: Headers {
                content_type: input.content_type,
                content_disposition: input.content_disposition,
                content_encoding: input.content_encoding.and_then(without_framing),
                content_language: input.content_language,
                cache_control: input.cache_control,
                metadata: input.metadata.unwrap_or_default().into_iter().collect(),
            },
            checksums: stored.checksums,
        };
        self.publish(input.bucket, input.key, entry.clone(), condition, draft).await?;
        let c = entry.checksums.clone();
        Ok(PutObjectOutput {
            checksum_type: checksum_type(&entry),
            checksum_crc32: c.crc32,
            checksum_crc32c: c.crc32c,
            checksum_crc64nvme: c.crc64nvme,
            checksum_sha1: c.sha1,
            checksum_sha256: c.sha256,
            e_tag: Some(ETag::Strong(entry.etag)),
            size: Some(signed(entry.size)),
            ..PutObjectOutput::default()
        })
    }

    /// Makes an entry whose bytes are on disk the object.
    async fn publish(
        &self,
        bucket: String,
        key: String,
        entry: Entry,
        condition: Condition,
        draft: Draft,
    ) -> S3Result<()> {
        let within = bucket.clone();
        let written = self
            .index
            .call(move |conn| {
                let written = index::put(conn, &within, &key, &entry, &condition)?;
                // Here, on the thread that commits: a client that hangs up now drops the future,
                // and must not take the bytes of a committed object with it.
                if matches!(written, index::Written::Done(_)) {
                    draft.keep();
                }
                Ok(written)
            })
            .await
            .map_err(internal)?;
        self.forget(&bucket, displaced(written)?.into_iter().collect()).await;
        Ok(())
    }

    async fn find(&self, bucket: &str, key: &str) -> S3Result<Entry> {
        let (b, k) = (bucket.to_owned(), key.to_owned());
        let found = self.index.call(move |conn| index::object(conn, &b, &k)).await;
        match found.map_err(internal)? {
            Some(entry) => Ok(entry),
            None => {
                self.require_bucket(bucket).await?;
                Err(s3_error!(NoSuchKey))
            }
        }
    }

    pub(super) async fn head(&self, input: HeadObjectInput) -> S3Result<HeadObjectOutput> {
        let entry = self.find(&input.bucket, &input.key).await?;
        check_read(&entry, input.if_match.as_ref(), input.if_none_match.as_ref())?;
        Ok(answers::head(&entry, input.checksum_mode.is_some()))
    }

    pub(super) async fn get(&self, input: GetObjectInput) -> S3Result<GetObjectOutput> {
        // An overwrite may delete the blob between look-up and open; then the look-up is stale.
        const LOOKS_MAX: usize = 4;
        for _ in 0..LOOKS_MAX {
            let entry = self.find(&input.bucket, &input.key).await?;
            check_read(&entry, input.if_match.as_ref(), input.if_none_match.as_ref())?;
            let range = match input.range {
                Some(range) => range.check(entry.size)?,
                None => 0..entry.size,
            };
            let path = self.path(&input.bucket, &entry.blob);
            match blob::read(&path, range.start, range.end - range.start).await {
                Ok(bytes) => return Ok(got(&entry, &input, range, StreamingBlob::wrap(bytes))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(internal(error.into())),
            }
        }
        Err(internal(io::Error::other("an object's bytes are missing").into()))
    }

    pub(super) async fn copy(&self, req: S3Request<CopyObjectInput>) -> S3Result<CopyObjectOutput> {
        let condition = copy_condition(&req)?;
        let input = req.input;
        let CopySource::Bucket { bucket: from, key: from_key, .. } = &input.copy_source else {
            return Err(s3_error!(NotImplemented, "Only bucket/key names a copy's source."));
        };
        let replace = input
            .metadata_directive
            .as_ref()
            .is_some_and(|d| d.as_str() == MetadataDirective::REPLACE);
        let source = self.find(from, from_key).await?;
        let same = |c: &ETagCondition| match c {
            ETagCondition::Any => true,
            ETagCondition::ETag(etag) => etag.value() == source.etag,
        };
        if input.copy_source_if_match.as_ref().is_some_and(|c| !same(c))
            || input.copy_source_if_none_match.as_ref().is_some_and(same)
        {
            return Err(s3_error!(PreconditionFailed));
        }
        self.require_bucket(&input.bucket).await?;

        let draft = Draft::new(&self.folder.join(&input.bucket));
        let mut entry =
            Entry { blob: draft.blob().to_owned(), modified_ms: now_ms(), ..source.clone() };
        if replace {
            entry.headers = Headers {
                content_type: input.content_type,
                content_disposition: input.content_disposition,
                content_encoding: input.content_encoding,
                content_language: input.content_language,
                cache_control: input.cache_control,
                metadata: input.metadata.unwrap_or_default().into_iter().collect(),
            };
        }
        let from = self.path(from, &source.blob);
        let (draft, linked) = tokio::task::spawn_blocking(move || {
            let linked = blob::link(&draft, &from);
            (draft, linked)
        })
        .await
        .map_err(|_| internal(crate::Fault::Lost))?;
        match linked {
            Ok(()) => {}
            // Deleted or overwritten since the look-up: as if it had been so before.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(s3_error!(NoSuchKey)),
            Err(e) => return Err(internal(e.into())),
        }
        self.publish(input.bucket, input.key, entry.clone(), condition, draft).await?;
        Ok(CopyObjectOutput {
            copy_object_result: Some(CopyObjectResult {
                checksum_sha256: entry.checksums.sha256.clone(),
                checksum_crc32: entry.checksums.crc32.clone(),
                checksum_type: checksum_type(&entry),
                e_tag: Some(ETag::Strong(entry.etag)),
                last_modified: Some(millis(entry.modified_ms)),
                ..CopyObjectResult::default()
            }),
            ..CopyObjectOutput::default()
        })
    }
}

/// `aws-chunked` describes the signature's framing, which is not stored.
fn without_framing(encoding: String) -> Option<String> {
    let kept: Vec<&str> = encoding
        .split(',')
        .map(str::trim)
        .filter(|e| !e.eq_ignore_ascii_case("aws-chunked"))
        .collect();
    (!kept.is_empty()).then(|| kept.join(","))
}

/// s3s does not read a copy's conditions on its destination, so they are read here.
fn copy_condition(req: &S3Request<CopyObjectInput>) -> S3Result<Condition> {
    let read = |name: &str| {
        let value = req.headers.get(name).map(|v| ETagCondition::parse_http_header(v.as_bytes()));
        value.transpose().map_err(|_| s3_error!(InvalidArgument))
    };
    write_condition(read("if-match")?, read("if-none-match")?)
}

fn got(
    entry: &Entry,
    input: &GetObjectInput,
    range: std::ops::Range<u64>,
    body: StreamingBlob,
) -> GetObjectOutput {
    let whole = input.range.is_none();
    let head = answers::head(entry, whole && input.checksum_mode.is_some());
    let asked = |asked: &Option<String>, stored: Option<String>| asked.clone().or(stored);
    GetObjectOutput {
        accept_ranges: head.accept_ranges,
        body: Some(body),
        cache_control: asked(&input.response_cache_control, head.cache_control),
        checksum_crc32: head.checksum_crc32,
        checksum_crc32c: head.checksum_crc32c,
        checksum_crc64nvme: head.checksum_crc64nvme,
        checksum_sha1: head.checksum_sha1,
        checksum_sha256: head.checksum_sha256,
        checksum_type: head.checksum_type,
        content_disposition: asked(&input.response_content_disposition, head.content_disposition),
        content_encoding: asked(&input.response_content_encoding, head.content_encoding),
        content_language: asked(&input.response_content_language, head.content_language),
        content_length: Some(signed(range.end - range.start)),
        content_range: (!whole)
            .then(|| format!("bytes {}-{}/{}", range.start, range.end - 1, entry.size)),
        content_type: asked(&input.response_content_type, head.content_type),
        e_tag: head.e_tag,
        last_modified: head.last_modified,
        metadata: head.metadata,
        ..GetObjectOutput::default()
    }
}
