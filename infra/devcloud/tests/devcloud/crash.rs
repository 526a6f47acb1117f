//! A real process, killed with SIGKILL the moment it has answered: nothing answered may be lost.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType,
    ScalarAttributeType,
};
use aws_sdk_s3::primitives::ByteStream;
use tempfile::TempDir;

use crate::clients;

struct Served {
    child: Child,
    url: String,
}

impl Served {
    fn start(dir: &Path) -> Self {
        let program = example();
        let mut child =
            Command::new(&program).arg(dir).stdout(Stdio::piped()).spawn().unwrap_or_else(|e| {
                panic!("{}: {e}; `cargo build --examples` makes it", program.display())
            });
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Self { child, url: url.trim().to_owned() }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn s3(&self) -> aws_sdk_s3::Client {
        clients::s3(&self.url)
    }

    fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&clients::sdk(&self.url, "test-secret"))
    }

    fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&clients::sdk(&self.url, "test-secret"))
    }
}

/// `target/PROFILE/deps/this-test` lies beside `target/PROFILE/examples`.
fn example() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(Path::parent).unwrap().join("examples/devcloud")
}

async fn prepare(served: &Served) -> String {
    served.s3().create_bucket().bucket("b-1").send().await.unwrap();
    let key = KeySchemaElement::builder().attribute_name("PK").key_type(KeyType::Hash);
    let attribute = AttributeDefinition::builder().attribute_name("PK");
    let attribute = attribute.attribute_type(ScalarAttributeType::S);
    served
        .dynamodb()
        .create_table()
        .table_name("things")
        .billing_mode(BillingMode::PayPerRequest)
        .key_schema(key.build().unwrap())
        .attribute_definitions(attribute.build().unwrap())
        .send()
        .await
        .unwrap();
    let made = served.sqs().create_queue().queue_name("q").send().await.unwrap();
    made.queue_url.unwrap()
}

#[tokio::test]
async fn what_was_answered_survives_kill_9() {
    const ROUNDS: usize = 4;
    let dir = TempDir::new().unwrap();
    let mut served = Served::start(dir.path());
    let queue = prepare(&served).await;
    for round in 0..ROUNDS {
        let (s3, sqs, db) = (served.s3(), served.sqs(), served.dynamodb());
        let name = format!("round-{round}");
        let body = vec![u8::try_from(round).unwrap(); 1_000_000];
        let put = s3.put_object().bucket("b-1").key(&name).body(ByteStream::from(body));
        let item = db.put_item().table_name("things").item("PK", AttributeValue::S(name.clone()));
        let sent = sqs.send_message().queue_url(&queue).message_body(&name);
        let (put, item, sent) = tokio::join!(put.send(), item.send(), sent.send());
        served.kill();
        put.unwrap();
        item.unwrap();
        sent.unwrap();
        served = Served::start(dir.path());
    }
    let (s3, sqs, db) = (served.s3(), served.sqs(), served.dynamodb());
    for round in 0..ROUNDS {
        let name = format!("round-{round}");
        let got = s3.get_object().bucket("b-1").key(&name).send().await.unwrap();
        let body = got.body.collect().await.unwrap().to_vec();
        assert_eq!(body, vec![u8::try_from(round).unwrap(); 1_000_000]);
        let got =
            db.get_item().table_name("things").key("PK", AttributeValue::S(name)).send().await;
        assert!(got.unwrap().item().is_some());
    }
    let got = sqs.receive_message().queue_url(&queue).max_number_of_messages(10).send().await;
    assert_eq!(got.unwrap().messages().len(), ROUNDS);
    served.kill();
}

#[tokio::test]
async fn an_upload_under_way_at_kill_9_leaves_no_object_and_no_file() {
    let dir = TempDir::new().unwrap();
    let served = Served::start(dir.path());
    prepare(&served).await;
    let presigning =
        aws_sdk_s3::presigning::PresigningConfig::expires_in(std::time::Duration::from_secs(60));
    let put = served.s3().put_object().bucket("b-1").key("half");
    let signed = put.presigned(presigning.unwrap()).await.unwrap();
    let (chunks, body) = futures::channel::mpsc::unbounded::<Result<Vec<u8>, std::io::Error>>();
    chunks.unbounded_send(Ok(vec![1; 600_000])).unwrap();
    let sent = clients::http().put(signed.uri()).header("content-length", 1_000_000);
    let sent = tokio::spawn(sent.body(reqwest::Body::wrap_stream(body)).send());
    let folder = dir.path().join("s3/b-1");
    let files = || std::fs::read_dir(&folder).unwrap().count();
    for _ in 0..200 {
        if files() == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(files(), 1, "the upload has begun");
    served.kill();
    drop(chunks);
    assert!(sent.await.unwrap().is_err());

    let served = Served::start(dir.path());
    assert_eq!(files(), 0);
    let listed = served.s3().list_objects_v2().bucket("b-1").send().await.unwrap();
    assert!(listed.contents().is_empty());
    served.kill();
}
