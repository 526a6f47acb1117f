//! Writes when the cloud conflicts, throttles and loses answers.
#![allow(clippy::unwrap_used, reason = "helpers outside #[test] functions are tests too")]

mod ground;

use std::time::Duration;

use framefair_store::seam::{Fault, Faults, Lag, WRITES};
use framefair_store::{
    Index, Order, Queue, Range, TransactFailed, Update, When, Write, WriteFailed,
};
use ground::{Ground, Row, key};

async fn count(g: &Ground, id: &str) -> i64 {
    g.store.get::<Row>(&key(id)).await.unwrap().unwrap().count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_two_increments_survive_conflicts_and_lost_answers() {
    let g = Ground::new().await;
    g.store.write(Write::put(&Row::new("sum"), When::Absent)).await.unwrap();
    g.seam.inject(
        Faults::seeded(7)
            .often("TransactWriteItems", Fault::Conflict, 250)
            .often("TransactWriteItems", Fault::TimeoutAfterCommit, 150)
            .often("TransactWriteItems", Fault::Throttle, 100),
    );
    let tasks = (0..32).map(|n| {
        let store = g.store.clone();
        tokio::spawn(async move {
            let entry = Row::new(&format!("entry-{n}"));
            let legs = vec![
                Update::at(key("sum"), When::Present).add("count", 1).into(),
                Write::put(&entry, When::Absent),
            ];
            store.transact(legs).await
        })
    });
    let mut done = 0;
    for task in tasks.collect::<Vec<_>>() {
        // Out of tries is allowed, whether the last of them was applied or not.
        done += u32::from(task.await.unwrap().is_ok());
    }
    assert!(g.seam.calm() > 5, "the faults did not happen");
    assert!(done >= 28, "only {done} came through");
    let entries: Vec<_> = (0..32).map(|n| key(&format!("entry-{n}"))).collect();
    let written = g.store.get_many::<Row>(&entries).await.unwrap().len();
    assert!(written >= done as usize, "{done} were said to be written, {written} are");
    assert_eq!(count(&g, "sum").await as usize, written);
}

#[tokio::test]
async fn a_transaction_whose_answer_is_lost_is_applied_once() {
    let g = Ground::new().await;
    g.seam.inject(Faults::seeded(1).nth("TransactWriteItems", 1, Fault::TimeoutAfterCommit));
    let legs = vec![
        Update::at(key("a"), When::Always).add("count", 5).set("id", "a").set("rev", 0_u64).into(),
        Write::put(&Row::new("claim"), When::Absent),
    ];
    g.store.transact(legs).await.unwrap();
    assert_eq!(g.seam.calm(), 1);
    assert_eq!(g.counted("TransactWriteItems").0, 2);
    assert_eq!(count(&g, "a").await, 5);
}

#[tokio::test]
async fn a_writer_recognises_its_own_put_after_a_lost_answer() {
    let g = Ground::new().await;
    let lose = || g.seam.inject(Faults::seeded(1).nth("PutItem", 1, Fault::TimeoutAfterCommit));
    lose();
    g.store.write(Write::put(&Row::new("mine"), When::Absent)).await.unwrap();
    lose();
    // Another's identical item is not mistaken for one's own.
    let again = g.store.write(Write::put(&Row::new("mine"), When::Absent)).await;
    assert!(matches!(again, Err(WriteFailed::Condition)), "{again:?}");
    lose();
    let newer = Row { rev: 1, ..Row::new("mine") };
    g.store.write(Write::put(&newer, When::Rev(0))).await.unwrap();
}

#[tokio::test]
async fn a_sum_is_not_added_twice_when_its_answer_is_lost() {
    let g = Ground::new().await;
    g.store.write(Write::put(&Row::new("a"), When::Absent)).await.unwrap();
    let add = || Update::at(key("a"), When::Present).add("count", 2);
    g.seam.inject(Faults::seeded(1).nth("UpdateItem", 1, Fault::TimeoutAfterCommit));
    let row: Row = g.store.update_returning(add()).await.unwrap();
    assert_eq!(row.count, 2);
    g.seam.inject(Faults::seeded(1).nth("UpdateItem", 1, Fault::ErrorBefore));
    let unknown = g.store.write(add()).await;
    assert!(matches!(unknown, Err(WriteFailed::Broken(_))), "{unknown:?}");
    assert_eq!(count(&g, "a").await, 2);
}

#[tokio::test]
async fn endless_conflict_ends_as_contended_and_endless_throttling_as_busy() {
    let g = Ground::new().await;
    let put = || Write::put(&Row::new("a"), When::Absent);
    g.seam.inject(Faults::seeded(1).often("TransactWriteItems", Fault::Conflict, 1000));
    assert!(matches!(g.store.transact(vec![put()]).await, Err(TransactFailed::Contended)));
    assert!(g.seam.calm() <= 8);
    g.seam.inject(Faults::seeded(1).often("PutItem", Fault::Throttle, 1000));
    match g.store.write(put()).await {
        Err(WriteFailed::Broken(broken)) => {
            assert!(broken.is_busy());
            assert_eq!(broken.to_string(), "storage operation PutItem failed");
            assert!(
                broken.detail().contains("ProvisionedThroughputExceeded"),
                "{}",
                broken.detail()
            );
        }
        other => panic!("{other:?}"),
    }
    g.seam.calm();
    assert_eq!(g.store.get::<Row>(&key("a")).await.unwrap(), None);
}

#[tokio::test]
async fn reads_outlive_a_throttle_and_a_broken_connection() {
    let g = Ground::new().await;
    g.store.write(Write::put(&Row::new("a"), When::Absent)).await.unwrap();
    g.seam.inject(Faults::seeded(1).nth("GetItem", 1, Fault::Throttle).nth(
        "GetItem",
        2,
        Fault::ErrorBefore,
    ));
    assert_eq!(count(&g, "a").await, 0);
    assert_eq!(g.seam.calm(), 2);
}

#[tokio::test]
async fn a_stale_index_misses_the_newest_moves_and_shows_the_old_ones() {
    let g = Ground::new().await;
    let put = |row: Row| {
        let store = g.store.clone();
        async move { store.write(Write::put(&row, When::Always)).await.unwrap() }
    };
    put(Row::due("old", "t1")).await;
    put(Row::due("moves", "t2")).await;
    let stale = || Faults::seeded(1).often("Query", Fault::StaleIndex, 1000);
    g.seam.inject(stale().lag(Lag::Writes(3)));
    put(Row::due("moves", "t5")).await;
    put(Row::due("born", "t3")).await;
    put(Row::new("old")).await;
    let read = || async {
        let page = g
            .store
            .index(Index::Due, "DUE#0", Range::All, Order::Ascending, 10, None)
            .await
            .unwrap();
        page.entries.into_iter().map(|entry| entry.sort).collect::<Vec<_>>()
    };
    assert_eq!(read().await, ["t1", "t2"]);
    g.seam.calm();
    assert_eq!(read().await, ["t3", "t5"]);

    g.seam.inject(stale().lag(Lag::Time(Duration::from_secs(3_600))));
    put(Row::due("late", "t9")).await;
    assert_eq!(read().await, ["t3", "t5"]);
    g.seam.inject(stale().lag(Lag::Time(Duration::from_millis(1))));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(read().await, ["t3", "t5", "t9"]);
}

#[tokio::test]
async fn a_duplicated_hint_is_received_twice() {
    let g = Ground::new().await;
    g.seam.inject(Faults::seeded(1).nth("SendMessage", 1, Fault::Duplicate));
    g.store.queues().send(Queue::Dispatch, &"job", 0).await.unwrap();
    let got = g.store.queues().receive(Queue::Dispatch, 10, 1, 30).await.unwrap();
    assert_eq!(got.len(), 2);
}

#[tokio::test]
async fn who_dies_after_a_write_has_written_and_who_dies_before_has_not() {
    let g = Ground::new().await;
    for (fault, written) in [(Fault::DieBefore, false), (Fault::DieAfter, true)] {
        let id = format!("{fault:?}");
        g.seam.inject(Faults::seeded(1).nth(WRITES, 1, fault));
        tokio::select! {
            biased;
            () = g.seam.stopped() => {}
            done = g.store.write(Write::put(&Row::new(&id), When::Absent)) => panic!("{done:?}"),
        }
        assert_eq!(g.seam.calm(), 1);
        assert_eq!(g.store.get::<Row>(&key(&id)).await.unwrap().is_some(), written, "{id}");
    }
}

#[tokio::test]
async fn who_sleeps_before_a_write_writes_when_the_faults_end() {
    let g = Ground::new().await;
    g.seam.inject(Faults::seeded(1).nth(WRITES, 1, Fault::Sleep));
    let row = Row::new("late");
    let mut write = std::pin::pin!(g.store.write(Write::put(&row, When::Absent)));
    tokio::select! {
        biased;
        () = g.seam.stopped() => {}
        done = &mut write => panic!("{done:?}"),
    }
    assert!(g.store.get::<Row>(&key("late")).await.unwrap().is_none());
    g.seam.calm();
    write.await.unwrap();
    assert!(g.store.get::<Row>(&key("late")).await.unwrap().is_some());
}
