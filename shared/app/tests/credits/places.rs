//! Which node gets a job, and which job gets a place that becomes free.

use framefair_app::delivery::{self, Connection, Dispatched, Session};
use framefair_app::fleet::Beat;
use framefair_app::jobs::{self, CreatorJob, Placed, Wish};
use framefair_app::{Call, Ctx, Hint, Queue, Refusal, fleet, sweep};
use framefair_domain::credits::Credits;
use framefair_domain::id::{JobId, UserId};
use framefair_domain::job::State;
use framefair_domain::time::MINUTE_MS;
use framefair_store::rows::{CapabilityRow, FleetRow, JobRow, Place, Presence};
use framefair_store::{Update, When, keys};

use crate::ground::Ground;
use crate::jobs::{member, node, node_that_says, wish};

pub(crate) async fn relay(ctx: &Ctx, call: &Call) {
    delivery::take_relay(ctx, call, 0, "test").await.unwrap();
}

async fn place(ctx: &Ctx, node: Session, kind: &str) -> Option<Place> {
    let key = keys::capability(node.node, kind, false);
    ctx.store.get::<CapabilityRow>(&key).await.unwrap().map(|row| row.place)
}

pub(crate) async fn dispatch(
    ctx: &Ctx,
    call: &mut Call,
    user: UserId,
    wish: Wish,
) -> Result<Placed, Refusal> {
    jobs::dispatch(ctx, call, user, None, wish, None).await
}

pub(crate) async fn job(ctx: &Ctx, id: JobId) -> CreatorJob {
    ctx.store.get::<JobRow>(&keys::job(id)).await.unwrap().unwrap().creator().unwrap()
}

fn urgent(priority: &str) -> Wish {
    Wish { job_type: "echo".into(), payload_ref: format!("{{}}?priority={priority}") }
}

