//! A job's writes are numbered by a life without faults; then each of them meets each fault, in a
//! life of its own that is the same up to there. Whoever gets no answer comes again, as in life,
//! and every job ends as if nothing had happened.

mod life;

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use framefair_store::seam::{Fault, WRITES};
use futures::FutureExt;
use futures::future::join_all;

use self::life::{Case, GIVEN, Story, live};
use crate::world::{BASE, Party, World};

/// So many lives go on at once, each with a node of its own.
const AT_ONCE: u8 = 6;
/// As often as the store tries one write, so that its caller is told that it failed.
const FOR_GOOD: u64 = 8;

/// Lives once for each call of this kind in each story, each fault and each number of times.
async fn every_call_meets<const N: usize>(
    of: &'static str,
    faults: [(Fault, u64); N],
    stories: &[Story],
    at_once: u8,
) {
    let world = World::new().await;
    let mut nodes = Vec::new();
    for n in 0..at_once {
        let party = Party::new(110 + n);
        world.give(&party.wallet(), GIVEN).await;
        nodes.push((world.provider(&party, BASE).await, party));
    }
    world.warp(2).await;
    let (id, node) = &nodes[0];
    let mut cases = VecDeque::new();
    let mut number = 0;
    let lives = async {
        for &story in stories {
            number += 1;
            let calm = Case { number, story, of, n: 1, fault: Fault::Throttle, times: 0 };
            let calls = live(&world, node, *id, calm).boxed_local().await;
            assert!(calls >= 2, "{story:?} made {calls} calls");
            for n in 1..=calls {
                for (fault, times) in faults {
                    number += 1;
                    cases.push_back(Case { number, story, of, n, fault, times });
                }
            }
        }
        let cases = Mutex::new(cases);
        let next = || cases.lock().unwrap().pop_front();
        let lives = nodes.iter().map(|(id, node)| async {
            while let Some(case) = next() {
                live(&world, node, *id, case).boxed_local().await;
            }
        });
        join_all(lives).await;
    };
    tokio::select! {
        () = lives => {}
        () = blocks(&world) => {}
    }
    world.balanced().await;
}

/// What is sent now is final in a fifth of a second.
async fn blocks(world: &World) {
    loop {
        world.warp(8).await;
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

const PAID: [Story; 2] = [Story::Completed, Story::Cancelled];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_write_may_be_throttled() {
    let faults = [(Fault::Throttle, 1), (Fault::Throttle, FOR_GOOD)];
    every_call_meets(WRITES, faults, &PAID, AT_ONCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_write_may_be_in_conflict() {
    let faults = [(Fault::Conflict, 1), (Fault::Conflict, FOR_GOOD)];
    every_call_meets(WRITES, faults, &PAID, AT_ONCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_write_may_time_out_after_it_took_effect() {
    let faults = [(Fault::TimeoutAfterCommit, 1), (Fault::TimeoutAfterCommit, FOR_GOOD)];
    every_call_meets(WRITES, faults, &PAID, AT_ONCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_process_may_die_before_and_after_every_write() {
    let faults = [(Fault::DieBefore, 1), (Fault::DieAfter, 1)];
    every_call_meets(WRITES, faults, &PAID, AT_ONCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_process_may_sleep_before_every_write_and_go_on_when_all_is_over() {
    every_call_meets(WRITES, [(Fault::Sleep, 1)], &PAID, AT_ONCE).await;
}

/// The watcher reads for everybody, so these live one after the other, each fault in a world.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_write_on_a_strays_way_back_may_fail_in_every_way() {
    let faults = [
        (Fault::Throttle, FOR_GOOD),
        (Fault::Conflict, FOR_GOOD),
        (Fault::TimeoutAfterCommit, 1),
        (Fault::TimeoutAfterCommit, FOR_GOOD),
        (Fault::DieBefore, 1),
        (Fault::DieAfter, 1),
        (Fault::Sleep, 1),
    ];
    let worlds = faults.map(|fault| every_call_meets(WRITES, [fault], &[Story::Stray], 1));
    join_all(worlds.map(FutureExt::boxed_local)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_slept_through_one_debt_signs_nothing_of_it_for_the_next() {
    every_call_meets("Query", [(Fault::Sleep, 1)], &[Story::StrayTwice], 1).await;
}
