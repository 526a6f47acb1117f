//! Jobs for credits in a storm: several processes dispatch, cancel, work and verify at once while one call of
//! five fails. Afterwards nothing is held, and what was charged is what was completed. `FRAMEFAIR_CREDIT_JOBS` says how
//! many are wished for, `FRAMEFAIR_SEED` repeats a run.

use std::collections::BTreeSet;

use ed25519_dalek::SigningKey;
use framefair_app::delivery::{self, Connection, Session};
use framefair_app::fleet::{self, Enrolled, Enrolment, Member};
use framefair_app::jobs::{self, CreatorJob, Delivery, Wish, Word};
use framefair_app::{Call, Ctx, Hint, JobState, Refusal, Report, credits, verification};
use framefair_domain::credits::Credits;
use framefair_domain::fleet::pem_of_key;
use framefair_domain::id::{JobId, ProviderId, UserId};
use framefair_domain::time::HOUR_MS;
use framefair_domain::wallet::Wallet;
use framefair_store::keys;
use framefair_store::rows::{JobRow, NodeRow};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::ground::{Ground, entries};
use crate::storm::{number, storm};

const JOBS: usize = 45;
const PROCESSES: usize = 3;
const NODES: u64 = 3;
const ACCOUNTS: usize = 4;
/// So that many are refused for want of credits.
const GIVEN: i64 = 60;
/// Every open job ends within so many rounds once the storm is over.
const ROUNDS: usize = 50;
/// Past every pause between two attempts.
const LATER_MS: i64 = 10_000;
/// Past the time for which a node is closed that failed job after job, or for which a retry waits.
const MUCH_LATER_MS: i64 = 600_000;

/// A node that is connected to the relay of these tests.
pub(crate) async fn node(ctx: &Ctx, seed: u64, capabilities: &[&str]) -> Session {
    node_that_says(ctx, seed, capabilities, serde_json::json!({ "slots": 8 })).await
}

pub(crate) async fn node_that_says(
    ctx: &Ctx,
    seed: u64,
    capabilities: &[&str],
    metadata: serde_json::Value,
) -> Session {
    let member = member(ctx, seed, capabilities, metadata).await;
    let place = Connection { relay: 0, boot: "test".into() };
    fleet::connect(ctx, &Call::live(), member, place).await.unwrap()
}

/// Registered, and without a socket.
pub(crate) async fn member(
    ctx: &Ctx,
    seed: u64,
    capabilities: &[&str],
    metadata: serde_json::Value,
) -> Member {
    let mut secret = [7; 32];
    secret[..8].copy_from_slice(&seed.to_le_bytes());
    let key = SigningKey::from_bytes(&secret).verifying_key();
    let key = Wallet::from_bytes(key.to_bytes()).unwrap();
    let wish = Enrolment {
        name: format!("node {seed}"),
        public_key: pem_of_key(&key),
        capabilities: capabilities.iter().map(|&name| name.to_owned()).collect(),
        metadata: metadata.as_object().cloned(),
        challenge: None,
        signature: None,
    };
    let enrolled = fleet::register(ctx, &mut Call::live(), wish).await.unwrap();
    let Enrolled::Registered { token, .. } = enrolled else { panic!("{enrolled:?}") };
    fleet::authenticate(ctx, &Call::live(), Some(&token)).unwrap()
}

pub(crate) fn wish(kind: &str) -> Wish {
    Wish { job_type: kind.into(), payload_ref: "{}".into() }
}

async fn dispatch(ctx: &Ctx, chance: &mut StdRng, user: UserId) -> Option<JobId> {
    let mut call = Call::new(Call::live().now, chance.random());
    let kind = ["render", "inference", "echo"][chance.random_range(0..3)];
    match jobs::dispatch(ctx, &mut call, user, None, wish(kind), None).await {
        Ok(placed) => Some(placed.job),
        Err(
            Refusal::InsufficientCredits { .. }
            | Refusal::NoHealthyNode { .. }
            | Refusal::Busy
            | Refusal::Broken(_),
        ) => None,
        Err(other) => panic!("{other:?}"),
    }
}

