//! Purchases of which every write meets every fault. Who reports comes again until there is an answer, as
//! Stripe does, and in the end each package was credited once and taken back once.

use framefair_app::credits::{self, Direction, EntryRow, Source};
use framefair_app::{Call, Ctx, Refusal};
use framefair_billing::Endpoint;
use framefair_domain::credits::Credits;
use framefair_domain::id::UserId;
use framefair_store::seam::{ANY, Fault, Faults};
use futures::future::join_all;
use futures::{StreamExt, stream};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::faults::{hits, inject, writes};
use crate::ground::{Ground, WEBHOOK_SECRET, entries};
use crate::insist::insist;

/// So many lives go on at once.
const AT_ONCE: usize = 8;
const PACKAGE: Credits = Credits::whole(500);

/// What is reported of one payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Paid,
    /// The same session by another event.
    PaidLater,
    Refunded,
    Lost,
    Expired,
}

/// The event about payment `n`: the same each time.
fn event(user: UserId, n: usize, told: Told) -> String {
    let (session, payment) = (format!("cs_{n}"), format!("pi_{n}"));
    let sold = json!({ "id": session, "payment_status": "paid", "payment_intent": payment,
        "client_reference_id": user, "metadata": { "sku": "cred50" } });
    let (kind, object): (&str, Value) = match told {
        Told::Paid => ("checkout.session.completed", sold),
        Told::PaidLater => ("checkout.session.async_payment_succeeded", sold),
        Told::Expired => ("checkout.session.expired", sold),
        Told::Refunded => (
            "charge.refunded",
            json!({ "id": format!("ch_{n}"), "payment_intent": payment, "amount": 4000,
                "amount_refunded": 4000, "currency": "usd", "metadata": {} }),
        ),
        Told::Lost => (
            "charge.dispute.closed",
            json!({ "id": format!("du_{n}"), "charge": format!("ch_{n}"), "amount": 4000,
                "payment_intent": payment, "currency": "usd", "status": "lost" }),
        ),
    };
    let id = format!("evt_{n}_{told:?}");
    json!({ "id": id, "created": 1_760_000_000, "type": kind, "data": { "object": object } })
        .to_string()
}

async fn report(ctx: &Ctx, body: &str) -> Result<(), Refusal> {
    let mut call = Call::live();
    let endpoint = Endpoint::new([WEBHOOK_SECRET]).unwrap();
    let signature = endpoint.sign(body.as_bytes(), call.now.seconds());
    credits::reported(ctx, &mut call, Some(body.as_bytes()), &signature).await
}

/// Reports until there is an answer.
async fn tell(ctx: &Ctx, body: &str) {
    insist(ctx, async || report(ctx, body).await).await.unwrap();
}

/// What moved for payment `n`, in the order in which it did.
fn moved(all: &[EntryRow], n: usize) -> Vec<Move> {
    let session = format!("cs_{n}");
    let mine = all.iter().filter(|entry| entry.reference == session);
    mine.inspect(|entry| assert_eq!(entry.amount, PACKAGE))
        .map(|entry| (entry.direction, entry.source))
        .collect()
}

type Move = (Direction, Source);

