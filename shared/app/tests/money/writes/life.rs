//! One job's life: everybody in it does what they would do, and comes again where there was no
//! answer, while one call of it meets its fault.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use framefair_app::delivery::{self, Session};
use framefair_app::market::{self, Offer, Quote};
use framefair_app::settlement::advance;
use framefair_app::verification::{self, FrameHash, HandedIn, Passed, PassedFile};
use framefair_app::{Ctx, Hint, JobState, Refusal, Report, SettlementId, watch};
use framefair_domain::id::{JobId, ProviderId};
use framefair_domain::settlement::Outflow;
use framefair_domain::signing::Once;
use framefair_store::seam::{Fault, Faults, WRITES};
use futures::FutureExt;
use futures::future::{LocalBoxFuture, join_all};
use serde_json::json;

use crate::world::{BASE, PRICE, Party, World, cancel_of};

const TRIES: usize = 40;
/// What was sent is final.
const FINAL: Duration = Duration::from_millis(200);
const EXCESS: u64 = 50_000;
pub(super) const GIVEN: u64 = 100_000_000;
const FEE: u64 = 5_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Story {
    /// Paid with something over, rendered, paid out.
    Completed,
    /// Paid, and taken back.
    Cancelled,
    /// Paid with too little, and sent back.
    Stray,
    /// The same twice, and what goes back the second time is late.
    StrayTwice,
}

/// From the `n`-th on, so many calls of one kind meet the fault.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) number: u32,
    pub(super) story: Story,
    pub(super) of: &'static str,
    pub(super) n: u64,
    pub(super) fault: Fault,
    pub(super) times: u64,
}

struct Life<'a> {
    world: &'a World,
    /// The same world through a store whose faults are this life's own.
    ctx: Ctx,
    client: &'a Party,
    node: ProviderId,
    of: &'static str,
    /// Work that a fault has stopped.
    stopped: RefCell<Vec<LocalBoxFuture<'a, ()>>>,
    /// How many faults there were, and of how many calls, until they ended.
    met: Cell<Option<(u64, u64)>>,
}

impl<'a> Life<'a> {
    /// One process's work, which it may not survive. Whatever it left must be found by the sweeper.
    async fn survive<T: 'a>(
        &self,
        work: impl Future<Output = Result<T, Refusal>> + 'a,
    ) -> Option<T> {
        let mut work = work.boxed_local();
        let done = tokio::select! {
            biased;
            () = self.ctx.store.seam().stopped() => None,
            done = &mut work => Some(done),
        };
        match done {
            Some(Ok(done)) => Some(done),
            Some(Err(Refusal::Busy | Refusal::Broken(_))) => None,
            Some(Err(other)) => panic!("{other:?}"),
            None => {
                self.stopped.borrow_mut().push(work.map(drop).boxed_local());
                None
            }
        }
    }

    async fn insist<T: 'a, F>(&self, mut ask: impl FnMut() -> F) -> T
    where
        F: Future<Output = Result<T, Refusal>> + 'a,
    {
        for _ in 0..TRIES {
            if let Some(done) = self.survive(ask()).await {
                return done;
            }
        }
        panic!("no answer in {TRIES} tries");
    }

    /// Ends all faults. Who only slept goes on, with what it knew.
    async fn wake(&self, fault: Fault) {
        let seam = self.ctx.store.seam();
        let of = |op: &str| match self.of {
            WRITES => ["PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"].contains(&op),
            one => op == one,
        };
        let costs = seam.snapshot();
        let calls = costs.iter().filter(|cost| of(&cost.op)).map(|cost| cost.calls).sum();
        let met = seam.calm();
        self.met.set(self.met.get().or(Some((met, calls))));
        let stopped = self.stopped.take();
        if fault == Fault::Sleep {
            join_all(stopped).await;
        }
    }

    fn at(&self) -> (&'a World, Ctx) {
        (self.world, self.ctx.clone())
    }

    async fn quote(&self) -> Quote {
        let quote = self.insist(|| {
            let ((world, ctx), client, node) = (self.at(), self.client, self.node);
            async move {
                let mut submission = world.submission(&client.wallet()).await;
                submission.provider = Some(node);
                market::request(&ctx, &mut world.call(), submission).await
            }
        });
        let Offer::PaymentDue(quote) = quote.await;
        *quote
    }

    async fn pay(&self, lamports: u64) -> JobId {
        let quote = self.quote().await;
        let (job, paid) = (quote.job, self.world.transfer(self.client, &quote, lamports).await);
        self.insist(|| {
            let (world, ctx) = self.at();
            async move { world.pay_through(&ctx, job, &paid).await }
        })
        .await;
        self.is_kept(job).await;
        job
    }

    async fn complete(&self) {
        let job = self.pay(PRICE + EXCESS).await;
        self.world.renew_relay().await;
        while delivery::holder(&self.world.ctx, job).await.unwrap().is_none() {
            let (world, ctx) = self.at();
            self.survive(async move {
                delivery::dispatch(&ctx, &mut world.call(), &Hint::about(job)).await
            })
            .await;
            self.is_kept(job).await;
        }
        let report = Report { epoch: self.world.job(job).await.task.epoch, render_ms: 700 };
        let session = Session { node: self.node, fence: 1 };
        self.insist(|| {
            let (_, ctx) = self.at();
            async move { delivery::done(&ctx, session, job, report).await }
        })
        .await;
        while self.world.job(job).await.state != JobState::Completed {
            let (world, ctx) = self.at();
            self.survive(verify(world, ctx, job, report)).await;
            self.is_kept(job).await;
        }
        self.settle(job).await;
        assert!(market::result(&self.world.ctx, job, None, false).await.is_ok());
    }

    async fn cancel(&self) {
        let job = self.pay(PRICE).await;
        let mut tries = 0;
        self.insist(|| {
            tries += 1;
            let (world, ctx) = self.at();
            let once = Once { timestamp: world.now(), nonce: format!("{job}-{tries}") };
            let cancel = cancel_of(self.client, job, once);
            async move { market::cancel(&ctx, &world.call(), cancel).await }
        })
        .await;
        self.settle(job).await;
    }

    /// Too little comes in, until it is owed back.
    async fn underpay(&self, lamports: u64) {
        let quote = self.quote().await;
        self.world.transfer(self.client, &quote, lamports).await;
        let wallet = self.client.wallet();
        let before = self.world.debt(&wallet).await.map_or(0, |debt| debt.total.0);
        for _ in 0..TRIES {
            tokio::time::sleep(FINAL).await;
            let (world, ctx) = self.at();
            self.survive(async move { watch::watch(&ctx, &world.call()).await }).await;
            let debt = self.world.debt(&wallet).await;
            if debt.is_some_and(|debt| debt.total.0 == before + lamports) {
                return;
            }
        }
        panic!("a stray is not booked");
    }

    async fn pay_back(&self) {
        let wallet = self.client.wallet();
        for _ in 0..TRIES {
            self.advance(wallet).await;
            let debt = self.world.debt(&wallet).await.unwrap();
            if debt.due.is_none() {
                assert_eq!((debt.waiting.0, debt.batch), (0, None));
                return;
            }
        }
        panic!("{:?} is not paid", self.world.debt(&wallet).await);
    }

    /// Who slept while the first debt was paid wakes when the second one must be signed anew.
    async fn underpay_twice(&self, fault: Fault) {
        self.underpay(PRICE - 1).await;
        self.pay_back().await;
        self.underpay(PRICE - 2).await;
        let held = json!([self.client.wallet()]);
        self.world.rpc("localnetHoldTransaction", held.clone()).await;
        self.advance(self.client.wallet()).await;
        tokio::time::sleep(5 * FINAL).await;
        self.world.rpc("localnetReleaseTransaction", held).await;
        self.wake(fault).await;
        self.pay_back().await;
    }

    async fn settle(&self, job: JobId) {
        for _ in 0..TRIES {
            self.is_kept(job).await;
            if self.world.job(job).await.deal.outflow == Outflow::Settled {
                return;
            }
            self.advance(job).await;
        }
        panic!("{:?} is not settled", self.world.job(job).await);
    }

    /// One step of the payouts worker, and the time until it is final.
    async fn advance(&self, settlement: impl Into<SettlementId>) {
        let ((world, ctx), settlement) = (self.at(), settlement.into());
        self.survive(async move { advance(&ctx, &world.call(), &world.signers, settlement).await })
            .await;
        tokio::time::sleep(FINAL).await;
    }

    /// A job that is not at its end is due, so that the sweeper finds it whoever dies.
    async fn is_kept(&self, job: JobId) {
        let job = self.world.job(job).await;
        let at_rest = job.state.is_final() && job.deal.outflow == Outflow::Settled;
        assert_eq!(job.due.is_none(), at_rest, "{job:#?}");
    }
}

