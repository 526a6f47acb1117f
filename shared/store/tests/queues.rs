//! Hints through queues.
#![allow(clippy::unwrap_used, reason = "helpers outside #[test] functions are tests too")]

mod ground;

use std::time::{Duration, Instant};

use framefair_store::Queue;
use ground::Ground;

#[tokio::test]
async fn a_hint_is_seen_deferred_seen_again_and_deleted() {
    let g = Ground::new().await;
    let queues = g.store.queues();
    queues.send(Queue::Relay(0), &serde_json::json!({"job": 1}), 0).await.unwrap();
    assert!(queues.receive(Queue::Verify, 10, 0, 30).await.unwrap().is_empty());
    let first = queues.receive(Queue::Relay(0), 10, 1, 60).await.unwrap();
    assert_eq!(
        (first.len(), first[0].body.as_str(), first[0].receive_count),
        (1, r#"{"job":1}"#, 1)
    );
    assert!(queues.receive(Queue::Relay(0), 10, 0, 60).await.unwrap().is_empty());
    queues.defer(Queue::Relay(0), &first[0].receipt, 0).await.unwrap();
    let second = queues.receive(Queue::Relay(0), 10, 1, 60).await.unwrap();
    assert_eq!(second[0].receive_count, 2);
    queues.delete(Queue::Relay(0), &second[0].receipt).await.unwrap();
    queues.defer(Queue::Relay(0), &second[0].receipt, 0).await.ok();
    assert!(queues.receive(Queue::Relay(0), 10, 0, 60).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_delayed_hint_is_not_seen_early() {
    let g = Ground::new().await;
    let queues = g.store.queues();
    let sent = Instant::now();
    queues.send(Queue::Payouts, &"later", 2).await.unwrap();
    assert!(queues.receive(Queue::Payouts, 1, 0, 30).await.unwrap().is_empty());
    let got = queues.receive(Queue::Payouts, 1, 10, 30).await.unwrap();
    assert_eq!(got[0].body, r#""later""#);
    assert!(sent.elapsed() >= Duration::from_millis(1_900), "{:?}", sent.elapsed());
}

#[tokio::test]
async fn a_queue_that_does_not_exist_is_a_failure_not_an_empty_one() {
    let g = Ground::new().await;
    assert!(g.store.queues().receive(Queue::Relay(9), 1, 0, 30).await.is_err());
}
