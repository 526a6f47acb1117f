//! SQS through the SDK: delays, visibility, redrive, long polls, batches, refusals.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
    MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName,
    SendMessageBatchRequestEntry,
};

use crate::clients::{Cloud, code};

async fn queue(sqs: &Client, name: &str, attributes: &[(QueueAttributeName, &str)]) -> String {
    let attributes: HashMap<_, _> =
        attributes.iter().map(|(k, v)| (k.clone(), (*v).to_owned())).collect();
    let made = sqs.create_queue().queue_name(name).set_attributes(Some(attributes)).send().await;
    made.unwrap().queue_url.unwrap()
}

async fn send(sqs: &Client, url: &str, body: &str) {
    sqs.send_message().queue_url(url).message_body(body).send().await.unwrap();
}

async fn receive(sqs: &Client, url: &str, wait_s: i32) -> Vec<Message> {
    let got = sqs
        .receive_message()
        .queue_url(url)
        .wait_time_seconds(wait_s)
        .max_number_of_messages(10)
        .message_system_attribute_names(MessageSystemAttributeName::All)
        .message_attribute_names("All")
        .send()
        .await
        .unwrap();
    got.messages.unwrap_or_default()
}

async fn count(sqs: &Client, url: &str, name: QueueAttributeName) -> String {
    let got = sqs.get_queue_attributes().queue_url(url).attribute_names(name.clone());
    got.send().await.unwrap().attributes.unwrap()[&name].clone()
}

fn received(message: &Message) -> &str {
    &message.attributes().unwrap()[&MessageSystemAttributeName::ApproximateReceiveCount]
}

#[tokio::test]
async fn a_message_comes_once_until_it_is_deleted_or_visible_again() {
    let cloud = Cloud::start().await;
    let sqs = cloud.sqs();
    let url = queue(&sqs, "q", &[(QueueAttributeName::VisibilityTimeout, "3")]).await;
    let colour = MessageAttributeValue::builder().data_type("String").string_value("red").build();
    let sent = sqs.send_message().queue_url(&url).message_body("grüße\n<&>");
    let sent = sent.message_attributes("colour", colour.unwrap()).send().await.unwrap();

    let first = receive(&sqs, &url, 0).await.remove(0);
    assert_eq!(first.body(), Some("grüße\n<&>"));
    assert_eq!(first.message_id(), sent.message_id());
    assert_eq!(first.md5_of_body(), sent.md5_of_message_body());
    assert_eq!(first.md5_of_message_attributes(), sent.md5_of_message_attributes());
    assert_eq!(first.message_attributes().unwrap()["colour"].string_value(), Some("red"));
    assert_eq!(received(&first), "1");
    assert!(receive(&sqs, &url, 0).await.is_empty());
    let hidden = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
    assert_eq!(count(&sqs, &url, hidden).await, "1");

    let started = Instant::now();
    let second = receive(&sqs, &url, 15).await.remove(0);
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    assert_eq!(received(&second), "2");

    // The first holder's handle is old: its delete is accepted and does nothing.
    let delete = |m: &Message| {
        let handle = m.receipt_handle().unwrap().to_owned();
        sqs.delete_message().queue_url(&url).receipt_handle(handle).send()
    };
    delete(&first).await.unwrap();
    let held = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
    assert_eq!(count(&sqs, &url, held).await, "1");
    delete(&second).await.unwrap();
    assert!(receive(&sqs, &url, 4).await.is_empty());
}

#[tokio::test]
async fn a_delayed_message_waits_and_a_long_poll_wakes_when_it_is_due() {
    let cloud = Cloud::start().await;
    let sqs = cloud.sqs();
    let url = queue(&sqs, "q", &[]).await;
    let started = Instant::now();
    let sent = sqs.send_message().queue_url(&url).message_body("later").delay_seconds(1);
    sent.send().await.unwrap();
    assert!(receive(&sqs, &url, 0).await.is_empty());
    let delayed = QueueAttributeName::ApproximateNumberOfMessagesDelayed;
    assert_eq!(count(&sqs, &url, delayed).await, "1");
    assert_eq!(receive(&sqs, &url, 10).await.len(), 1);
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(990) && took < Duration::from_secs(6), "{took:?}");
}

