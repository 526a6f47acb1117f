//! Credits in a storm: several processes move the same balances at once while one call of five fails, and
//! afterwards every entry is accounted for. `FRAMEFAIR_OPERATIONS` says how many there are,
//! `FRAMEFAIR_SEED` repeats a run.

use std::collections::{BTreeMap, BTreeSet};

use framefair_app::credits::{self, Deduction, Direction, EntryRow};
use framefair_app::{Call, Ctx, Refusal, ledger};
use framefair_domain::credits::Credits;
use framefair_domain::id::UserId;
use framefair_domain::ledger::NOTHING_BEFORE;
use framefair_store::seam::{ANY, Fault, Faults};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::ground::{Ground, entries};

const OPERATIONS: usize = 1_000;
/// An account for so many operations, and four more at work at once in each process for so many.
const OPERATIONS_PER_ACCOUNT: usize = 300;
const OPERATIONS_PER_TASKS: usize = 8_000;
/// Each with clients of its own and nothing in common but the table.
const PROCESSES: usize = 3;
/// References are drawn from so many for each hundred operations, so that many come again.
const REFERENCES_PER_HUNDRED: usize = 60;

/// What somebody asked for, and what they were told.
#[derive(Clone, Debug)]
struct Told {
    user: UserId,
    direction: Direction,
    reference: String,
    amount: Credits,
    answer: Result<EntryRow, String>,
}

pub(crate) fn number(name: &str, otherwise: impl FnOnce() -> u64) -> u64 {
    std::env::var(name).map_or_else(|_| otherwise(), |text| text.parse().unwrap())
}

pub(crate) fn storm(seed: u64) -> Faults {
    [
        (Fault::Throttle, 50),
        (Fault::Conflict, 50),
        (Fault::ErrorBefore, 40),
        (Fault::TimeoutAfterCommit, 40),
        (Fault::Duplicate, 20),
    ]
    .into_iter()
    .fold(Faults::seeded(seed), |faults, (fault, often)| faults.often(ANY, fault, often))
}