async fn verify(world: &World, ctx: Ctx, job: JobId, report: Report) -> Result<(), Refusal> {
    let handed_in = verification::handed_in(&ctx, job, report).await?;
    let Some(HandedIn::Frames(seen)) = handed_in else { panic!("{handed_in:?}") };
    let passed = Passed {
        frames: vec![FrameHash { frame: 1, pixels: "ab".repeat(32), bytes: 3 }],
        file: PassedFile::Picture(b"png".to_vec()),
    };
    verification::accept(&ctx, &world.call(), &seen, passed).await
}

/// A life through a store of its own; says how many calls of the kind in question it made.
pub(super) async fn live(world: &World, node: &Party, id: ProviderId, case: Case) -> u64 {
    let (ctx, client) = (world.beside(), Party::numbered(case.number));
    let (stopped, met) = (RefCell::default(), Cell::default());
    let life = Life { world, ctx, client: &client, node: id, of: case.of, stopped, met };
    let (wallet, had) = (client.wallet(), world.lamports(&node.wallet()).await);
    world.give(&wallet, GIVEN).await;
    let seam = life.ctx.store.seam().clone();
    let hit = case.n..case.n + case.times;
    let faults = hit.fold(Faults::seeded(1), |faults, n| faults.nth(case.of, n, case.fault));
    seam.inject(faults);
    match case.story {
        Story::Completed => life.complete().boxed_local().await,
        Story::Cancelled => life.cancel().boxed_local().await,
        Story::Stray => {
            life.underpay(PRICE - 1).boxed_local().await;
            life.pay_back().boxed_local().await;
        }
        Story::StrayTwice => life.underpay_twice(case.fault).boxed_local().await,
    }
    life.wake(case.fault).await;
    let (met, calls) = life.met.get().unwrap();
    tokio::time::sleep(FINAL).await;
    let (sent, spent, earned) = match case.story {
        Story::Completed => (1, PRICE, BASE),
        Story::Cancelled | Story::Stray => (1, 0, 0),
        Story::StrayTwice => (2, 0, 0),
    };
    assert_eq!(world.lamports(&wallet).await, GIVEN - sent * FEE - spent, "{case:?}");
    assert_eq!(world.lamports(&node.wallet()).await, had + earned, "{case:?}");
    // The machine decides how often a worker looks, so one life may have a call less than another.
    assert!(met > 0 || case.times == 0 || calls < case.n, "{case:?}: nothing happened");
    calls
}
