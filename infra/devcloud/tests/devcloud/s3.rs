//! S3 through the SDK: objects, conditions, listings, uploads in parts, limits.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, CompletedMultipartUpload, CompletedPart, MetadataDirective,
};
use base64::Engine;
use sha2::{Digest, Sha256};

use crate::clients::{Cloud, OBJECT_SIZE_MAX, code};

async fn put(s3: &Client, key: &str, body: impl Into<Vec<u8>>) {
    let body = ByteStream::from(body.into());
    s3.put_object().bucket("b-1").key(key).body(body).send().await.unwrap();
}

async fn get(s3: &Client, key: &str) -> Vec<u8> {
    let got = s3.get_object().bucket("b-1").key(key).send().await.unwrap();
    got.body.collect().await.unwrap().to_vec()
}

fn sha256(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(Sha256::digest(bytes))
}

#[tokio::test]
async fn an_object_comes_back_with_its_headers_digest_and_metadata() {
    let cloud = Cloud::start().await;
    let s3 = cloud.bucket("b-1").await;
    let body = vec![7_u8; 300_000];
    let sent = s3
        .put_object()
        .bucket("b-1")
        .key("scenes/ä b+c.blend")
        .body(ByteStream::from(body.clone()))
        .content_type("application/x-blender")
        .content_disposition("attachment")
        .metadata("job", "42")
        .checksum_sha256(sha256(&body))
        .send()
        .await
        .unwrap();
    let head = s3
        .head_object()
        .bucket("b-1")
        .key("scenes/ä b+c.blend")
        .checksum_mode(ChecksumMode::Enabled)
        .send()
        .await
        .unwrap();
    assert_eq!(head.e_tag(), sent.e_tag());
    assert_eq!(head.content_length(), Some(300_000));
    assert_eq!(head.content_type(), Some("application/x-blender"));
    assert_eq!(head.content_disposition(), Some("attachment"));
    assert_eq!(head.checksum_sha256(), Some(sha256(&body).as_str()));
    assert_eq!(head.metadata().unwrap()["job"], "42");
    assert_eq!(get(&s3, "scenes/ä b+c.blend").await, body);
}

#[tokio::test]
async fn a_key_spells_no_path() {
    let cloud = Cloud::start().await;
    let s3 = cloud.bucket("b-1").await;
    for key in ["../../outside", "a/../b", "a//b", "a", "a/b", ".", "C:\\x", "%2e%2e%2fx"] {
        put(&s3, key, key).await;
    }
    for key in ["../../outside", "a/../b", "a//b", "a", "a/b", ".", "C:\\x", "%2e%2e%2fx"] {
        assert_eq!(get(&s3, key).await, key.as_bytes(), "{key}");
    }
    assert!(!cloud.dir.path().join("outside").exists());
    assert_eq!(std::fs::read_dir(cloud.dir.path().join("s3")).unwrap().count(), 1);
}

#[tokio::test]
async fn ranges_are_served_and_those_outside_refused() {
    let cloud = Cloud::start().await;
    let s3 = cloud.bucket("b-1").await;
    put(&s3, "k", "0123456789").await;
    for (range, bytes, shown) in [
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-3", "789", "bytes 7-9/10"),
        ("bytes=8-100", "89", "bytes 8-9/10"),
    ] {
        let got = s3.get_object().bucket("b-1").key("k").range(range).send().await.unwrap();
        assert_eq!(got.content_range(), Some(shown));
        assert_eq!(got.body.collect().await.unwrap().to_vec(), bytes.as_bytes());
    }
    let outside = s3.get_object().bucket("b-1").key("k").range("bytes=10-").send().await;
    assert_eq!(code(outside), "InvalidRange");
}

#[tokio::test]
async fn what_is_missing_is_said_to_be() {
    let cloud = Cloud::start().await;
    let s3 = cloud.bucket("b-1").await;
    assert_eq!(code(s3.get_object().bucket("b-1").key("k").send().await), "NoSuchKey");
    assert_eq!(code(s3.get_object().bucket("b-2").key("k").send().await), "NoSuchBucket");
    let lost = s3.put_object().bucket("b-2").key("k").body(ByteStream::from_static(b"v"));
    assert_eq!(code(lost.send().await), "NoSuchBucket");
    assert!(s3.head_object().bucket("b-1").key("k").send().await.is_err());
    s3.delete_object().bucket("b-1").key("k").send().await.unwrap();
}

