//! Jobs for credits of which every write meets every fault, one at a time, or ends the process that made it.
//! Whoever was at it comes again, and in the end each job was made once, ended once and charged once or not.

use framefair_app::delivery::{self, Session};
use framefair_app::jobs::{self, CreatorJob, Delivery};
use framefair_app::{
    Call, Ctx, Hint, IdempotencyKey, JobState, Refusal, Report, credits, verification,
};
use framefair_domain::credits::Credits;
use framefair_domain::id::{JobId, UserId};
use framefair_domain::time::{HOUR_MS, MINUTE_MS};
use framefair_store::keys;
use framefair_store::rows::{JobRow, NodeRow};
use futures::{StreamExt, stream};

use crate::faults::{Hit, hits, inject, writes};
use crate::ground::{Ground, entries};
use crate::insist::insist;
use crate::jobs::{node, wish};

/// Every job ends within so many steps.
const STEPS: usize = 60;
/// So many lives go on at once, each with an account of its own at any time.
const AT_ONCE: usize = 8;
const GIVEN: Credits = Credits::whole(1_000);
/// What a job of a type without a price of its own costs.
const PRICE: Credits = Credits::whole(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Story {
    Completed,
    /// The first attempt fails.
    CompletedInTheEnd,
    Cancelled,
    /// Every attempt fails.
    GivenUp,
}

const STORIES: [Story; 4] =
    [Story::Completed, Story::CompletedInTheEnd, Story::Cancelled, Story::GivenUp];

/// One job: who it is for, who does it, and what shall become of it.
struct Life<'a> {
    ctx: &'a Ctx,
    user: UserId,
    session: Session,
    /// Only its own node can do it.
    kind: String,
    story: Story,
}

impl Life<'_> {
    async fn live(&self, calm: &Ctx) -> JobId {
        let (ctx, user) = (self.ctx, self.user);
        let placed = insist(ctx, async || {
            let key = IdempotencyKey::new(&self.kind).unwrap();
            jobs::dispatch(ctx, &mut Call::live(), user, Some(key), wish(&self.kind), None).await
        });
        let id = placed.await.unwrap().job;
        for round in (1..).take(STEPS) {
            let job = read(calm, id).await;
            if job.state.is_final() {
                return id;
            }
            let now = Call::live().now.plus_ms(MINUTE_MS * round);
            let stepped = insist(ctx, async || {
                let mut call = Call::new(now, rand::random());
                self.step(&mut call, &job).await
            });
            match stepped.await {
                // Done before, by somebody who did not live to say so.
                Ok(()) | Err(Refusal::StaleLease | Refusal::TooLateToCancel(_)) => {}
                Err(other) => panic!("{other:?} at {job:?}"),
            }
        }
        panic!("{:?} does not end", self.story);
    }

    /// What happens next to the job as it stands.
    async fn step(&self, call: &mut Call, job: &CreatorJob) -> Result<(), Refusal> {
        let (ctx, session, id, epoch) = (self.ctx, self.session, job.id, job.task.epoch);
        if job.state == JobState::Queued {
            return delivery::dispatch(ctx, call, &Hint::about(id)).await.map(drop);
        }
        match (self.story, job.state) {
            (Story::Cancelled, _) => jobs::cancel(ctx, call, self.user, id).await.map(drop),
            (Story::GivenUp, _) => self.fail(call, job).await,
            (Story::CompletedInTheEnd, _) if job.task.failures == 0 => self.fail(call, job).await,
            (_, JobState::Dispatched) => jobs::started(ctx, call, session, id, epoch).await,
            (_, JobState::Verifying) => {
                let report = Report { epoch, render_ms: 5 };
                match verification::handed_in(ctx, id, report).await? {
                    Some(verification::HandedIn::Result(job)) => {
                        jobs::verify(ctx, call, *job, report).await
                    }
                    _ => Ok(()),
                }
            }
            _ => {
                let said = Delivery::Said("what came of it");
                jobs::deliver(ctx, call, session, id, epoch, said).await
            }
        }
    }

    async fn fail(&self, call: &Call, job: &CreatorJob) -> Result<(), Refusal> {
        let epoch = job.task.epoch;
        delivery::failed(self.ctx, call, self.session, job.id, epoch, false, "no").await.map(drop)
    }
}

