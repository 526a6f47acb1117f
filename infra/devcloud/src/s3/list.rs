//! Listing a bucket in key order, a page at a time, with what lies below a delimiter folded.

use s3s::dto::*;
use s3s::{S3Result, s3_error};

use super::answers::listed;
use super::{Buckets, index, internal};
use crate::sqlite::Fault;

const PAGE_MAX: i32 = 1000;

struct Wanted {
    bucket: String,
    prefix: String,
    delimiter: Option<String>,
    /// Keys, and folded prefixes, up to and including this one are skipped.
    after: Option<String>,
    max: usize,
}

#[derive(Default)]
struct Page {
    objects: Vec<Object>,
    prefixes: Vec<String>,
    /// Where the next page begins, if there is one.
    next: Option<String>,
}

impl Buckets {
    pub(super) async fn list_v2(&self, input: ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
        let after = match &input.continuation_token {
            Some(token) => Some(untoken(token)?),
            None => input.start_after.clone(),
        };
        let max = page_size(input.max_keys);
        let page = self
            .page(Wanted {
                bucket: input.bucket.clone(),
                prefix: input.prefix.clone().unwrap_or_default(),
                delimiter: input.delimiter.clone(),
                after,
                max,
            })
            .await?;
        Ok(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: input.prefix,
            delimiter: input.delimiter,
            start_after: input.start_after,
            continuation_token: input.continuation_token,
            max_keys: i32::try_from(max).ok(),
            key_count: i32::try_from(page.objects.len() + page.prefixes.len()).ok(),
            is_truncated: Some(page.next.is_some()),
            next_continuation_token: page.next.map(hex::encode),
            contents: Some(page.objects),
            common_prefixes: Some(folded(page.prefixes)),
            ..ListObjectsV2Output::default()
        })
    }

    pub(super) async fn list_v1(&self, input: ListObjectsInput) -> S3Result<ListObjectsOutput> {
        let max = page_size(input.max_keys);
        let page = self
            .page(Wanted {
                bucket: input.bucket.clone(),
                prefix: input.prefix.clone().unwrap_or_default(),
                delimiter: input.delimiter.clone(),
                after: input.marker.clone(),
                max,
            })
            .await?;
        Ok(ListObjectsOutput {
            name: Some(input.bucket),
            prefix: input.prefix,
            delimiter: input.delimiter,
            marker: input.marker,
            max_keys: i32::try_from(max).ok(),
            is_truncated: Some(page.next.is_some()),
            next_marker: page.next,
            contents: Some(page.objects),
            common_prefixes: Some(folded(page.prefixes)),
            ..ListObjectsOutput::default()
        })
    }

    async fn page(&self, wanted: Wanted) -> S3Result<Page> {
        self.require_bucket(&wanted.bucket).await?;
        self.index.call(move |conn| walk(conn, &wanted)).await.map_err(internal)
    }
}

fn walk(conn: &rusqlite::Connection, wanted: &Wanted) -> Result<Page, Fault> {
    let mut page = Page::default();
    let fold = |key: &str| -> Option<String> {
        let delimiter = wanted.delimiter.as_deref().filter(|d| !d.is_empty())?;
        let rest = key.strip_prefix(&wanted.prefix)?;
        let end = wanted.prefix.len() + rest.find(delimiter)? + delimiter.len();
        Some(key[..end].to_owned())
    };
    let (mut from, mut after) = match &wanted.after {
        Some(key) if *key >= wanted.prefix => match fold(key) {
            // The last page ended with a folded prefix: everything below it is done.
            Some(prefix) if prefix == *key => (past(&prefix), false),
            _ => (key.clone(), true),
        },
        _ => (wanted.prefix.clone(), false),
    };
    let mut last = None;
    while let Some((key, entry)) = index::next(conn, &wanted.bucket, &from, after)? {
        if !key.starts_with(&wanted.prefix) {
            break;
        }
        if page.objects.len() + page.prefixes.len() == wanted.max {
            page.next = last;
            break;
        }
        match fold(&key) {
            Some(prefix) => {
                (from, after) = (past(&prefix), false);
                last = Some(prefix.clone());
                page.prefixes.push(prefix);
            }
            None => {
                (from, after) = (key.clone(), true);
                last = Some(key.clone());
                page.objects.push(listed(key, &entry));
            }
        }
    }
    Ok(page)
}

/// A string above every key that begins with `prefix`.
fn past(prefix: &str) -> String {
    format!("{prefix}{}", char::MAX)
}

fn page_size(asked: Option<i32>) -> usize {
    usize::try_from(asked.unwrap_or(PAGE_MAX).clamp(0, PAGE_MAX)).unwrap_or(0)
}

fn untoken(token: &str) -> S3Result<String> {
    let bytes = hex::decode(token).ok();
    bytes
        .and_then(|b| String::from_utf8(b).ok())
        .ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))
}

fn folded(prefixes: Vec<String>) -> Vec<CommonPrefix> {
    let fold = |prefix| CommonPrefix { prefix: Some(prefix) };
    prefixes.into_iter().map(fold).collect()
}
