//! Objects, and what a signed URL lets its holder do.
#![allow(clippy::unwrap_used, reason = "helpers outside #[test] functions are tests too")]

mod ground;

use std::io;

use bytes::Bytes;
use framefair_store::{Objects, Presigned, PutFailed, PutTerms};
use ground::Ground;
use sha2::{Digest, Sha256};

/// Others in the build may ask the HTTP client for TLS without naming a provider.
fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().build().unwrap()
}

async fn put_by(terms: &Presigned, body: &'static [u8]) -> u16 {
    let mut request = client().put(&terms.url);
    for (name, value) in &terms.headers {
        if name != "content-length" {
            request = request.header(name, value);
        }
    }
    request.body(body).send().await.unwrap().status().as_u16()
}

async fn terms(objects: &Objects, key: &str, body: &[u8]) -> Presigned {
    let terms = PutTerms {
        size: body.len() as u64,
        sha256: Sha256::digest(body).into(),
        content_type: "image/png",
        seconds: 60,
    };
    objects.presign_put(key, terms).await.unwrap()
}

#[tokio::test]
async fn an_upload_url_takes_only_what_was_signed_and_only_once() {
    let g = Ground::new().await;
    let objects = g.store.objects();
    let terms = terms(objects, "staging/j/0/1/frame", b"twelve bytes").await;
    let names: Vec<&str> = terms.headers.iter().map(|(name, _)| name.as_str()).collect();
    for signed in ["content-length", "content-type", "if-none-match", "x-amz-checksum-sha256"] {
        assert!(names.contains(&signed), "{signed} is not signed: {terms:?}");
    }
    assert_eq!(put_by(&terms, b"longer than twelve bytes").await / 100, 4);
    assert_eq!(put_by(&terms, b"TWELVE BYTES").await / 100, 4);
    assert_eq!(objects.head("staging/j/0/1/frame").await.unwrap(), None);

    assert_eq!(put_by(&terms, b"twelve bytes").await, 200);
    let head = objects.head("staging/j/0/1/frame").await.unwrap().unwrap();
    assert_eq!((head.size, head.content_type.as_deref()), (12, Some("image/png")));
    assert_eq!(head.sha256, Some(Sha256::digest(b"twelve bytes").into()));
    assert_eq!(put_by(&terms, b"twelve bytes").await, 412);
}

#[tokio::test]
async fn an_upload_url_without_its_headers_is_refused() {
    let g = Ground::new().await;
    let objects = g.store.objects();
    let mut terms = terms(objects, "k", b"body").await;
    terms.headers.retain(|(name, _)| name != "if-none-match");
    assert_eq!(put_by(&terms, b"body").await, 403);
    let elsewhere =
        Presigned { url: terms.url.replace("/k?", "/results?"), headers: terms.headers };
    assert_eq!(put_by(&elsewhere, b"body").await, 403);
}

#[tokio::test]
async fn a_download_url_serves_the_object_under_a_name() {
    let g = Ground::new().await;
    let objects = g.store.objects();
    objects
        .put("results/a b.png", Bytes::from_static(b"pixels"), "image/png", false)
        .await
        .unwrap();
    let url = objects.presign_get("results/a b.png", 60, Some("frame 1.png"), None).await.unwrap();
    let answer = client().get(&url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let disposition = answer.headers()["content-disposition"].to_str().unwrap().to_owned();
    assert!(disposition.contains("filename=\"frame 1.png\""), "{disposition}");
    assert_eq!(answer.bytes().await.unwrap(), "pixels");
}

#[tokio::test]
async fn an_object_is_put_once_read_within_a_limit_copied_and_deleted() {
    let g = Ground::new().await;
    let objects = g.store.objects();
    let body = Bytes::from(vec![7_u8; 300_000]);
    objects.put("a/b", body.clone(), "application/x-blender", true).await.unwrap();
    let again = objects.put("a/b", Bytes::new(), "text/plain", true).await;
    assert!(matches!(again, Err(PutFailed::Exists)), "{again:?}");
    assert_eq!(objects.get("a/b", 300_000).await.unwrap(), Some(body.clone()));
    assert!(objects.get("a/b", 299_999).await.is_err());
    assert_eq!(objects.get("a/c", 10).await.unwrap(), None);

    assert!(objects.copy("a/b", "c ü/d", "image/png", false).await.unwrap());
    assert!(!objects.copy("a/none", "x", "image/png", false).await.unwrap());
    let head = objects.head("c ü/d").await.unwrap().unwrap();
    assert_eq!((head.size, head.content_type.as_deref()), (300_000, Some("image/png")));

    let mut opened = objects.open("a/b").await.unwrap().unwrap();
    let mut read = 0;
    while let Some(piece) = opened.body.next().await.unwrap() {
        read += piece.len();
    }
    assert_eq!(read, 300_000);
    objects.delete("a/b").await.unwrap();
    objects.delete("a/b").await.unwrap();
    assert!(objects.open("a/b").await.unwrap().is_none());
}

#[tokio::test]
async fn a_stream_or_file_is_stored_whole_or_not_at_all() {
    let g = Ground::new().await;
    let objects = g.store.objects();
    let pieces =
        || futures::stream::iter((0..10).map(|n| io::Result::Ok(Bytes::from(vec![n; 50_000]))));
    objects.put_stream("s", pieces(), 500_000, "x/y", true).await.unwrap();
    assert_eq!(objects.head("s").await.unwrap().unwrap().size, 500_000);
    assert!(objects.put_stream("short", pieces(), 500_001, "x/y", true).await.is_err());
    assert!(objects.put_stream("long", pieces(), 499_999, "x/y", true).await.is_err());
    assert_eq!(objects.head("short").await.unwrap(), None);
    assert_eq!(objects.head("long").await.unwrap(), None);

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), vec![1_u8; 200_000]).unwrap();
    objects.put_file("f", file.path(), "x/y", true).await.unwrap();
    let again = objects.put_file("f", file.path(), "x/y", true).await;
    assert!(matches!(again, Err(PutFailed::Exists)), "{again:?}");
    assert_eq!(objects.head("f").await.unwrap().unwrap().size, 200_000);
}