async fn read(ctx: &Ctx, id: JobId) -> CreatorJob {
    let job = ctx.store.get::<JobRow>(&keys::job(id)).await.unwrap();
    job.unwrap().creator().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_write_of_a_job_may_meet_every_fault() {
    let ground = Ground::open().await;
    let calm = ground.process();
    let in_an_hour = Call::new(Call::live().now.plus_ms(2 * HOUR_MS), [1; 32]);
    delivery::take_relay(&calm, &in_an_hour, 0, "test").await.unwrap();
    let mut users = Vec::new();
    for n in 0..AT_ONCE {
        let user = ground.user(&format!("user-{n}@example.com")).await;
        credits::adjust(&calm, &mut Call::live(), user, GIVEN, "gift".into()).await.unwrap();
        users.push(user);
    }
    let of = async |ctx: &Ctx, n: usize, story: Story| {
        let kind = format!("kind-{n}");
        let session = node(&calm, u64::try_from(n).unwrap(), &[&kind]).await;
        let user = users[n % AT_ONCE];
        let id = Life { ctx, user, session, kind, story }.live(&calm).await;
        (id, session)
    };
    let mut cases = Vec::new();
    for story in STORIES {
        let ctx = ground.process();
        let lived = of(&ctx, cases.len(), story).await;
        let writes = writes(&ctx);
        assert!(writes > 0, "{story:?} writes nothing");
        cases.push((story, None, Some(lived)));
        cases.extend(hits(writes).map(|hit| (story, Some(hit), None)));
    }
    let planned = cases.iter().enumerate();
    let planned = planned.filter_map(|(n, (story, hit, _))| Some((n, *story, (*hit)?)));
    let lived: Vec<_> = stream::iter(planned.collect::<Vec<_>>())
        .map(async |(n, story, hit)| {
            let ctx = ground.process();
            inject(&ctx, hit);
            let lived = of(&ctx, n, story).await;
            assert!(ctx.store.seam().calm() > 0, "{story:?}: {hit:?} met nothing");
            (n, lived)
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    for (n, lived) in lived {
        cases[n].2 = Some(lived);
    }
    let letters = jobs::dead_letters(&calm).await.unwrap().len();
    let given_up = cases.iter().filter(|(story, ..)| *story == Story::GivenUp).count();
    assert_eq!(letters, given_up.min(100), "a letter for each that was given up");
    for (lane, user) in users.iter().enumerate() {
        let mine: Vec<_> = cases.iter().skip(lane).step_by(AT_ONCE).collect();
        let charged = adds_up(&calm, *user, &mine).await;
        let row = credits::balance(&calm, *user).await.unwrap();
        assert_eq!((row.held, row.jobs), (Credits::ZERO, mine.len() as u64));
        assert_eq!(row.available.0, GIVEN.0 - PRICE.0 * charged);
    }
    println!("{} jobs", cases.len());
}

type Case = (Story, Option<Hit>, Option<(JobId, Session)>);

/// Each job ended as it should, has an entry if it was completed, and holds no place. How many were charged.
async fn adds_up(ctx: &Ctx, user: UserId, cases: &[&Case]) -> i64 {
    let entries = entries(ctx, user).await;
    let mut charged = 0;
    for (story, hit, lived) in cases {
        let (id, session) = lived.unwrap();
        let job = read(ctx, id).await;
        let (end, times) = match story {
            Story::Completed | Story::CompletedInTheEnd => (JobState::Completed, 1),
            Story::Cancelled => (JobState::Cancelled, 0),
            Story::GivenUp => (JobState::Failed, 0),
        };
        assert_eq!(job.state, end, "{story:?} with {hit:?}");
        let name = format!("job-{id}");
        let found = entries.iter().filter(|entry| entry.reference == name).count();
        assert_eq!(found, times, "{story:?} with {hit:?}");
        let node = ctx.store.get::<NodeRow>(&keys::node(session.node)).await;
        assert!(node.unwrap().unwrap().leases.is_empty(), "{story:?} with {hit:?}");
        charged += times as i64;
    }
    charged
}
