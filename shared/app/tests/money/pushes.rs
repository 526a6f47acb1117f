//! Tasks that go to a provider's endpoint: who sends them, what an outcome means, and how long a
//! lease lives without a socket. Nothing is dialled here; what a relay would report is said.

use framefair_app::delivery::{
    self, Connection, Dispatched, Errand, HandIn, Handed, Parcel, Pulse, Pushed, errand, pushed,
};
use framefair_app::provider::{self, Signed};
use framefair_app::sweep::{Reach, sweep};
use framefair_app::{Hint, JobState, Queue, Refusal};
use framefair_domain::id::{JobId, ProviderId};
use framefair_domain::signing;
use framefair_store::keys;
use framefair_store::rows::{NodeRow, Status};
use framefair_store::seam::{Fault, Faults};
use futures::future::join_all;

use crate::world::{BASE, BOOT, PRICE, Party, World};

/// A world whose paid job was just leased to a provider that is dialled.
struct Ground {
    world: World,
    party: Party,
    provider: ProviderId,
    /// One with a socket, at the same price.
    other: ProviderId,
    job: JobId,
}

fn relay() -> Connection {
    Connection { relay: 0, boot: BOOT.to_owned() }
}

impl Ground {
    async fn new() -> Ground {
        let mut world = World::new().await;
        let party = Party::new(77);
        world.give(&party.wallet(), 1_000_000_000).await;
        let provider = world.register(&party, BASE, false).await;
        let other = std::mem::replace(&mut world.home, provider);
        let client = world.client(1).await;
        let (job, _) = world.paid(&client, PRICE).await;
        assert_eq!(world.lease(job).await.node, provider);
        Ground { world, party, provider, other, job }
    }

    async fn errand(&self) -> Errand {
        let hint = Hint::about(self.job);
        errand(&self.world.ctx, &self.world.call(), &hint, &relay()).await.unwrap()
    }

    async fn parcel(&self) -> Box<Parcel> {
        match self.errand().await {
            Errand::Push(parcel) => parcel,
            other => panic!("{other:?}"),
        }
    }

    async fn came_to(&self, parcel: Box<Parcel>, outcome: Pushed) {
        pushed(&self.world.ctx, &self.world.call(), *parcel, outcome).await.unwrap();
    }

    async fn sweep(&self) {
        self.world.renew_relay().await;
        sweep(&self.world.ctx, &mut self.world.call(), Reach::Everything).await.unwrap();
    }

    async fn state(&self) -> (JobState, u32, u32) {
        let job = self.world.job(self.job).await;
        (job.state, job.task.failures, job.task.declines)
    }

    /// The holder is asked for the sake of its task, and answers so.
    async fn seen(&self, pulse: Pulse) {
        let Errand::Ask(to) = self.errand().await else { panic!("it holds a task") };
        let (ctx, call) = (&self.world.ctx, self.world.call());
        delivery::note_holder(ctx, &call, self.job, &to, pulse).await.unwrap();
    }

    async fn take(&self) {
        let parcel = self.parcel().await;
        self.came_to(parcel, Pushed::Accepted).await;
        assert_eq!(self.state().await, (JobState::Running, 0, 0));
    }

    async fn hand_in(&self) -> Result<(), Refusal> {
        let (job, provider) = (self.job, self.provider);
        let render_time = "1.25".to_owned();
        let signature = self.party.says(&signing::complete(job, &render_time));
        let signed = Signed { signature, once: None };
        let result = Handed::Inline(b"a picture".as_slice().into());
        let given = HandIn { job, provider, render_time, signed, result };
        delivery::hand_in(&self.world.ctx, &self.world.call(), given).await
    }

    async fn say_failed(&self, id: ProviderId) {
        let (ctx, call) = (&self.world.ctx, self.world.call());
        delivery::hand_back(ctx, &call, self.job, id, "broke", None).await.unwrap();
    }

    /// Everybody who is dialled is asked for its health, and answers so; how many they are.
    async fn round(&self, pulse: Pulse) -> usize {
        let ctx = &self.world.ctx;
        let probes = delivery::probes(ctx).await.unwrap();
        for probe in &probes {
            delivery::note_probe(ctx, &self.world.call(), probe, pulse).await.unwrap();
        }
        probes.len()
    }

