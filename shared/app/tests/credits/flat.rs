//! What a dispatch, a list, an entry and a proof cost, however many nodes there are, and however many jobs and
//! entries came before.

use framefair_app::delivery::{self, Connection};
use framefair_app::jobs::{self, Word};
use framefair_app::{Call, Ctx, JobState, credits, ledger};
use framefair_domain::credits::Credits;
use framefair_domain::id::{EntryId, JobId, UserId};
use framefair_domain::ledger::NOTHING_BEFORE;
use framefair_domain::time::Timestamp;
use framefair_domain::wallet::TxSignature;
use framefair_store::rows::{
    Anchored, CapabilityRow, CreatorDeal, Direction, EntryRow, JobRow, NodeRow, Place, Presence,
    SignedTx, Source,
};
use framefair_store::{TransactFailed, Update, When, Write, keys};
use futures::{StreamExt, TryStreamExt, stream};

use crate::ground::Ground;
use crate::jobs::{node, stranger, wish};
use crate::storm::number;

/// So many in one transaction, and so many of those at once.
const TOGETHER: usize = 50;
const AT_ONCE: usize = 2;
/// Half units: a dispatch may read three units besides what tells who asks.
const DISPATCH_HALVES: u64 = 6;

async fn write(ctx: &Ctx, puts: impl Iterator<Item = Write>) {
    let some = stream::iter(puts).chunks(TOGETHER).map(Ok::<Vec<Write>, TransactFailed>);
    some.try_for_each_concurrent(AT_ONCE, |some| ctx.store.transact(some)).await.unwrap();
}

/// Half units read, and units written, since the last time.
fn cost(ctx: &Ctx) -> (u64, u64) {
    let costs = ctx.store.seam().snapshot();
    ctx.store.seam().reset();
    assert!(costs.iter().all(|cost| cost.op != "Scan"), "{costs:?}");
    (costs.iter().map(|cost| cost.rcu_halves).sum(), costs.iter().map(|cost| cost.wcu).sum())
}

