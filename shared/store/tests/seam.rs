//! What the seam counts.
#![allow(clippy::unwrap_used, reason = "helpers outside #[test] functions are tests too")]

mod ground;

use framefair_store::seam::{Depth, labelled};
use framefair_store::{Queue, Seam, Update, When, Write};
use ground::{Ground, Row, key};

#[tokio::test]
async fn calls_and_units_are_counted_by_label_and_operation() {
    let g = Ground::new().await;
    labelled("submit", async {
        g.store.write(Write::put(&Row::due("a", "t"), When::Absent)).await.unwrap();
        g.store.queues().send(Queue::Dispatch, &"a", 0).await.unwrap();
        g.store.get::<Row>(&key("a")).await.unwrap();
        g.store.get_eventual::<Row>(&key("a")).await.unwrap();
    })
    .await;
    labelled("settle", async {
        let out = Update::at(key("a"), When::Present)
            .remove("due")
            .index(framefair_store::Index::Due, None);
        let claim = Write::put(&Row::new("claim"), When::Absent);
        g.store.transact(vec![claim, out.into()]).await.unwrap();
        assert!(g.store.write(Write::put(&Row::new("a"), When::Absent)).await.is_err());
    })
    .await;
    let rows: Vec<String> = g
        .seam
        .snapshot()
        .iter()
        .map(|c| {
            format!("{} {} {}/{} r{} w{}", c.label, c.op, c.calls, c.failed, c.rcu_halves, c.wcu)
        })
        .collect();
    assert_eq!(
        rows,
        [
            "settle PutItem 1/1 r0 w1",
            "settle TransactWriteItems 1/0 r0 w5",
            "submit GetItem 2/0 r3 w0",
            "submit PutItem 1/0 r0 w2",
            "submit SendMessage 1/0 r0 w0",
        ]
    );
}

#[tokio::test]
async fn concurrent_calls_are_one_step_deep() {
    let g = Ground::new().await;
    for _ in 0..2 {
        labelled("read", async {
            g.store.get::<Row>(&key("a")).await.unwrap();
            let (b, c) = (key("b"), key("c"));
            let both = tokio::join!(g.store.get::<Row>(&b), g.store.get::<Row>(&c));
            both.0.unwrap();
            both.1.unwrap();
        })
        .await;
    }
    let deep = Depth { label: "read", runs: 2, sequential: 4, most: 2 };
    assert_eq!(g.seam.depths(), [deep]);
}

#[test]
fn a_seam_that_is_off_counts_nothing() {
    assert!(Seam::off().snapshot().is_empty());
    assert_eq!(Seam::off().calm(), 0);
}