async fn one(ctx: &Ctx, chance: &mut StdRng, users: &[UserId], references: u64) -> Told {
    let user = users[chance.random_range(0..users.len())];
    let reference = format!("r-{}", chance.random_range(0..references));
    // A reference comes with one of two amounts, so that some are refused for another one.
    let amount = Credits(chance.random_range(1..=2) * 10_000);
    let credit = chance.random_ratio(2, 5);
    let mut call = Call::new(Call::live().now, chance.random());
    let answer = match credit {
        true => credits::adjust(ctx, &mut call, user, amount, reference.clone()).await,
        false => {
            let (amount, reference_id) = (amount.to_string(), reference.clone());
            let wish = Deduction { amount, reference_id, description: None };
            credits::deduct(ctx, &mut call, user, None, wish).await
        }
    };
    let direction = if credit { Direction::Credit } else { Direction::Debit };
    let answer = match answer {
        Ok(entry) => Ok(entry),
        Err(known @ (Refusal::InsufficientCredits { .. } | Refusal::ReferenceReused)) => {
            Err(known.to_string())
        }
        // The storm was too much for one call: whether it happened is not known to who asked.
        Err(Refusal::Busy | Refusal::Broken(_)) => Err("unknown".into()),
        Err(other) => panic!("{other:?}"),
    };
    Told { user, direction, reference, amount, answer }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_credit_is_lost_or_made_whatever_fails() {
    let operations = usize::try_from(number("FRAMEFAIR_OPERATIONS", || OPERATIONS as u64)).unwrap();
    let seed = number("FRAMEFAIR_SEED", rand::random);
    println!("FRAMEFAIR_SEED={seed}");
    let ground = Ground::open().await;
    let calm = ground.process();
    let mut users = Vec::new();
    let accounts = operations / OPERATIONS_PER_ACCOUNT + 1;
    for n in 0..accounts {
        users.push(ground.user(&format!("user-{n}@example.com")).await);
    }
    let references = (operations * REFERENCES_PER_HUNDRED / 100 / accounts + 1) as u64;
    let at_once = 4 * (operations / OPERATIONS_PER_TASKS + 1);
    let tasks = (0..PROCESSES).flat_map(|process| {
        let ctx = ground.process();
        ctx.store.seam().inject(storm(seed.wrapping_add(process as u64)));
        (0..at_once).map(move |task| (ctx.clone(), process * at_once + task))
    });
    let share = operations.div_ceil(PROCESSES * at_once);
    let running: Vec<_> = tasks
        .map(|(ctx, n)| {
            let users = users.clone();
            tokio::spawn(async move {
                let mut chance = StdRng::seed_from_u64(seed.wrapping_add(1_000 + n as u64));
                let mut told = Vec::new();
                for _ in 0..share {
                    told.push(one(&ctx, &mut chance, &users, references).await);
                }
                told
            })
        })
        .collect();
    let mut told = Vec::new();
    for task in running {
        told.extend(task.await.unwrap());
    }
    let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
    for one in &told {
        *ends.entry(one.answer.as_ref().err().map_or("moved", String::as_str)).or_default() += 1;
    }
    for user in users {
        let entries = entries(&calm, user).await;
        holds(&calm, user, &entries).await;
        kept_word(user, &entries, &told);
    }
    assert!(ends["moved"] > operations / 4, "{ends:?}");
    println!(
        "bench: {operations} operations on credits in a storm, FRAMEFAIR_SEED={seed}: {ends:?}"
    );
}

/// The entries are without gaps, each follows from the one before, and the balance from the last.
async fn holds(ctx: &Ctx, user: UserId, entries: &[EntryRow]) {
    let (mut balance, mut used) = (Credits::ZERO, Credits::ZERO);
    let mut references = BTreeSet::new();
    let mut before = NOTHING_BEFORE;
    for (seq, entry) in (1..).zip(entries) {
        assert_eq!(entry.seq, seq);
        balance = match entry.direction {
            Direction::Credit => balance.checked_add(entry.amount),
            Direction::Debit => balance.checked_sub(entry.amount),
        }
        .unwrap();
        if entry.direction == Direction::Debit {
            used = used.checked_add(entry.amount).unwrap();
        }
        assert!(balance >= Credits::ZERO, "overspent at {seq}");
        assert_eq!(entry.balance_after, balance, "at {seq}");
        assert_eq!(entry.prev_leaf, before, "at {seq}");
        before = ledger::leaf(entry).1;
        let name = (entry.direction.word(), entry.reference.clone());
        assert!(references.insert(name), "{} moved twice", entry.reference);
    }
    let row = credits::balance(ctx, user).await.unwrap();
    assert_eq!((row.available, row.held), (balance, Credits::ZERO));
    assert_eq!((row.entries, row.last_leaf), (entries.len() as u64, before));
    // The run may have crossed midnight.
    let days = credits::usage(ctx, &Call::live(), user, 2).await.unwrap();
    assert_eq!(days.iter().map(|(_, used)| used.0).sum::<i64>(), used.0);
}

/// Who was told of an entry finds it; who was told of another amount finds that.
fn kept_word(user: UserId, entries: &[EntryRow], told: &[Told]) {
    let found = |one: &Told| {
        let is_it = |it: &&EntryRow| it.direction == one.direction && it.reference == one.reference;
        entries.iter().find(is_it)
    };
    for one in told.iter().filter(|one| one.user == user) {
        match &one.answer {
            Ok(entry) => {
                assert_eq!(found(one), Some(entry));
                assert_eq!(entry.amount, one.amount);
            }
            Err(why) if why.contains("another amount") => {
                assert_ne!(found(one).unwrap().amount, one.amount);
            }
            Err(_) => {}
        }
    }
}