/// Connected nodes that can echo, each with its row and its place in the list.
fn nodes(from: u64, to: u64) -> impl Iterator<Item = Write> {
    (from..to).flat_map(|n| {
        let id = stranger(n + 1);
        let place = Place { presence: Presence::Connected, load: 0 };
        let connection = Some(Connection { relay: 0, boot: "test".into() });
        let row = NodeRow { rev: 1, connection, slots: 8, ..NodeRow::new(id, Timestamp(0)) };
        let (name, listed) = ("echo".to_owned(), Timestamp(0));
        let listed = CapabilityRow { id, name, gpu: false, place, listed };
        [Write::put(&row, When::Absent), Write::put(&listed, When::Absent)]
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispatch_costs_the_same_beside_ten_nodes_and_beside_ten_thousand() {
    let ground = Ground::open().await;
    let ctx = ground.process();
    let user = ground.user("ada@example.com").await;
    let mut costs = Vec::new();
    for (from, to) in [(0, 10), (10, 10_000)] {
        write(&ctx, nodes(from, to)).await;
        delivery::take_relay(&ctx, &Call::live(), 0, "test").await.unwrap();
        cost(&ctx);
        jobs::dispatch(&ctx, &mut Call::live(), user, None, wish("echo"), None).await.unwrap();
        costs.push(cost(&ctx));
    }
    println!("bench: a dispatch reads {} half units and writes {} units", costs[0].0, costs[0].1);
    assert_eq!(costs[0], costs[1]);
    assert!(costs[0].0 <= DISPATCH_HALVES, "{costs:?}");
}

/// Every tenth of them failed.
fn old_jobs(known: &JobRow, user: UserId, from: u64, to: u64) -> impl Iterator<Item = Write> {
    let known = known.clone().creator().unwrap();
    (from..to).map(move |number| {
        let mut job = known.clone();
        job.id = JobId(uuid::Uuid::from_u128(u128::from(number)));
        job.due = None;
        job.state = if number % 10 == 0 { JobState::Failed } else { JobState::Completed };
        job.task.lease = None;
        job.deal = CreatorDeal { user, number, ..job.deal };
        Write::put(&job, When::Absent)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_costs_the_same_behind_a_thousand_jobs_and_behind_twenty_thousand() {
    let ground = Ground::open().await;
    let ctx = ground.process();
    delivery::take_relay(&ctx, &Call::live(), 0, "test").await.unwrap();
    node(&ctx, 1, &["echo"]).await;
    let (ada, model) = (ground.user("ada@example.com").await, ground.user("m@example.com").await);
    let placed = jobs::dispatch(&ctx, &mut Call::live(), model, None, wish("echo"), None).await;
    let known = ctx.store.get::<JobRow>(&keys::job(placed.unwrap().job)).await.unwrap().unwrap();
    let (mut costs, mut of_one) = (Vec::new(), Vec::new());
    for (from, to) in [(1, 1_001), (1_001, 20_001)] {
        write(&ctx, old_jobs(&known, ada, from, to)).await;
        let failed = (to - 1) / 10;
        let count = Update::at(keys::balance(ada), When::Present).set("jobs", to - 1);
        let count = count.set("failed", failed).set("completed", to - 1 - failed);
        ctx.store.write(count).await.unwrap();
        for (word, total) in [(Word::Failed, failed), (Word::Completed, to - 1 - failed)] {
            cost(&ctx);
            let list = jobs::list(&ctx, ada, Some(word), 5, 50).await.unwrap();
            assert_eq!((list.jobs.len(), list.total), (50, total));
            assert!(list.jobs.iter().all(|job| Word::of(job) == word));
            assert!(list.jobs.windows(2).all(|two| two[0].deal.number > two[1].deal.number));
            of_one.push(cost(&ctx));
        }
        assert!(jobs::list(&ctx, ada, Some(Word::Running), 0, 50).await.unwrap().jobs.is_empty());
        of_one.push(cost(&ctx));
        for offset in [0, to - 100] {
            cost(&ctx);
            let list = jobs::list(&ctx, ada, None, offset, 50).await.unwrap();
            let numbers: Vec<u64> = list.jobs.iter().map(|job| job.deal.number).collect();
            let newest = to - 1 - offset;
            assert_eq!(numbers, (newest.saturating_sub(49)..=newest).rev().collect::<Vec<_>>());
            assert_eq!(list.total, to - 1);
            costs.push(cost(&ctx));
        }
    }
    println!("bench: fifty jobs of a list: {} half units", costs[0].0);
    println!("bench: fifty failed jobs of a list: {} half units", of_one[0].0);
    assert_eq!(of_one[..3], of_one[3..], "of one status");
    assert!(costs.iter().all(|it| *it == costs[0]), "{costs:?}");
    assert_eq!(credits::balance(&ctx, ada).await.unwrap().available, Credits::ZERO);
}

/// Entries of one account that wait to be sealed.
fn waiting(user: UserId, from: u64, to: u64) -> impl Iterator<Item = Write> {
    (from..to).map(move |seq| {
        let row = EntryRow {
            user,
            seq,
            id: EntryId(uuid::Uuid::from_u128(u128::from(seq))),
            number: i64::try_from(seq).unwrap(),
            amount: Credits::whole(1),
            direction: Direction::Credit,
            source: Source::Adjustment,
            reference: format!("gift-{seq}"),
            balance_after: Credits::whole(1),
            prev_leaf: NOTHING_BEFORE,
            sealed: None,
            description: None,
            created: Timestamp(0),
        };
        Write::put(&row, When::Absent)
    })
}

/// What is read for a page of the history, the newest or the oldest, and for a proof, when entries up to `newest`
/// are sealed in so many batches. Half units.
async fn looks(ctx: &Ctx, user: UserId, newest: u64, batches: u64) -> [u64; 3] {
    let count = Update::at(keys::balance(user), When::Present).set("entries", newest);
    ctx.store.write(count).await.unwrap();
    let signed = SignedTx {
        signature: TxSignature([7; 64]),
        bytes: vec![7; 300],
        last_valid: 1,
        min_slot: 1,
    };
    let anchored = Anchored { slot: 1, at: Timestamp(1) };
    let landed = Update::at(keys::batch(batches), When::Present).set("signed", signed);
    ctx.store.write(landed.set("anchored", anchored)).await.unwrap();
    let mut read = [0; 3];
    for (at, offset) in [0, newest - 50].into_iter().enumerate() {
        cost(ctx);
        let page = credits::history(ctx, user, offset, 50).await.unwrap();
        assert_eq!((page.entries.len(), page.total), (50, newest));
        read[at] = cost(ctx).0;
    }
    let name = ledger::EntryName::Id(EntryId(uuid::Uuid::from_u128(u128::from(newest))));
    let proof = ledger::proof(ctx, user, name).await.unwrap();
    assert_eq!(u64::try_from(proof.number).unwrap(), newest);
    let items = ctx.store.seam().snapshot();
    let items: u64 = items.iter().map(|it| if it.op == "GetItem" { it.calls } else { 100 }).sum();
    assert_eq!(items, 2, "the entry and its batch");
    read[2] = cost(ctx).0;
    read
}

/// `FRAMEFAIR_BENCH_ITEMS` says how many there are the second time.
#[tokio::test(flavor = "multi_thread")]
async fn entries_are_sealed_listed_and_proven_at_the_same_cost_however_many_there_are() {
    let ground = Ground::open().await;
    let ctx = ground.process();
    let user = ground.user("ada@example.com").await;
    let many = number("FRAMEFAIR_BENCH_ITEMS", || 2_500);
    let (mut each, mut seen, mut sealed) = (Vec::new(), Vec::new(), 0);
    for (from, to) in [(1, 501), (501, 501 + many)] {
        write(&ctx, waiting(user, from, to)).await;
        cost(&ctx);
        let began = std::time::Instant::now();
        let batches = ledger::seal(&ctx, &mut Call::live()).await.unwrap();
        let took = began.elapsed();
        assert_eq!(u64::from(batches), (to - from).div_ceil(100));
        let (read, written) = cost(&ctx);
        let entries = to - from;
        println!(
            "bench: {entries} entries sealed in one run, {} us each",
            took.as_micros() / u128::from(entries)
        );
        each.push((read / entries, written / entries));
        sealed += u64::from(batches);
        seen.push(looks(&ctx, user, to - 1, sealed).await);
    }
    let [page, _, proof] = seen[0];
    println!("bench: fifty entries of a history: {page} half units; a proof: {proof}");
    assert_eq!(seen[0], seen[1]);
    println!(
        "bench: an entry that is sealed: {} half units read, {} units written",
        each[0].0, each[0].1
    );
    assert_eq!(each[0], each[1]);
}