#[tokio::test]
async fn of_32_concurrent_creators_exactly_one_wins() {
    let cloud = Cloud::start().await;
    let s3 = cloud.bucket("b-1").await;
    let tries = (0..32).map(|n: u8| {
        let body = ByteStream::from(vec![n; 4096]);
        let put = s3.put_object().bucket("b-1").key("once").if_none_match("*").body(body);
        tokio::spawn(async move { (n, put.send().await) })
    });
    let mut winners = Vec::new();
    for tried in futures::future::join_all(tries).await {
        match tried.unwrap() {
            (n, Ok(_)) => winners.push(n),
            (_, lost) => assert_eq!(code(lost), "PreconditionFailed"),
        }
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(get(&s3, "once").await, vec![winners[0]; 4096]);
    let blobs = std::fs::read_dir(cloud.dir.path().join("s3/b-1")).unwrap().count();
    assert_eq!(blobs, 1, "the losers' bytes are gone");
}

#[tokio::test]
async fn an_overwrite_may_be_conditional_on_the_etag() {
    let cloud = Cloud::start().await;
    let s3 = cloud.bucket("b-1").await;
    put(&s3, "k", "one").await;
    let head = s3.head_object().bucket("b-1").key("k").send().await.unwrap();
    let etag = head.e_tag().unwrap();
    let swap = |body: &'static [u8]| {
        let body = ByteStream::from_static(body);
        s3.put_object().bucket("b-1").key("k").if_match(etag).body(body).send()
    };
    swap(b"two").await.unwrap();
    assert_eq!(code(swap(b"three").await), "PreconditionFailed");
    assert_eq!(get(&s3, "k").await, b"two");
}

#[tokio::test]
async fn a_copy_keeps_or_replaces_headers_and_respects_what_is_there() {
    let cloud = Cloud::start().await;
    let s3 = cloud.bucket("b-1").await;
    let body = ByteStream::from_static(b"picture");
    let sent =
        s3.put_object().bucket("b-1").key("staging/x y").content_type("image/png").body(body);
    sent.send().await.unwrap();
    let copy = || s3.copy_object().bucket("b-1").copy_source("b-1/staging/x%20y");
    copy().key("results/1").send().await.unwrap();
    let head = s3.head_object().bucket("b-1").key("results/1").send().await.unwrap();
    assert_eq!(head.content_type(), Some("image/png"));
    copy()
        .key("results/2")
        .metadata_directive(MetadataDirective::Replace)
        .content_type("image/webp")
        .send()
        .await
        .unwrap();
    let head = s3.head_object().bucket("b-1").key("results/2").send().await.unwrap();
    assert_eq!(head.content_type(), Some("image/webp"));

    let again = copy().key("results/1").customize().mutate_request(|r| {
        r.headers_mut().insert("if-none-match", "*");
    });
    assert_eq!(code(again.send().await), "PreconditionFailed");

    s3.delete_object().bucket("b-1").key("staging/x y").send().await.unwrap();
    assert_eq!(get(&s3, "results/1").await, b"picture");
    assert_eq!(code(copy().key("results/3").send().await), "NoSuchKey");
}

