//! Presigned URLs in the hands of a plain HTTP client, honest or not.

use std::time::Duration;

use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use aws_sdk_s3::primitives::ByteStream;
use base64::Engine;
use reqwest::{Response, StatusCode};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use crate::clients::{Cloud, http};

const BODY: &[u8] = b"a rendered frame";

fn sha256(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(Sha256::digest(bytes))
}

fn lasting(seconds: u64) -> PresigningConfig {
    PresigningConfig::expires_in(Duration::from_secs(seconds)).unwrap()
}

/// A URL to create `key` with exactly `BODY`, once.
async fn put_url(s3: &aws_sdk_s3::Client, key: &str, seconds: u64) -> PresignedRequest {
    s3.put_object()
        .bucket("b-1")
        .key(key)
        .content_length(i64::try_from(BODY.len()).unwrap())
        .checksum_sha256(sha256(BODY))
        .if_none_match("*")
        .presigned(lasting(seconds))
        .await
        .unwrap()
}

async fn send(signed: &PresignedRequest, url: &str, body: &'static [u8]) -> Response {
    let mut sent = http().put(url).body(body);
    for (name, value) in signed.headers() {
        if name != "content-length" {
            sent = sent.header(name, value);
        }
    }
    sent.send().await.unwrap()
}

async fn refused(answer: Response, status: StatusCode, code: &str) {
    assert_eq!(answer.status(), status);
    let body = answer.text().await.unwrap();
    assert!(body.contains(&format!("<Code>{code}</Code>")), "{body}");
}

#[tokio::test]
async fn a_presigned_put_creates_its_object_once() {
    let cloud = Cloud::start().await;
    let s3 = cloud.bucket("b-1").await;
    let signed = put_url(&s3, "staging/f.png", 60).await;
    let names: Vec<_> = signed.headers().map(|(name, _)| name.to_ascii_lowercase()).collect();
    for name in ["content-length", "if-none-match", "x-amz-checksum-sha256"] {
        assert!(names.iter().any(|n| n == name), "{name} is signed as a header: {names:?}");
    }
    let answer = send(&signed, signed.uri(), BODY).await;
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
    assert_eq!(answer.status(), StatusCode::OK);
    let again = send(&signed, signed.uri(), BODY).await;
    refused(again, StatusCode::PRECONDITION_FAILED, "PreconditionFailed").await;
}

#[tokio::test]
async fn a_presigned_put_takes_no_other_body() {
    let cloud = Cloud::start().await;
    let s3 = cloud.bucket("b-1").await;
    let signed = put_url(&s3, "k", 60).await;
    let longer = send(&signed, signed.uri(), b"a rendered frame, and more").await;
    refused(longer, StatusCode::FORBIDDEN, "SignatureDoesNotMatch").await;
    let other = send(&signed, signed.uri(), b"A rendered frame").await;
    refused(other, StatusCode::BAD_REQUEST, "BadDigest").await;
    assert!(s3.head_object().bucket("b-1").key("k").send().await.is_err(), "nothing is visible");
    // The URL is not used up by what was refused.
    assert_eq!(send(&signed, signed.uri(), BODY).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_presigned_put_without_its_signed_headers_is_refused() {
    let cloud = Cloud::start().await;
    let s3 = cloud.bucket("b-1").await;
    let signed = put_url(&s3, "k", 60).await;
    for missing in ["if-none-match", "x-amz-checksum-sha256"] {
        let mut sent = http().put(signed.uri()).body(BODY);
        for (name, value) in signed.headers().filter(|(n, _)| *n != "content-length") {
            if !name.eq_ignore_ascii_case(missing) {
                sent = sent.header(name, value);
            }
        }
        let answer = sent.send().await.unwrap();
        refused(answer, StatusCode::FORBIDDEN, "SignatureDoesNotMatch").await;
    }
}

#[tokio::test]
async fn a_presigned_url_that_expired_or_was_changed_is_refused() {
    let cloud = Cloud::start().await;
    let s3 = cloud.bucket("b-1").await;
    let signed = put_url(&s3, "k", 60).await;
    let other_key = signed.uri().replace("/b-1/k?", "/b-1/other?");
    let longer = signed.uri().replace("X-Amz-Expires=60", "X-Amz-Expires=600");
    for url in [&other_key, &longer] {
        assert_ne!(url, signed.uri());
        let answer = send(&signed, url, BODY).await;
        refused(answer, StatusCode::FORBIDDEN, "SignatureDoesNotMatch").await;
    }
    let brief = put_url(&s3, "k", 1).await;
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let late = send(&brief, brief.uri(), BODY).await;
    refused(late, StatusCode::FORBIDDEN, "AccessDenied").await;
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let cloud = Cloud::start().await;
    let s3 = cloud.bucket("b-1").await;
    let signed = s3.put_object().bucket("b-1").key("k").presigned(lasting(60)).await.unwrap();
    let target = signed.uri().strip_prefix(&cloud.cloud.endpoint_url()).unwrap();
    let mut socket = tokio::net::TcpStream::connect(cloud.cloud.addr()).await.unwrap();
    let addr = cloud.cloud.addr();
    let mut head = format!("PUT {target} HTTP/1.1\r\nhost: {addr}\r\ncontent-length: 100000\r\n");
    for (name, value) in signed.headers().filter(|(n, _)| *n != "content-length") {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    socket.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
    socket.write_all(&[1; 50_000]).await.unwrap();
    let folder = cloud.dir.path().join("s3/b-1");
    let files = || std::fs::read_dir(&folder).unwrap().count();
    let within = async |wanted: usize| {
        for _ in 0..100 {
            if files() == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{} files, not {wanted}", files());
    };
    within(1).await;
    assert!(s3.head_object().bucket("b-1").key("k").send().await.is_err());
    drop(socket);
    within(0).await;
    assert!(s3.head_object().bucket("b-1").key("k").send().await.is_err());
}

#[tokio::test]
async fn a_presigned_get_may_name_the_download() {
    let cloud = Cloud::start().await;
    let s3 = cloud.bucket("b-1").await;
    let put = s3.put_object().bucket("b-1").key("k").body(ByteStream::from_static(BODY));
    put.content_type("image/png").send().await.unwrap();
    let plain = s3.get_object().bucket("b-1").key("k").presigned(lasting(60)).await.unwrap();
    let got = http().get(plain.uri()).send().await.unwrap();
    assert_eq!(got.headers()["content-type"], "image/png");
    assert_eq!(got.headers()["access-control-allow-origin"], "*");
    assert_eq!(got.headers()["content-length"], BODY.len().to_string());
    assert_eq!(got.bytes().await.unwrap(), BODY);

    let named = s3
        .get_object()
        .bucket("b-1")
        .key("k")
        .response_content_disposition("attachment; filename=\"f_0001.png\"")
        .response_content_type("application/octet-stream")
        .presigned(lasting(60))
        .await
        .unwrap();
    let got = http().get(named.uri()).header("range", "bytes=2-9").send().await.unwrap();
    assert_eq!(got.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(got.headers()["content-disposition"], "attachment; filename=\"f_0001.png\"");
    assert_eq!(got.headers()["content-type"], "application/octet-stream");
    assert_eq!(got.bytes().await.unwrap(), "rendered");

    let put = http().put(plain.uri()).body(BODY).send().await.unwrap();
    refused(put, StatusCode::FORBIDDEN, "SignatureDoesNotMatch").await;
}