#[tokio::test]
async fn a_long_poll_wakes_within_100_ms_of_a_send() {
    let cloud = Cloud::start().await;
    let sqs = cloud.sqs();
    let url = queue(&sqs, "q", &[]).await;
    let mut best = Duration::MAX;
    // The best of three: the machine may be busy, a poll on a timer would never be this quick.
    for _ in 0..3 {
        let poll = {
            let (sqs, url) = (sqs.clone(), url.clone());
            tokio::spawn(async move { (receive(&sqs, &url, 20).await, Instant::now()) })
        };
        tokio::time::sleep(Duration::from_millis(300)).await;
        send(&sqs, &url, "now").await;
        let sent = Instant::now();
        let (messages, woke) = poll.await.unwrap();
        best = best.min(woke.saturating_duration_since(sent));
        let handle = messages[0].receipt_handle().unwrap();
        sqs.delete_message().queue_url(&url).receipt_handle(handle).send().await.unwrap();
    }
    assert!(best < Duration::from_millis(100), "{best:?}");
}

#[tokio::test]
async fn one_message_wakes_one_of_many_polls() {
    let cloud = Cloud::start().await;
    let sqs = cloud.sqs();
    let url = queue(&sqs, "q", &[]).await;
    let polls: Vec<_> = (0..8)
        .map(|_| {
            let (sqs, url) = (sqs.clone(), url.clone());
            tokio::spawn(async move { receive(&sqs, &url, 8).await.len() })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    send(&sqs, &url, "one").await;
    let mut total = 0;
    for poll in polls {
        total += poll.await.unwrap();
    }
    assert_eq!(total, 1);
}

#[tokio::test]
async fn a_message_received_too_often_goes_to_the_dead_letters() {
    let cloud = Cloud::start().await;
    let sqs = cloud.sqs();
    let dead = queue(&sqs, "q-dead", &[]).await;
    let arn = count(&sqs, &dead, QueueAttributeName::QueueArn).await;
    let policy = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":"2"}}"#);
    let url = queue(&sqs, "q", &[(QueueAttributeName::RedrivePolicy, &policy)]).await;
    send(&sqs, &url, "poison").await;
    for time in ["1", "2"] {
        let got = receive(&sqs, &url, 0).await.remove(0);
        assert_eq!(received(&got), time);
        let handle = got.receipt_handle().unwrap();
        let back = sqs.change_message_visibility().queue_url(&url).receipt_handle(handle);
        back.visibility_timeout(0).send().await.unwrap();
    }
    assert!(receive(&sqs, &url, 0).await.is_empty());
    let moved = receive(&sqs, &dead, 5).await;
    assert_eq!(moved[0].body(), Some("poison"));
}

#[tokio::test]
async fn visibility_can_be_stretched_only_while_the_message_is_held() {
    let cloud = Cloud::start().await;
    let sqs = cloud.sqs();
    let url = queue(&sqs, "q", &[(QueueAttributeName::VisibilityTimeout, "2")]).await;
    send(&sqs, &url, "m").await;
    let held = receive(&sqs, &url, 0).await.remove(0);
    let change = |s: i32| {
        let change = sqs.change_message_visibility().queue_url(&url).visibility_timeout(s);
        change.receipt_handle(held.receipt_handle().unwrap()).send()
    };
    change(9).await.unwrap();
    assert!(receive(&sqs, &url, 3).await.is_empty(), "still hidden after the old timeout");
    change(0).await.unwrap();
    assert_eq!(code(change(30).await), "AWS.SimpleQueueService.MessageNotInflight");
    assert_eq!(receive(&sqs, &url, 0).await.len(), 1);
}

#[tokio::test]
async fn batches_answer_each_entry() {
    let cloud = Cloud::start().await;
    let sqs = cloud.sqs();
    let url = queue(&sqs, "q", &[]).await;
    let entry = |id: &str, delay: i32| {
        let entry = SendMessageBatchRequestEntry::builder().id(id).message_body(id);
        entry.delay_seconds(delay).build().unwrap()
    };
    let all = vec![entry("a", 0), entry("b", 0), entry("c", 901)];
    let sent =
        sqs.send_message_batch().queue_url(&url).set_entries(Some(all)).send().await.unwrap();
    assert_eq!(sent.successful().len(), 2);
    assert_eq!(sent.failed()[0].id(), "c");
    assert!(sent.failed()[0].sender_fault());

    let got = receive(&sqs, &url, 0).await;
    assert_eq!(got.len(), 2);
    let changes = got.iter().zip(["a", "b"]).map(|(m, id)| {
        let change = ChangeMessageVisibilityBatchRequestEntry::builder().id(id);
        change.receipt_handle(m.receipt_handle().unwrap()).visibility_timeout(60).build().unwrap()
    });
    let changed = sqs.change_message_visibility_batch().queue_url(&url);
    let changed = changed.set_entries(Some(changes.collect())).send().await.unwrap();
    assert_eq!(changed.successful().len(), 2);
    let deletes = got.iter().zip(["a", "b"]).map(|(m, id)| {
        let delete = DeleteMessageBatchRequestEntry::builder().id(id);
        delete.receipt_handle(m.receipt_handle().unwrap()).build().unwrap()
    });
    let deleted = sqs.delete_message_batch().queue_url(&url).set_entries(Some(deletes.collect()));
    assert_eq!(deleted.send().await.unwrap().successful().len(), 2);
    let held = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
    assert_eq!(count(&sqs, &url, held).await, "0");

    let twice = vec![entry("a", 0), entry("a", 0)];
    let refused = sqs.send_message_batch().queue_url(&url).set_entries(Some(twice)).send().await;
    assert_eq!(code(refused), "AWS.SimpleQueueService.BatchEntryIdsNotDistinct");
}

#[tokio::test]
async fn queues_are_found_listed_purged_and_created_twice_alike() {
    let cloud = Cloud::start().await;
    let sqs = cloud.sqs();
    let url = queue(&sqs, "hints-1", &[(QueueAttributeName::DelaySeconds, "0")]).await;
    queue(&sqs, "other", &[]).await;
    assert_eq!(queue(&sqs, "hints-1", &[]).await, url);
    let differs = sqs.create_queue().queue_name("hints-1");
    let differs = differs.attributes(QueueAttributeName::VisibilityTimeout, "77").send().await;
    assert!(code(differs).contains("Queue"));
    let found = sqs.get_queue_url().queue_name("hints-1").send().await.unwrap();
    assert_eq!(found.queue_url(), Some(url.as_str()));
    let listed = sqs.list_queues().queue_name_prefix("hints").send().await.unwrap();
    assert_eq!(listed.queue_urls(), std::slice::from_ref(&url));
    send(&sqs, &url, "m").await;
    assert_eq!(count(&sqs, &url, QueueAttributeName::ApproximateNumberOfMessages).await, "1");
    sqs.purge_queue().queue_url(&url).send().await.unwrap();
    assert!(receive(&sqs, &url, 0).await.is_empty());
    sqs.delete_queue().queue_url(&url).send().await.unwrap();
    let gone = sqs.send_message().queue_url(&url).message_body("m").send().await.unwrap_err();
    assert!(gone.into_service_error().is_queue_does_not_exist());
}

#[tokio::test]
async fn what_sqs_would_refuse_is_refused() {
    let cloud = Cloud::start().await;
    let sqs = cloud.sqs();
    let url = queue(&sqs, "q", &[]).await;
    let most = "x".repeat(1024 * 1024);
    send(&sqs, &url, &most).await;
    let more = sqs.send_message().queue_url(&url).message_body(format!("{most}x")).send().await;
    assert_eq!(code(more), "InvalidParameterValue");
    let odd = sqs.send_message().queue_url(&url).message_body("\u{1}").send().await;
    assert_eq!(code(odd), "InvalidMessageContents");
    let fifo = sqs.create_queue().queue_name("q.fifo").send().await;
    assert_eq!(code(fifo), "InvalidParameterValue");
    let receipt = sqs.delete_message().queue_url(&url).receipt_handle("nonsense").send().await;
    assert_eq!(code(receipt), "ReceiptHandleIsInvalid");
    let eleven = sqs.receive_message().queue_url(&url).max_number_of_messages(11).send().await;
    assert_eq!(code(eleven), "InvalidParameterValue");
}