async fn read(ctx: &Ctx, id: JobId) -> Option<CreatorJob> {
    ctx.store.get::<JobRow>(&keys::job(id)).await.ok()??.creator()
}

/// Something happens to the job, as its owner, its node or a worker would have it.
async fn push(ctx: &Ctx, chance: &mut StdRng, id: JobId, sessions: &[Session], later_ms: i64) {
    let Some(job) = read(ctx, id).await else { return };
    let mut call = Call::new(Call::live().now.plus_ms(later_ms), chance.random());
    let epoch = job.task.epoch;
    if job.state == JobState::Queued {
        drop(delivery::dispatch(ctx, &mut call, &Hint::about(id)).await);
        return;
    }
    let Some(lease) = job.task.lease else { return };
    let Some(session) = sessions.iter().copied().find(|it| it.node == lease.node) else { return };
    match chance.random_range(0..10) {
        0 => drop(jobs::cancel(ctx, &call, job.deal.user, id).await),
        1 => drop(delivery::failed(ctx, &call, session, id, epoch, false, "no").await),
        2 => drop(delivery::decline(ctx, &call, session, id, epoch).await),
        3 | 4 => drop(jobs::started(ctx, &call, session, id, epoch).await),
        5 | 6 => drop(jobs::deliver(ctx, &call, session, id, epoch, Delivery::Nothing).await),
        _ => verify(ctx, &mut call, id, epoch).await,
    }
}

