//! Reads, conditions and transactions against a table.
#![allow(clippy::unwrap_used, reason = "helpers outside #[test] functions are tests too")]

mod ground;

use framefair_store::{
    Check, Cursor, Index, Key, Order, Range, TransactFailed, Update, When, Write, WriteFailed,
};
use ground::{Ground, Row, key};

fn refused(result: Result<(), WriteFailed>) -> bool {
    matches!(result, Err(WriteFailed::Condition))
}

#[tokio::test]
async fn a_condition_that_does_not_hold_leaves_the_item() {
    let g = Ground::new().await;
    let row = Row::new("a");
    assert!(refused(g.store.write(Write::put(&row, When::Present)).await));
    assert!(refused(g.store.write(Write::put(&row, When::Rev(0))).await));
    g.store.write(Write::put(&row, When::Absent)).await.unwrap();
    assert!(refused(g.store.write(Write::put(&row, When::Absent)).await));

    let newer = Row { rev: 1, ..row.clone() };
    g.store.write(Write::put(&newer, When::Rev(0))).await.unwrap();
    assert!(refused(g.store.write(Write::put(&row, When::Rev(0))).await));
    assert_eq!(g.store.get::<Row>(&key("a")).await.unwrap(), Some(newer));

    assert!(refused(g.store.write(Write::delete(key("a"), When::Rev(9))).await));
    g.store.write(Write::check(key("a"), When::Rev(1))).await.unwrap();
    assert!(refused(g.store.write(Write::check(key("a"), When::Absent)).await));
    g.store.write(Write::delete(key("a"), When::Rev(1))).await.unwrap();
    assert_eq!(g.store.get::<Row>(&key("a")).await.unwrap(), None);
}

#[tokio::test]
async fn an_expired_claim_may_be_taken_again_and_a_live_one_may_not() {
    let g = Ground::new().await;
    let claim = |count, expires| Row { count, expires: Some(expires), ..Row::new("nonce") };
    let when = |now_s| When::AbsentOrExpired { now_s };
    g.store.write(Write::put(&claim(1, 2_000_000_000), when(1_999_999_000))).await.unwrap();
    let early = Write::put(&claim(2, 2_000_000_900), when(1_999_999_999));
    assert!(refused(g.store.write(early).await));
    g.store.write(Write::put(&claim(3, 2_000_000_900), when(2_000_000_000))).await.unwrap();
    let stored: Row = g.store.get(&key("nonce")).await.unwrap().unwrap();
    assert_eq!(stored.count, 3);
}

#[tokio::test]
async fn a_cancelled_transaction_names_its_legs_and_writes_nothing() {
    let g = Ground::new().await;
    g.store.write(Write::put(&Row::new("old"), When::Absent)).await.unwrap();
    let legs = vec![
        Write::put(&Row::new("new"), When::Absent),
        Write::put(&Row::new("old"), When::Absent),
        Write::check(key("gone"), When::Present),
        Update::at(key("other"), When::Always).add("count", 1).into(),
    ];
    match g.store.transact(legs).await {
        Err(TransactFailed::Conditions(legs)) => assert_eq!(legs, [1, 2]),
        other => panic!("{other:?}"),
    }
    assert_eq!(g.store.get::<Row>(&key("new")).await.unwrap(), None);
    assert_eq!(g.store.get::<Row>(&key("other")).await.unwrap(), None);
}

#[tokio::test]
async fn an_update_touches_what_it_names_and_moves_the_index_row() {
    let g = Ground::new().await;
    g.store.write(Write::put(&Row::due("a", "2030"), When::Absent)).await.unwrap();
    let update = Update::at(key("a"), When::Rev(0))
        .set("rev", 1_u64)
        .set("due", "2031")
        .add("count", -3)
        .index(Index::Due, Some(("DUE#0".to_owned(), "2031".to_owned())))
        .require(Check::at_most("count", 0))
        .require_any([Check::missing("expires"), Check::exists("never")]);
    let row: Row = g.store.update_returning(update).await.unwrap();
    assert_eq!((row.rev, row.count, row.due.as_deref()), (1, -3, Some("2031")));

    let due = |range| g.store.index(Index::Due, "DUE#0", range, Order::Ascending, 10, None);
    assert!(due(Range::AtMost("2030".to_owned())).await.unwrap().entries.is_empty());
    let page = due(Range::AtMost("2031".to_owned())).await.unwrap();
    assert_eq!((page.keys(), page.entries[0].sort.as_str()), (vec![key("a")], "2031"));

    let out = Update::at(key("a"), When::Present).remove("due").index(Index::Due, None);
    g.store.write(out).await.unwrap();
    assert!(due(Range::All).await.unwrap().entries.is_empty());
}

