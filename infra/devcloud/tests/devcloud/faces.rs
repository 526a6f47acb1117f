//! The port itself: who may talk to it, from where, and how it starts and stops.

use std::time::{Duration, Instant};

use aws_sdk_s3::primitives::ByteStream;
use framefair_devcloud::{DevCloud, Error};
use reqwest::Method;

use crate::clients::{Cloud, code, config, http, sdk};

#[tokio::test]
async fn an_address_that_others_can_reach_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path().to_path_buf());
    config.addr = "0.0.0.0:0".parse().unwrap();
    let refused = DevCloud::start(config).await.err().unwrap();
    assert!(matches!(refused, Error::NotLoopback(_)), "{refused}");
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_that_names_it() {
    let first = Cloud::start().await;
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path().to_path_buf());
    config.addr = first.cloud.addr();
    let refused = DevCloud::start(config).await.err().unwrap();
    assert!(matches!(refused, Error::Bind { addr, .. } if addr == first.cloud.addr()));
}

#[tokio::test]
async fn two_clouds_in_one_process_share_nothing() {
    let (one, two) = tokio::join!(Cloud::start(), Cloud::start());
    one.bucket("only-in-one").await;
    let buckets = two.s3().list_buckets().send().await.unwrap();
    assert!(buckets.buckets().is_empty());
}

#[tokio::test]
async fn a_wrong_secret_is_refused_by_all_three() {
    let cloud = Cloud::start().await;
    let wrong = sdk(&cloud.cloud.endpoint_url(), "wrong-secret");
    let tables = aws_sdk_dynamodb::Client::new(&wrong).list_tables().send().await;
    assert_eq!(code(tables), "InvalidSignatureException");
    let queues = aws_sdk_sqs::Client::new(&wrong).list_queues().send().await;
    assert_eq!(code(queues), "InvalidSignatureException");
    let s3 = aws_sdk_s3::config::Builder::from(&wrong).force_path_style(true).build();
    let buckets = aws_sdk_s3::Client::from_conf(s3).list_buckets().send().await;
    assert_eq!(code(buckets), "SignatureDoesNotMatch");
}

#[tokio::test]
async fn what_is_not_signed_is_refused_by_all_three() {
    let cloud = Cloud::start().await;
    let http = http();
    for target in ["DynamoDB_20120810.ListTables", "AmazonSQS.ListQueues"] {
        let sent = http.post(cloud.cloud.endpoint_url()).header("x-amz-target", target);
        let answer = sent.body("{}").send().await.unwrap();
        assert_eq!(answer.status(), 400);
        let body = answer.text().await.unwrap();
        assert!(body.contains("MissingAuthenticationToken"), "{body}");
    }
    let answer = http.get(cloud.cloud.endpoint_url()).send().await.unwrap();
    assert_eq!(answer.status(), 403);
}

#[tokio::test]
async fn a_foreign_host_name_is_refused() {
    let cloud = Cloud::start().await;
    let http = http();
    let port = cloud.cloud.addr().port();
    for (host, refused) in [
        ("evil.example".to_owned(), true),
        (format!("127.0.0.1.evil.example:{port}"), true),
        ("10.0.0.1".to_owned(), true),
        (format!("localhost:{port}"), false),
        (format!("127.0.0.1:{port}"), false),
    ] {
        let sent = http.get(cloud.cloud.endpoint_url()).header("host", &host);
        let body = sent.send().await.unwrap().text().await.unwrap();
        assert_eq!(body.contains("loopback names only"), refused, "{host}: {body}");
    }
}

#[tokio::test]
async fn a_preflight_lets_pages_use_presigned_urls_but_not_the_database() {
    let cloud = Cloud::start().await;
    let http = http();
    let ask = |headers: &'static str| {
        http.request(Method::OPTIONS, format!("{}/bucket/key", cloud.cloud.endpoint_url()))
            .header("origin", "http://127.0.0.1:8000")
            .header("access-control-request-method", "PUT")
            .header("access-control-request-headers", headers)
            .send()
    };
    let allowed = ask("content-type,if-none-match,x-amz-checksum-sha256").await.unwrap();
    assert!(allowed.status().is_success());
    let header = |name: &str| allowed.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("access-control-allow-origin"), "*");
    assert!(header("access-control-allow-methods").contains("PUT"));
    assert_eq!(
        header("access-control-allow-headers"),
        "content-type,if-none-match,x-amz-checksum-sha256"
    );
    let refused = ask("authorization,x-amz-target").await.unwrap();
    assert_eq!(refused.status(), 403);
    assert!(!refused.headers().contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn shutdown_ends_a_long_poll_and_keeps_the_data() {
    let cloud = Cloud::start().await;
    let s3 = cloud.bucket("kept").await;
    let put = s3.put_object().bucket("kept").key("k").body(ByteStream::from_static(b"v"));
    put.send().await.unwrap();
    let sqs = cloud.sqs();
    let queue = sqs.create_queue().queue_name("q").send().await.unwrap().queue_url.unwrap();
    let poll = tokio::spawn(sqs.receive_message().queue_url(queue).wait_time_seconds(20).send());
    tokio::time::sleep(Duration::from_millis(200)).await;

    let started = Instant::now();
    cloud.cloud.shutdown().await;
    assert!(started.elapsed() < Duration::from_secs(10), "took {:?}", started.elapsed());
    assert!(poll.await.unwrap().unwrap().messages().is_empty());

    let again = DevCloud::start(config(cloud.dir.path().to_path_buf())).await.unwrap();
    let s3 = crate::clients::s3(&again.endpoint_url());
    let got = s3.get_object().bucket("kept").key("k").send().await.unwrap();
    assert_eq!(&got.body.collect().await.unwrap().into_bytes()[..], b"v");
}
