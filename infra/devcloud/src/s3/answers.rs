//! How a stored entry looks in S3's answers, and the conditions that requests put on one.

use std::time::{Duration, SystemTime};

use s3s::dto::*;
use s3s::{S3Result, s3_error};

use super::index::{Condition, Entry, Headers, Written};

pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn millis(ms: i64) -> Timestamp {
    let since = Duration::from_millis(u64::try_from(ms).unwrap_or_default());
    Timestamp::from(SystemTime::UNIX_EPOCH + since)
}

/// S3 counts bytes in signed numbers.
pub(super) fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

pub(super) fn metadata(headers: &Headers) -> Option<Metadata> {
    let pairs = headers.metadata.iter().map(|(k, v)| (k.clone(), v.clone()));
    (!headers.metadata.is_empty()).then(|| pairs.collect())
}

pub(super) fn checksum_type(entry: &Entry) -> Option<ChecksumType> {
    let c = &entry.checksums;
    if c.composite {
        let any = c.sha256.is_some() || c.crc32.is_some();
        any.then(|| ChecksumType::from_static(ChecksumType::COMPOSITE))
    } else {
        Some(ChecksumType::from_static(ChecksumType::FULL_OBJECT))
    }
}

/// The condition that a write's `If-Match` and `If-None-Match` put on what is there.
pub(super) fn write_condition(
    if_match: Option<ETagCondition>,
    if_none_match: Option<ETagCondition>,
) -> S3Result<Condition> {
    match (if_match, if_none_match) {
        (None, None) => Ok(Condition::None),
        (None, Some(ETagCondition::Any)) => Ok(Condition::Absent),
        (Some(ETagCondition::Any), None) => Ok(Condition::Present),
        (Some(ETagCondition::ETag(etag)), None) => Ok(Condition::ETag(etag.into_value())),
        // S3 itself knows no other combination for writes.
        _ => Err(s3_error!(NotImplemented, "Only If-None-Match: * or If-Match is implemented.")),
    }
}

/// Whether a read goes ahead: 412 or 304 otherwise.
pub(super) fn check_read(
    entry: &Entry,
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<()> {
    let same = |condition: &ETagCondition| match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(etag) => etag.value() == entry.etag,
    };
    if if_match.is_some_and(|c| !same(c)) {
        return Err(s3_error!(PreconditionFailed));
    }
    if if_none_match.is_some_and(same) {
        return Err(s3_error!(NotModified));
    }
    Ok(())
}

/// The blob that a successful write displaced, or the refusal.
pub(super) fn displaced(written: Written) -> S3Result<Option<String>> {
    match written {
        Written::Done(blob) => Ok(blob),
        Written::ConditionFailed => Err(s3_error!(
            PreconditionFailed,
            "At least one of the pre-conditions you specified did not hold."
        )),
        Written::NoSuchKey => Err(s3_error!(NoSuchKey)),
        Written::NoSuchBucket => Err(s3_error!(NoSuchBucket)),
    }
}

pub(super) fn head(entry: &Entry, show_checksums: bool) -> HeadObjectOutput {
    let h = &entry.headers;
    let c = show_checksums.then_some(&entry.checksums);
    HeadObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        cache_control: h.cache_control.clone(),
        checksum_crc32: c.and_then(|c| c.crc32.clone()),
        checksum_crc32c: c.and_then(|c| c.crc32c.clone()),
        checksum_crc64nvme: c.and_then(|c| c.crc64nvme.clone()),
        checksum_sha1: c.and_then(|c| c.sha1.clone()),
        checksum_sha256: c.and_then(|c| c.sha256.clone()),
        checksum_type: c.and_then(|_| checksum_type(entry)),
        content_disposition: h.content_disposition.clone(),
        content_encoding: h.content_encoding.clone(),
        content_language: h.content_language.clone(),
        content_length: Some(signed(entry.size)),
        content_type: content_type(h),
        e_tag: Some(ETag::Strong(entry.etag.clone())),
        last_modified: Some(millis(entry.modified_ms)),
        metadata: metadata(h),
        ..HeadObjectOutput::default()
    }
}

pub(super) fn content_type(headers: &Headers) -> Option<String> {
    let stored = headers.content_type.clone();
    Some(stored.unwrap_or_else(|| "binary/octet-stream".to_owned()))
}

pub(super) fn listed(key: String, entry: &Entry) -> Object {
    Object {
        key: Some(key),
        size: Some(signed(entry.size)),
        e_tag: Some(ETag::Strong(entry.etag.clone())),
        last_modified: Some(millis(entry.modified_ms)),
        storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
        ..Object::default()
    }
}