    /// What waits in a queue, each taken out.
    async fn hints(&self, queue: Queue) -> Vec<Hint> {
        let queues = self.world.ctx.store.queues();
        let mut found = Vec::new();
        loop {
            let messages = queues.receive(queue, 10, 0, 60).await.unwrap();
            if messages.is_empty() {
                return found;
            }
            for message in messages {
                queues.delete(queue, &message.receipt).await.unwrap();
                found.push(serde_json::from_str(&message.body).unwrap());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_task_is_sent_once_however_often_it_is_hinted() {
    let ground = Ground::new().await;
    let errands = join_all((0..8).map(|_| ground.errand())).await;
    let mut parcels: Vec<_> = errands
        .into_iter()
        .filter_map(|errand| match errand {
            Errand::Push(parcel) => Some(parcel),
            _ => None,
        })
        .collect();
    assert_eq!(parcels.len(), 1);
    let parcel = parcels.remove(0);
    assert!(!parcel.again);
    assert!(matches!(ground.errand().await, Errand::Nothing), "it is on its way");
    ground.came_to(parcel, Pushed::Accepted).await;
    assert_eq!(ground.state().await, (JobState::Running, 0, 0));
    assert!(matches!(ground.errand().await, Errand::Ask(_)));
}

#[tokio::test]
async fn already_rendering_is_this_task_only_where_it_was_sent_before() {
    let ground = Ground::new().await;
    let parcel = ground.parcel().await;
    ground.came_to(parcel, Pushed::AlreadyRendering).await;
    assert_eq!(ground.state().await, (JobState::Queued, 0, 1), "busy, and no failure");
    let early = ground.world.lease_of(ground.job).await;
    assert!(matches!(early, Dispatched::Later(ms) if (14_000..=15_000).contains(&ms)), "{early:?}");

    ground.world.later(16).await;
    assert_eq!(ground.world.lease(ground.job).await.node, ground.provider);
    // Its sender dies: another process stands in its slot, and finds the try on record.
    let parcel = ground.parcel().await;
    assert!(!parcel.again, "a lease of its own");
    let (ctx, call) = (&ground.world.ctx, ground.world.call());
    delivery::take_relay(ctx, &call, 0, "another").await.unwrap();
    let parcel = ground.parcel().await;
    assert!(parcel.again);
    ground.came_to(parcel, Pushed::AlreadyRendering).await;
    assert_eq!(ground.state().await, (JobState::Running, 0, 1));
}

#[tokio::test]
async fn a_job_that_failed_once_does_not_wait_for_ever_for_a_provider_that_stays_busy() {
    let ground = Ground::new().await;
    // Nobody else is left.
    let text = signing::status(ground.other, "offline");
    let word = Signed { signature: ground.world.home_party.says(&text), once: None };
    let (call, offline) = (ground.world.call(), Status::Offline);
    provider::set_status(&ground.world.ctx, &call, ground.other, offline, &word).await.unwrap();
    let parcel = ground.parcel().await;
    ground.came_to(parcel, Pushed::Refused("no".into())).await;
    for _ in 0..50 {
        ground.world.renew_relay().await;
        match ground.world.lease_of(ground.job).await {
            Dispatched::Later(ms) => ground.world.later(ms / 1_000 + 1).await,
            Dispatched::Leased(_) => {
                let parcel = ground.parcel().await;
                ground.came_to(parcel, Pushed::AlreadyRendering).await;
            }
            Dispatched::Nothing => break,
        }
    }
    assert_eq!(ground.state().await, (JobState::Failed, 1, 11));
    ground.world.settle(ground.job).await;
    ground.world.balanced().await;
}

#[tokio::test]
async fn an_unknown_outcome_keeps_the_lease_until_it_ends() {
    let ground = Ground::new().await;
    let rival = Party::new(78);
    ground.world.register(&rival, BASE, false).await;
    let parcel = ground.parcel().await;
    ground.came_to(parcel, Pushed::Unknown("cut".into())).await;
    for _ in 0..3 {
        ground.world.later(150).await;
        ground.sweep().await;
        assert_eq!(ground.world.lease_of(ground.job).await, Dispatched::Nothing);
        // Asked again, it cannot be reached: it may still have the task.
        let parcel = ground.parcel().await;
        assert!(parcel.again);
        ground.came_to(parcel, Pushed::Undelivered("gone".into())).await;
        assert_eq!(ground.state().await, (JobState::Dispatched, 0, 0));
    }
    ground.world.later(160).await;
    ground.sweep().await;
    assert_eq!(ground.state().await, (JobState::Queued, 1, 0));
}

#[tokio::test]
async fn a_task_that_nobody_could_send_is_no_failure_of_its_provider() {
    let ground = Ground::new().await;
    ground.world.later(11 * 60).await;
    ground.sweep().await;
    assert_eq!(ground.state().await, (JobState::Queued, 0, 1));
}

#[tokio::test]
async fn a_report_about_a_lease_that_is_over_changes_nothing() {
    let ground = Ground::new().await;
    let late = ground.parcel().await;
    let (ctx, call) = (&ground.world.ctx, ground.world.call());
    delivery::take_relay(ctx, &call, 0, "another").await.unwrap();
    let parcel = ground.parcel().await;
    ground.came_to(parcel, Pushed::Refused("no".into())).await;
    assert_eq!(ground.state().await, (JobState::Queued, 1, 0));
    ground.came_to(late, Pushed::Accepted).await;
    assert_eq!(ground.state().await, (JobState::Queued, 1, 0));
    let (ctx, call) = (&ground.world.ctx, ground.world.call());
    let pulse = Pulse::Silent;
    let doubt = framefair_app::Doubt { epoch: 1, error: "late".into(), asked: 0 };
    delivery::settle_doubt(ctx, &call, ground.job, ground.provider, doubt, pulse).await.unwrap();
    assert_eq!(ground.state().await, (JobState::Queued, 1, 0));
}

#[tokio::test]
async fn a_delivery_that_nobody_hinted_at_is_looked_at_all_the_same() {
    let ground = Ground::new().await;
    // Quicker than its own answer to the push.
    let parcel = ground.parcel().await;
    ground.hand_in().await.unwrap();
    ground.came_to(parcel, Pushed::Accepted).await;
    assert_eq!(ground.state().await, (JobState::Verifying, 0, 0));
    ground.hints(Queue::Verify).await;
    // Hours of a provider that renders nothing do not end what waits for our own verdict.
    ground.world.later(3_600).await;
    ground.sweep().await;
    let hints = ground.hints(Queue::Verify).await;
    let report = hints.first().and_then(|hint| hint.report).expect("a report");
    assert_eq!((report.epoch, report.render_ms), (1, 1_250));
    ground.world.deliver(ground.job).await;
    assert_eq!(ground.state().await.0, JobState::Completed);
    // The same bytes again are fine; they were taken.
    ground.hand_in().await.unwrap();
    ground.world.settle(ground.job).await;
    ground.world.balanced().await;
}

#[tokio::test]
async fn a_delivery_that_was_cut_off_anywhere_can_be_handed_in_again() {
    for (nth, fault) in
        [1, 2].into_iter().flat_map(|n| [(n, Fault::DieBefore), (n, Fault::DieAfter)])
    {
        let ground = Ground::new().await;
        ground.take().await;
        let seam = ground.world.ctx.store.seam();
        seam.inject(Faults::seeded(0).nth("PutObject", nth, fault));
        tokio::select! {
            done = Box::pin(ground.hand_in()) => panic!("nothing cut it off: {done:?}"),
            () = seam.stopped() => {}
        }
        seam.calm();
        ground.hand_in().await.unwrap();
        ground.world.deliver(ground.job).await;
        assert_eq!(ground.state().await.0, JobState::Completed, "{fault:?} {nth}");
    }
}

#[tokio::test]
async fn one_delivery_may_come_many_times_at_once() {
    let ground = Ground::new().await;
    ground.take().await;
    for answer in join_all((0..8).map(|_| Box::pin(ground.hand_in()))).await {
        answer.unwrap();
    }
    ground.world.deliver(ground.job).await;
    assert_eq!(ground.state().await.0, JobState::Completed);
}

#[tokio::test]
async fn a_holder_that_renders_nothing_loses_its_task_once_somebody_has_looked_for_long() {
    let ground = Ground::new().await;
    ground.take().await;
    ground.world.later(3_600).await;
    ground.sweep().await;
    assert_eq!(ground.state().await.0, JobState::Running, "nobody was there to ask");
    ground.seen(Pulse::Rendering).await;
    ground.world.later(3_600).await;
    ground.sweep().await;
    assert_eq!(ground.state().await.0, JobState::Running);
    ground.seen(Pulse::Idle).await;
    ground.world.later(290).await;
    ground.sweep().await;
    assert_eq!(ground.state().await.0, JobState::Running);
    ground.world.later(20).await;
    ground.sweep().await;
    assert_eq!(ground.state().await, (JobState::Queued, 1, 0));
}

#[tokio::test]
async fn one_relay_of_all_asks_and_the_next_one_when_it_is_gone() {
    let world = World::new().await;
    let first = |slot| {
        let (ctx, call) = (&world.ctx, world.call());
        async move { delivery::is_first_relay(ctx, &call, slot).await.unwrap() }
    };
    delivery::take_relay(&world.ctx, &world.call(), 1, "second").await.unwrap();
    assert_eq!((first(0).await, first(1).await, first(2).await), (true, false, false));
    world.later(31).await;
    delivery::take_relay(&world.ctx, &world.call(), 1, "second").await.unwrap();
    assert_eq!((first(1).await, first(2).await), (true, false));
}

#[tokio::test]
async fn a_bare_word_of_failure_needs_the_holder_to_bear_it_out() {
    let ground = Ground::new().await;
    ground.say_failed(ground.provider).await;
    ground.hints(Queue::Push).await;
    ground.take().await;
    let stranger = ground.world.register(&Party::new(79), BASE, false).await;
    ground.say_failed(stranger).await;
    assert!(ground.hints(Queue::Push).await.is_empty(), "it holds nothing");
    for _ in 0..3 {
        ground.say_failed(ground.provider).await;
    }
    // One of the three was heard; it waits two seconds in the queue.
    tokio::time::sleep(std::time::Duration::from_millis(2_300)).await;
    let hints = ground.hints(Queue::Push).await;
    assert_eq!(hints.len(), 1);
    let (ctx, call) = (&ground.world.ctx, ground.world.call());
    let Errand::Doubt(to, mut doubt) = errand(ctx, &call, &hints[0], &relay()).await.unwrap()
    else {
        panic!("a doubt")
    };
    for asked in 0..3 {
        doubt.asked = asked;
        let (id, doubt) = (ground.job, doubt.clone());
        let pulse = Pulse::Rendering;
        delivery::settle_doubt(ctx, &call, id, to.provider, doubt, pulse).await.unwrap();
    }
    assert_eq!(ground.state().await, (JobState::Running, 0, 0));
    let pulse = Pulse::Idle;
    delivery::settle_doubt(ctx, &call, ground.job, to.provider, doubt, pulse).await.unwrap();
    assert_eq!(ground.state().await, (JobState::Queued, 1, 0));
}

#[tokio::test]
async fn a_steady_pulse_writes_nothing_and_long_silence_shows_as_offline() {
    let ground = Ground::new().await;
    let (ctx, seam) = (&ground.world.ctx, ground.world.ctx.store.seam());
    let written = || seam.snapshot().iter().map(|cost| cost.wcu).sum::<u64>();
    assert_eq!(
        ground.round(Pulse::Idle).await,
        1,
        "those with a socket for their work are not dialled"
    );
    seam.reset();
    for pulse in [Pulse::Idle, Pulse::Rendering, Pulse::Idle, Pulse::Silent] {
        assert_eq!(ground.round(pulse).await, 1);
    }
    assert_eq!(written(), 0, "a change within a minute waits");
    let status = || async { provider::get(ctx, ground.provider).await.unwrap().provider.status() };
    ground.world.later(61).await;
    ground.round(Pulse::Silent).await;
    ground.world.later(290).await;
    ground.round(Pulse::Silent).await;
    assert_eq!(status().await, Status::Online);
    ground.world.later(20).await;
    ground.round(Pulse::Silent).await;
    assert_eq!(status().await, Status::Offline);
    assert_eq!(ground.round(Pulse::Silent).await, 0, "asked while it is online");
    // Its wallet speaks again, and its endpoint has as long as before.
    let signature = ground.party.says(&signing::status(ground.provider, "online"));
    let word = Signed { signature, once: None };
    let (call, online) = (ground.world.call(), Status::Online);
    provider::set_status(ctx, &call, ground.provider, online, &word).await.unwrap();
    ground.round(Pulse::Silent).await;
    assert_eq!(status().await, Status::Online);
    ground.round(Pulse::Idle).await;
    let node = ctx.store.get::<NodeRow>(&keys::node(ground.provider)).await.unwrap().unwrap();
    assert_eq!(node.pulse.map(|seen| seen.pulse), Some(Pulse::Idle));
}