#[tokio::test]
async fn a_listing_pages_and_folds_in_key_order() {
    let cloud = Cloud::start().await;
    let s3 = cloud.bucket("b-1").await;
    for key in ["a/1", "a/2", "a/x/1", "a/x/2", "a/y/1", "a/z", "b", "é"] {
        put(&s3, key, key).await;
    }
    let mut found = Vec::new();
    let mut token = None;
    loop {
        let page = s3
            .list_objects_v2()
            .bucket("b-1")
            .prefix("a/")
            .delimiter("/")
            .max_keys(2)
            .set_continuation_token(token)
            .send()
            .await
            .unwrap();
        assert!(page.key_count().unwrap() <= 2);
        found.extend(page.contents().iter().map(|o| o.key().unwrap().to_owned()));
        found.extend(page.common_prefixes().iter().map(|p| p.prefix().unwrap().to_owned()));
        token = page.next_continuation_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    assert_eq!(found, ["a/1", "a/2", "a/x/", "a/y/", "a/z"]);
    let all = s3.list_objects_v2().bucket("b-1").start_after("a/y/1").send().await.unwrap();
    let keys: Vec<_> = all.contents().iter().map(|o| o.key().unwrap()).collect();
    assert_eq!(keys, ["a/z", "b", "é"]);
}

#[tokio::test]
async fn parts_become_one_object_that_is_created_once() {
    const PART: usize = 5 * 1024 * 1024;
    let cloud = Cloud::start().await;
    let s3 = cloud.bucket("b-1").await;
    let parts = [vec![1_u8; PART], vec![2; PART], vec![3; 1000]];

    let upload = |key: &'static str, parts: Vec<Vec<u8>>| {
        let s3 = s3.clone();
        async move {
            let start = s3.create_multipart_upload().bucket("b-1").key(key);
            let start = start.content_type("x/y").checksum_algorithm(ChecksumAlgorithm::Sha256);
            let id = start.send().await.unwrap().upload_id.unwrap();
            let mut done = CompletedMultipartUpload::builder();
            for (number, part) in (1..).zip(parts) {
                let sha = sha256(&part);
                let sent = s3
                    .upload_part()
                    .bucket("b-1")
                    .key(key)
                    .upload_id(&id)
                    .part_number(number)
                    .checksum_sha256(&sha)
                    .body(ByteStream::from(part))
                    .send()
                    .await
                    .unwrap();
                let part = CompletedPart::builder().part_number(number).checksum_sha256(sha);
                done = done.parts(part.set_e_tag(sent.e_tag).build());
            }
            let complete = s3.complete_multipart_upload().bucket("b-1").key(key).upload_id(&id);
            (id, complete.multipart_upload(done.build()).if_none_match("*"))
        }
    };
    let (_, complete) = upload("big", parts.to_vec()).await;
    let done = complete.send().await.unwrap();
    assert!(done.e_tag().unwrap().ends_with("-3\""));
    let digests: Vec<u8> = parts.iter().flat_map(|p| Sha256::digest(p).to_vec()).collect();
    assert_eq!(done.checksum_sha256(), Some(format!("{}-3", sha256(&digests)).as_str()));
    assert_eq!(get(&s3, "big").await, parts.concat());

    let (id, again) = upload("big", vec![vec![9; 10]]).await;
    assert_eq!(code(again.send().await), "PreconditionFailed");
    s3.abort_multipart_upload().bucket("b-1").key("big").upload_id(&id).send().await.unwrap();
    let listed = s3.list_parts().bucket("b-1").key("big").upload_id(&id).send().await;
    assert_eq!(code(listed), "NoSuchUpload");

    let (_, small) = upload("small", vec![vec![1; 10], vec![2; 10]]).await;
    assert_eq!(code(small.send().await), "EntityTooSmall");
    assert_eq!(get(&s3, "big").await, parts.concat());
}

#[tokio::test]
async fn an_object_or_a_sum_of_parts_over_the_limit_is_refused() {
    let cloud = Cloud::start().await;
    let s3 = cloud.bucket("b-1").await;
    let size = usize::try_from(OBJECT_SIZE_MAX).unwrap();
    put(&s3, "most", vec![0; size]).await;
    let more = ByteStream::from(vec![0; size + 1]);
    let refused = s3.put_object().bucket("b-1").key("more").body(more).send().await;
    assert_eq!(code(refused), "EntityTooLarge");
    assert_eq!(code(s3.get_object().bucket("b-1").key("more").send().await), "NoSuchKey");
}

#[tokio::test]
async fn a_reader_is_not_disturbed_by_an_overwrite() {
    let cloud = Cloud::start().await;
    let s3 = cloud.bucket("b-1").await;
    let before = vec![1_u8; 8 * 1024 * 1024];
    put(&s3, "k", before.clone()).await;
    let got = s3.get_object().bucket("b-1").key("k").send().await.unwrap();
    put(&s3, "k", "short").await;
    assert_eq!(got.body.collect().await.unwrap().to_vec(), before);
    assert_eq!(get(&s3, "k").await, b"short");
}