/// The jobs that somebody was asked to find a node for.
async fn asked_for(ctx: &Ctx) -> Vec<JobId> {
    let messages = ctx.store.queues().receive(Queue::Dispatch, 10, 0, 60).await.unwrap();
    let hints = messages.iter().map(|message| serde_json::from_str::<Hint>(&message.body).unwrap());
    hints.map(|hint| hint.job).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_was_late_for_a_moment_has_its_nodes_again() {
    let ground = Ground::open().await;
    let (ctx, user) = (ground.process(), ground.user("ada@example.com").await);
    relay(&ctx, &Call::live()).await;
    let node = node(&ctx, 1, &["echo"]).await;
    let mut late = Call::new(Call::live().now.plus_ms(MINUTE_MS), [7; 32]);
    // Looked at twice, it is last in the list, and still there.
    for _ in 0..2 {
        let refused = dispatch(&ctx, &mut late, user, wish("echo")).await;
        assert!(matches!(refused, Err(Refusal::NoHealthyNode { .. })), "{refused:?}");
    }
    let away = Place { presence: Presence::Away, load: 0 };
    assert_eq!(place(&ctx, node, "echo").await, Some(away));
    relay(&ctx, &late).await;
    assert_eq!(dispatch(&ctx, &mut late, user, wish("echo")).await.unwrap().node, node.node);
    let back = place(&ctx, node, "echo").await.unwrap();
    assert_eq!(back.presence, Presence::Connected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_gone_for_minutes_is_listed_no_more_until_it_comes_back() {
    let ground = Ground::open().await;
    let (ctx, user) = (ground.process(), ground.user("ada@example.com").await);
    relay(&ctx, &Call::live()).await;
    let gone = node(&ctx, 1, &["echo"]).await;
    let mut later = Call::new(Call::live().now.plus_ms(10 * MINUTE_MS), [7; 32]);
    let nodes = async |call: &Call| {
        let echo = fleet::capacity(&ctx, call).await.unwrap();
        echo.into_iter().find(|it| it.job_type == "echo").unwrap().any.there
    };
    assert_eq!((nodes(&Call::live()).await, nodes(&later).await), (1, 0));
    for _ in 0..2 {
        dispatch(&ctx, &mut later, user, wish("echo")).await.unwrap_err();
    }
    assert_eq!(place(&ctx, gone, "echo").await, None);
    // A socket that stands again lists it again.
    relay(&ctx, &later).await;
    let heard = later.now.plus_ms(-2 * MINUTE_MS);
    delivery::disconnect(&ctx, &later, gone, heard).await.unwrap();
    let row = ctx.store.get::<FleetRow>(&keys::fleet(gone.node)).await.unwrap().unwrap();
    assert_eq!(row.beat, Some(heard), "its silence counts from its last word");
    assert_eq!(nodes(&later).await, 0);
    let heard = Place { presence: Presence::Heard, load: 0 };
    assert_eq!(place(&ctx, gone, "echo").await, Some(heard));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_shows_itself_by_calls_alone_has_as_long_to_begin_as_any_other() {
    let ground = Ground::open().await;
    let (ctx, user) = (ground.process(), ground.user("ada@example.com").await);
    let member = member(&ctx, 1, &["echo"], serde_json::json!({})).await;
    let began = Call::live().now.plus_ms(MINUTE_MS);
    let at = |seconds: i64| Call::new(began.plus_ms(seconds * 1_000), [9; 32]);
    let alive = Beat { current_load: 0.0, metadata: None };
    let health = fleet::beat(&ctx, &at(0), member, &alive).await.unwrap();
    assert_eq!(health, fleet::Health::Healthy);
    let placed = dispatch(&ctx, &mut at(1), user, wish("echo")).await.unwrap();
    let shown = async |seconds: i64| {
        sweep::look_after_lease(&ctx, &at(seconds), placed.job).await.unwrap();
        let job = job(&ctx, placed.job).await;
        (job.state, job.task.failures)
    };
    for seconds in (30..=270).step_by(60) {
        fleet::beat(&ctx, &at(seconds), member, &alive).await.unwrap();
        assert_eq!(shown(seconds + 30).await, (State::Dispatched, 0), "{seconds}");
    }
    assert_eq!(shown(302).await, (State::Queued, 1), "it showed no sign of work");
    // One that calls no more is silent.
    let mut again = at(310);
    let again = delivery::dispatch(&ctx, &mut again, &Hint::about(placed.job)).await.unwrap();
    assert_eq!(again, Dispatched::Leased(member.id));
    assert_eq!(shown(330).await, (State::Dispatched, 1));
    assert_eq!(shown(400).await, (State::Queued, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_are_gone_hide_nobody_and_a_retry_goes_to_whoever_lives() {
    let ground = Ground::open().await;
    let (ctx, user) = (ground.process(), ground.user("ada@example.com").await);
    let mut call = Call::live();
    relay(&ctx, &call).await;
    let lives = node(&ctx, 1, &["echo"]).await;
    dispatch(&ctx, &mut call, user, wish("echo")).await.unwrap();
    // More than are looked at together, all of a relay that is no more, and in front of it.
    for seed in 2..22 {
        let gone = node(&ctx, seed, &["echo"]).await;
        let of_another = Connection { relay: 1, boot: "gone".into() };
        let key = keys::node(gone.node);
        let update = Update::at(key, When::Present).set("connection", of_another);
        ctx.store.write(update).await.unwrap();
    }
    let placed = dispatch(&ctx, &mut call, user, wish("echo")).await.unwrap();
    assert_eq!(placed.node, lives.node);
    // It fails there, and nobody else lives.
    delivery::failed(&ctx, &call, lives, placed.job, 1, false, "no").await.unwrap();
    let mut later = Call::new(call.now.plus_ms(5_000), [8; 32]);
    let again = delivery::dispatch(&ctx, &mut later, &Hint::about(placed.job)).await.unwrap();
    assert_eq!(again, Dispatched::Leased(lives.node));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_free_place_goes_to_other_kinds_of_work_as_well() {
    let ground = Ground::open().await;
    let (ctx, user) = (ground.process(), ground.user("ada@example.com").await);
    let mut call = Call::live();
    relay(&ctx, &call).await;
    node_that_says(&ctx, 1, &["echo", "echo-2"], serde_json::json!({ "slots": 1 })).await;
    let free = Credits::ZERO;
    jobs::set_price(&ctx, &call, "echo-2", free).await.unwrap();
    let first = dispatch(&ctx, &mut call, user, wish("echo")).await.unwrap();
    let other = dispatch(&ctx, &mut call, user, wish("echo-2")).await.unwrap();
    jobs::cancel(&ctx, &call, user, first.job).await.unwrap();
    assert_eq!(asked_for(&ctx).await, [other.job]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_comes_gets_as_many_of_those_who_wait_as_it_has_places() {
    let ground = Ground::open().await;
    let (ctx, user) = (ground.process(), ground.user("ada@example.com").await);
    let mut call = Call::live();
    relay(&ctx, &call).await;
    node_that_says(&ctx, 1, &["echo"], serde_json::json!({ "slots": 1 })).await;
    for _ in 0..3 {
        dispatch(&ctx, &mut call, user, wish("echo")).await.unwrap();
    }
    let soon = dispatch(&ctx, &mut call, user, urgent("high")).await.unwrap();
    assert_eq!(asked_for(&ctx).await, []);
    node_that_says(&ctx, 2, &["echo"], serde_json::json!({ "slots": 2 })).await;
    let asked = asked_for(&ctx).await;
    assert_eq!((asked.len(), asked.contains(&soon.job)), (2, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_as_loaded_as_what_it_holds() {
    let ground = Ground::open().await;
    let (ctx, user) = (ground.process(), ground.user("ada@example.com").await);
    let mut call = Call::live();
    relay(&ctx, &call).await;
    let nodes = [node(&ctx, 1, &["echo"]).await, node(&ctx, 2, &["echo"]).await];
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(dispatch(&ctx, &mut call, user, wish("echo")).await.unwrap());
    }
    let loads = async || {
        let places = [place(&ctx, nodes[0], "echo").await, place(&ctx, nodes[1], "echo").await];
        places.map(|place| place.unwrap().load)
    };
    assert_eq!(loads().await, [2, 2], "each has two of eight");
    // One is taken back, one fails, one is given back, one is done.
    let of = |node| nodes.into_iter().find(|it: &Session| it.node == node).unwrap();
    jobs::cancel(&ctx, &call, user, held[0].job).await.unwrap();
    delivery::failed(&ctx, &call, of(held[1].node), held[1].job, 1, false, "no").await.unwrap();
    delivery::decline(&ctx, &call, of(held[2].node), held[2].job, 1).await.unwrap();
    let nothing = jobs::Delivery::Nothing;
    jobs::deliver(&ctx, &call, of(held[3].node), held[3].job, 1, nothing).await.unwrap();
    let report = framefair_app::Report { epoch: 1, render_ms: 1 };
    jobs::verify(&ctx, &mut call, job(&ctx, held[3].job).await, report).await.unwrap();
    assert_eq!(loads().await, [0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_free_place_goes_to_the_most_urgent_job_that_waits() {
    let ground = Ground::open().await;
    let (ctx, user) = (ground.process(), ground.user("ada@example.com").await);
    let mut call = Call::live();
    relay(&ctx, &call).await;
    let one = serde_json::json!({ "slots": 1 });
    node_that_says(&ctx, 1, &["echo"], one).await;
    let first = dispatch(&ctx, &mut call, user, wish("echo")).await.unwrap();
    let mut waiting = Vec::new();
    for priority in ["low", "normal", "high"] {
        let placed = dispatch(&ctx, &mut call, user, urgent(priority)).await.unwrap();
        assert!(job(&ctx, placed.job).await.task.lease.is_none());
        waiting.push(placed.job);
    }
    let mut holder = first.job;
    for next in waiting.into_iter().rev() {
        assert_eq!(asked_for(&ctx).await, []);
        jobs::cancel(&ctx, &call, user, holder).await.unwrap();
        assert_eq!(asked_for(&ctx).await, [next]);
        let found = delivery::dispatch(&ctx, &mut call, &Hint::about(next)).await.unwrap();
        assert!(matches!(found, Dispatched::Leased(_)), "{found:?}");
        holder = next;
    }
    jobs::cancel(&ctx, &call, user, holder).await.unwrap();
    assert_eq!(asked_for(&ctx).await, [], "nobody waits any more");
    let balance = framefair_app::credits::balance(&ctx, user).await.unwrap();
    assert_eq!((balance.available, balance.held), (Credits::ZERO, Credits::ZERO));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_fails_job_after_job_loses_what_it_has_not_begun_and_is_tried_by_one() {
    let ground = Ground::open().await;
    let (ctx, user) = (ground.process(), ground.user("ada@example.com").await);
    let mut call = Call::live();
    relay(&ctx, &call).await;
    let bad = node_that_says(&ctx, 1, &["echo"], serde_json::json!({ "slots": 5 })).await;
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(dispatch(&ctx, &mut call, user, wish("echo")).await.unwrap().job);
    }
    jobs::started(&ctx, &call, bad, held[3], 1).await.unwrap();
    for id in &held[..3] {
        delivery::failed(&ctx, &call, bad, *id, 1, false, "no").await.unwrap();
    }
    let waiting = job(&ctx, held[4]).await;
    assert_eq!((waiting.state, waiting.task.failures), (State::Queued, 0));
    assert_eq!(job(&ctx, held[3]).await.state, State::Running, "it has begun");
    delivery::failed(&ctx, &call, bad, held[3], 1, false, "no").await.unwrap();
    // Five minutes later it is tried by one job, however many ask at once.
    let mut later = Call::new(call.now.plus_ms(6 * MINUTE_MS), [7; 32]);
    relay(&ctx, &later).await;
    let tried = dispatch(&ctx, &mut later, user, wish("echo")).await.unwrap();
    assert_eq!(job(&ctx, tried.job).await.state, State::Dispatched);
    let second = dispatch(&ctx, &mut later, user, wish("echo")).await;
    assert!(matches!(second, Err(Refusal::NoHealthyNode { .. })), "{second:?}");
}