const CREDITED: Move = (Direction::Credit, Source::Stripe);
const DEBITED: Move = (Direction::Debit, Source::Adjustment);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_write_of_a_purchase_may_meet_every_fault() {
    let stories: [(&[Told], &[Move]); 6] = [
        (&[Told::Paid], &[CREDITED]),
        (&[Told::Paid, Told::Paid, Told::PaidLater], &[CREDITED]),
        (&[Told::Paid, Told::Refunded, Told::Lost], &[CREDITED, DEBITED]),
        (&[Told::Lost, Told::Refunded, Told::Paid], &[]),
        (&[Told::Refunded, Told::PaidLater, Told::Paid], &[]),
        (&[Told::Expired, Told::Paid], &[CREDITED]),
    ];
    let ground = Ground::open().await;
    let mut users = Vec::new();
    for n in 0..AT_ONCE {
        users.push(ground.user(&format!("user-{n}@example.com")).await);
    }
    let user = |n: usize| users[n % AT_ONCE];
    let mut cases = Vec::new();
    for (story, moves) in stories {
        let n = cases.len();
        let writes = live(&ground.process(), user(n), n, story).await;
        assert!(writes > 0, "{story:?} writes nothing");
        cases.push((story, moves, None));
        cases.extend(hits(writes).map(|hit| (story, moves, Some(hit))));
    }
    let lives =
        cases.iter().enumerate().filter_map(|(n, (story, _, hit))| Some((n, *story, (*hit)?)));
    stream::iter(lives)
        .for_each_concurrent(AT_ONCE, async |(n, story, hit)| {
            // A process of its own, which takes numbers for its entries anew.
            let ctx = ground.process();
            inject(&ctx, hit);
            live(&ctx, user(n), n, story).await;
            assert!(ctx.store.seam().calm() > 0, "{story:?}: {hit:?} met nothing");
        })
        .await;
    let ctx = ground.process();
    for (lane, user) in users.iter().enumerate() {
        let (all, mut left) = (entries(&ctx, *user).await, Credits::ZERO);
        for (n, (story, moves, hit)) in cases.iter().enumerate().skip(lane).step_by(AT_ONCE) {
            assert_eq!(moved(&all, n), *moves, "{story:?} with {hit:?}");
            if moves.len() == 1 {
                left = left.checked_add(PACKAGE).unwrap();
            }
        }
        assert_eq!(credits::balance(&ctx, *user).await.unwrap().available, left);
    }
    println!("{} purchases", cases.len());
}

/// All that is told of payment `n`, in its order; says how often the table was written.
async fn live(ctx: &Ctx, user: UserId, n: usize, story: &[Told]) -> u64 {
    for told in story {
        tell(ctx, &event(user, n, *told)).await;
    }
    writes(ctx)
}

/// Everything there is to say of many payments, each thing twice, in any order and all at once, to
/// processes of which one call in five fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_a_storm_each_purchase_is_booked_once_and_taken_back_once() {
    let seed =
        std::env::var("FRAMEFAIR_SEED").map_or_else(|_| rand::random(), |it| it.parse().unwrap());
    println!("FRAMEFAIR_SEED={seed}");
    let mut chance = StdRng::seed_from_u64(seed);
    let ground = Ground::open().await;
    let user = ground.user("ada@example.com").await;
    // Each third is paid and kept, paid and refunded, or paid and lost.
    let told = |n: usize| match n % 3 {
        0 => vec![Told::Paid, Told::PaidLater],
        1 => vec![Told::Paid, Told::Refunded, Told::Lost],
        _ => vec![Told::PaidLater, Told::Lost],
    };
    let payments = 24;
    let mut events: Vec<String> = (0..payments)
        .flat_map(|n| told(n).into_iter().map(move |told| event(user, n, told)))
        .flat_map(|event| [event.clone(), event])
        .collect();
    events.shuffle(&mut chance);
    let processes: Vec<Ctx> = (0..3_u64)
        .map(|process| {
            let faults = [
                (Fault::Throttle, 50),
                (Fault::Conflict, 50),
                (Fault::ErrorBefore, 40),
                (Fault::TimeoutAfterCommit, 40),
                (Fault::Duplicate, 20),
            ];
            let plan = Faults::seeded(seed.wrapping_add(process));
            let plan =
                faults.iter().fold(plan, |plan, (fault, often)| plan.often(ANY, *fault, *often));
            let ctx = ground.process();
            ctx.store.seam().inject(plan);
            ctx
        })
        .collect();
    let told_at_once = events.chunks(16).map(<[String]>::to_vec);
    for together in told_at_once {
        join_all(together.iter().map(|event| {
            let ctx = &processes[chance.random_range(0..processes.len())];
            tell(ctx, event)
        }))
        .await;
    }
    let ctx = ground.process();
    let all = entries(&ctx, user).await;
    for n in 0..payments {
        let moves = moved(&all, n);
        let fits = match n % 3 {
            0 => moves == [CREDITED],
            // Neither or both, by who was first.
            _ => moves.is_empty() || moves == [CREDITED, DEBITED],
        };
        assert!(fits, "payment {n}: {moves:?}");
    }
    let kept = PACKAGE.0 * i64::try_from(payments / 3).unwrap();
    assert_eq!(credits::balance(&ctx, user).await.unwrap().available, Credits(kept));
}