#[tokio::test]
async fn a_map_is_updated_one_entry_at_a_time() {
    let g = Ground::new().await;
    let at = || Update::at(key("m"), When::Always);
    g.store
        .write(at().set_once("nodes", std::collections::BTreeMap::<String, u64>::new()))
        .await
        .unwrap();
    g.store.write(at().set(["nodes", "a.b"], 7_u64)).await.unwrap();
    let twice = at().set(["nodes", "a.b"], 8_u64).require(Check::missing(["nodes", "a.b"]));
    assert!(refused(g.store.write(twice).await));
    let bare = at().set("x", 1_u64).require(Check::equals(["nodes", "a.b"], 7_u64));
    g.store.write(bare).await.unwrap();
}

#[tokio::test]
async fn many_keys_come_back_in_order_over_several_round_trips() {
    let g = Ground::new().await;
    let ids: Vec<String> = (0..230).map(|n| format!("{n:03}")).collect();
    for chunk in ids.chunks(100) {
        let legs = chunk.iter().map(|id| Write::put(&Row::new(id), When::Absent)).collect();
        g.store.transact(legs).await.unwrap();
    }
    g.seam.reset();
    let mut keys: Vec<Key> = ids.iter().rev().map(|id| key(id)).collect();
    keys.push(key("missing"));
    keys.push(key("229"));
    let rows: Vec<Row> = g.store.get_many(&keys).await.unwrap();
    let back: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let asked: Vec<&str> = ids.iter().rev().map(String::as_str).collect();
    assert_eq!(back, asked);
    assert_eq!(g.counted("BatchGetItem").0, 3);
}

#[tokio::test]
async fn an_index_is_paged_to_its_end_in_both_directions() {
    let g = Ground::new().await;
    for n in 0..7 {
        g.store
            .write(Write::put(&Row::due(&n.to_string(), &format!("t{n}")), When::Absent))
            .await
            .unwrap();
    }
    for order in [Order::Ascending, Order::Descending] {
        let mut seen = Vec::new();
        let mut start = None;
        loop {
            let page = g
                .store
                .index(Index::Due, "DUE#0", Range::Prefix("t".to_owned()), order, 3, start)
                .await
                .unwrap();
            assert!(page.entries.len() <= 3);
            seen.extend(page.entries.into_iter().map(|entry| entry.sort));
            match page.next {
                Some(next) => start = Some(Cursor::parse(&next.to_text()).unwrap()),
                None => break,
            }
        }
        if order == Order::Descending {
            seen.reverse();
        }
        assert_eq!(seen, ["t0", "t1", "t2", "t3", "t4", "t5", "t6"]);
    }
    assert_eq!(Cursor::parse("bm9uc2Vuc2U"), None);
}

#[tokio::test]
async fn a_partition_comes_whole_and_a_prefix_alone() {
    #[derive(serde::Serialize, serde::Deserialize, Debug, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Task {
        n: u64,
    }
    impl framefair_store::Entity for Task {
        fn key(&self) -> Key {
            Key::new("JOB#1", format!("TASK#{:04}", self.n))
        }
    }
    let g = Ground::new().await;
    for n in 0..5 {
        g.store.write(Write::put(&Task { n }, When::Absent)).await.unwrap();
    }
    let all = g.store.partition("JOB#1").await.unwrap();
    assert_eq!((all.len(), all[0].sk()), (5, "TASK#0000"));
    assert_eq!(all[4].clone().decode::<Task>().unwrap(), Task { n: 4 });
    let last: Vec<Task> = g.store.query("JOB#1", "TASK#", Order::Descending, 2).await.unwrap();
    assert_eq!(last, [Task { n: 4 }, Task { n: 3 }]);
}