async fn verify(ctx: &Ctx, call: &mut Call, id: JobId, epoch: u32) {
    let report = Report { epoch, render_ms: 5 };
    if let Ok(Some(verification::HandedIn::Result(job))) =
        verification::handed_in(ctx, id, report).await
        && job.state == JobState::Verifying
    {
        drop(jobs::verify(ctx, call, *job, report).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_held_is_charged_once_or_free_again_whatever_fails() {
    let wished = usize::try_from(number("FRAMEFAIR_CREDIT_JOBS", || JOBS as u64)).unwrap();
    let seed = number("FRAMEFAIR_SEED", rand::random);
    println!("FRAMEFAIR_SEED={seed}");
    let ground = Ground::open().await;
    let calm = ground.process();
    // For longer than any machine takes over the storm.
    let in_two_hours = Call::new(Call::live().now.plus_ms(2 * HOUR_MS), [1; 32]);
    delivery::take_relay(&calm, &in_two_hours, 0, "test").await.unwrap();
    let mut sessions = Vec::new();
    for n in 0..NODES {
        sessions.push(node(&calm, n + 1, &["render", "inference", "echo"]).await);
    }
    let mut users = Vec::new();
    for n in 0..ACCOUNTS {
        let user = ground.user(&format!("user-{n}@example.com")).await;
        let given = Credits::whole(GIVEN);
        credits::adjust(&calm, &mut Call::live(), user, given, "gift".into()).await.unwrap();
        users.push(user);
    }
    let running: Vec<_> = (0..PROCESSES)
        .map(|process| {
            let ctx = ground.process();
            ctx.store.seam().inject(storm(seed.wrapping_add(process as u64)));
            let (users, sessions) = (users.clone(), sessions.clone());
            tokio::spawn(async move {
                let mut chance = StdRng::seed_from_u64(seed.wrapping_add(100 + process as u64));
                let mut open = Vec::new();
                for n in 0..wished / PROCESSES {
                    open.extend(dispatch(&ctx, &mut chance, users[n % ACCOUNTS]).await);
                    for _ in 0..4 {
                        let Some(at) =
                            (!open.is_empty()).then(|| chance.random_range(0..open.len()))
                        else {
                            break;
                        };
                        push(&ctx, &mut chance, open[at], &sessions, LATER_MS).await;
                    }
                }
            })
        })
        .collect();
    for task in running {
        task.await.unwrap();
    }
    let mut chance = StdRng::seed_from_u64(seed);
    settle(&calm, &mut chance, &users, &sessions).await;
    let mut ended = (0, 0);
    for user in users {
        let all = all_of(&calm, user).await;
        ended.0 += adds_up(&calm, user, &all).await;
        ended.1 += all.len();
    }
    for session in sessions {
        let row = calm.store.get::<NodeRow>(&keys::node(session.node)).await.unwrap().unwrap();
        assert!(row.leases.is_empty(), "{row:?}");
    }
    assert!(ended.0 > 0 && ended.0 < ended.1, "{ended:?}");
    println!(
        "bench: {} jobs in a storm, {} of them completed, FRAMEFAIR_SEED={seed}",
        ended.1, ended.0
    );
}

async fn all_of(ctx: &Ctx, user: UserId) -> Vec<CreatorJob> {
    jobs::list(ctx, user, None, 0, 1_000).await.unwrap().jobs
}

/// Brings every job to an end, all of them side by side: one waits for the place that another one holds.
async fn settle(ctx: &Ctx, chance: &mut StdRng, users: &[UserId], sessions: &[Session]) {
    let mut open = Vec::new();
    // Each round is later than every pause that the one before has made.
    for round in (1..).take(ROUNDS) {
        let later_ms = MUCH_LATER_MS * round;
        let then = Call::new(Call::live().now.plus_ms(later_ms), chance.random());
        delivery::take_relay(ctx, &then, 0, "test").await.unwrap();
        open.clear();
        for user in users {
            open.extend(all_of(ctx, *user).await.into_iter().filter(|job| !job.state.is_final()));
        }
        if open.is_empty() {
            return;
        }
        for job in &open {
            for _ in 0..4 {
                push(ctx, chance, job.id, sessions, later_ms).await;
            }
        }
    }
    panic!("these do not end: {open:#?}");
}

/// Nothing is held; each completed job with a price is one entry, and nothing else is. Says how many those are.
async fn adds_up(ctx: &Ctx, user: UserId, all: &[CreatorJob]) -> usize {
    let completed = all.iter().filter(|job| Word::of(job) == Word::Completed);
    let charged: BTreeSet<String> = completed
        .clone()
        .filter(|job| job.deal.price > Credits::ZERO)
        .map(|job| format!("job-{}", job.id))
        .collect();
    let spent: i64 = completed.clone().map(|job| job.deal.price.0).sum();
    let entries = entries(ctx, user).await;
    let found: Vec<String> = entries.iter().skip(1).map(|entry| entry.reference.clone()).collect();
    assert_eq!(found.len(), charged.len(), "{found:?}");
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), charged);
    let row = credits::balance(ctx, user).await.unwrap();
    assert_eq!(row.held, Credits::ZERO);
    assert_eq!(row.available, Credits(Credits::whole(GIVEN).0 - spent));
    assert!(row.available >= Credits::ZERO);
    for word in Word::ALL {
        let listed = jobs::list(ctx, user, Some(word), 0, 1_000).await.unwrap();
        let found: Vec<_> = listed.jobs.iter().map(|job| job.id).collect();
        let wanted = all.iter().filter(|job| Word::of(job) == word);
        assert_eq!(found, wanted.map(|job| job.id).collect::<Vec<_>>(), "{word:?}");
        assert_eq!(listed.total, found.len() as u64, "{word:?}");
    }
    let numbers: Vec<u64> = all.iter().rev().map(|job| job.deal.number).collect();
    assert_eq!(numbers, (1..=row.jobs).collect::<Vec<_>>(), "numbers without gaps");
    completed.count()
}

/// Nodes that stand beside the ones that are looked at.
pub(crate) fn stranger(n: u64) -> ProviderId {
    ProviderId(uuid::Uuid::from_u128(u128::from(n) << 64))
}
