//! A client takes a job back by a signed message, until somebody renders it.

use framefair_app::delivery::{self, ProgressRow};
use framefair_app::market::{self, Cancel};
use framefair_app::{JobState, Refusal};
use framefair_domain::settlement::{Inflow, Outflow};
use framefair_domain::signing::{Once, SignatureRefused};

use crate::world::{PRICE, Party, World, cancel_of};

fn once(world: &World, nonce: &str) -> Once {
    Once { timestamp: world.now(), nonce: nonce.to_owned() }
}

async fn ask(world: &World, cancel: Cancel) -> Result<market::MarketJob, Refusal> {
    market::cancel(&world.ctx, &world.call(), cancel).await
}

#[tokio::test]
async fn an_unpaid_quote_is_cancelled_and_owes_nobody_anything() {
    let world = World::new().await;
    let client = world.client(1).await;
    let quote = world.quote(&client).await;
    let job = world.cancel(&client, quote.job).await.unwrap();
    assert_eq!(job.state, JobState::Cancelled);
    assert_eq!((job.deal.outflow, job.deal.plan), (Outflow::Nothing, None));
    assert!(job.due.is_some(), "its scene is still to be removed");
    world.advance(quote.job).await.unwrap();
    assert_eq!(world.job(quote.job).await.deal.outflow, Outflow::Nothing);
    world.balanced().await;
}

#[tokio::test]
async fn a_paid_job_is_cancelled_while_it_waits_and_every_lamport_goes_back() {
    let world = World::new().await;
    let client = world.client(1).await;
    let (job, _) = world.paid(&client, PRICE + 123_456).await;
    let before = world.lamports(&client.wallet()).await;
    let cancelled = world.cancel(&client, job).await.unwrap();
    assert_eq!((cancelled.state, cancelled.deal.outflow), (JobState::Cancelled, Outflow::Owed));
    let again = world.cancel(&client, job).await.unwrap();
    assert_eq!(again, cancelled, "asking again changes nothing");
    world.settle(job).await;
    assert_eq!(world.lamports(&client.wallet()).await, before + PRICE + 123_456);
    let audit = world.balanced().await;
    assert_eq!((audit.fees, audit.open_obligations), (0, 0));
}

#[tokio::test]
async fn a_job_that_a_node_holds_and_has_not_begun_is_cancelled_and_the_node_is_free() {
    let world = World::new().await;
    let client = world.client(1).await;
    let (job, _) = world.paid(&client, PRICE).await;
    let session = world.lease(job).await;
    world.cancel(&client, job).await.unwrap();
    let held = delivery::ready(&world.ctx, &world.call(), session, 8).await.unwrap();
    assert!(held.is_empty(), "{held:?}");
    let late = delivery::done(&world.ctx, session, job, report(1)).await;
    assert!(
        matches!(late, Err(Refusal::StaleLease)),
        "a late report brings nothing back: {late:?}"
    );
    world.settle(job).await;
    assert_eq!(world.job(job).await.deal.inflow, Inflow::Final);
    world.balanced().await;
}

#[tokio::test]
async fn a_job_that_is_being_rendered_or_is_done_is_not_cancelled() {
    let world = World::new().await;
    let client = world.client(1).await;
    let (job, _) = world.paid(&client, PRICE).await;
    let session = world.lease(job).await;
    let (started, at) = (world.now(), world.now());
    let progress = ProgressRow {
        job,
        epoch: 1,
        frames_done: 0,
        frames_total: 1,
        frame: 1,
        sample: 1,
        samples: 64,
        started,
        at,
    };
    delivery::progress(&world.ctx, session, progress).await.unwrap();
    let refused = world.cancel(&client, job).await;
    assert!(matches!(refused, Err(Refusal::NotReady(_))), "{refused:?}");
    let (done, _) = world.paid(&client, PRICE).await;
    world.complete(done).await;
    let refused = world.cancel(&client, done).await;
    assert!(matches!(refused, Err(Refusal::NotReady(_))), "{refused:?}");
    let settled = world.settle(done).await;
    assert_eq!(settled.state, JobState::Completed);
    world.balanced().await;
}

#[tokio::test]
async fn only_the_clients_own_fresh_word_for_this_job_cancels_it() {
    let world = World::new().await;
    let client = world.client(1).await;
    let (job, _) = world.paid(&client, PRICE).await;
    let (other, _) = world.paid(&client, PRICE).await;
    let mismatch = |answer: &Result<_, Refusal>| {
        matches!(answer, Err(Refusal::Signature(SignatureRefused::Mismatch)))
    };

    let stranger = cancel_of(&Party::new(9), job, once(&world, "nonce-of-a-stranger"));
    assert!(mismatch(&ask(&world, stranger).await));
    let elsewhere = cancel_of(&client, other, once(&world, "nonce-for-another"));
    assert!(mismatch(&ask(&world, Cancel { job, ..elsewhere }).await), "another job's word");
    let mut altered = cancel_of(&client, job, once(&world, "nonce-as-it-was-signed"));
    altered.once.nonce.push('x');
    assert!(mismatch(&ask(&world, altered).await), "another nonce than the signed one");
    let mut broken = cancel_of(&client, job, once(&world, "nonce-without-a-word"));
    broken.signature.clear();
    let answer = ask(&world, broken).await;
    let encoding = Err::<(), _>(SignatureRefused::Encoding);
    assert!(matches!(&answer, Err(Refusal::Signature(why)) if Err(*why) == encoding), "{answer:?}");

    for off_ms in [-61_000, 61_000] {
        let timestamp = world.now().plus_ms(off_ms);
        let stale = Once { timestamp, nonce: "nonce-out-of-its-time".to_owned() };
        let answer = ask(&world, cancel_of(&client, job, stale)).await;
        let refusal = answer.unwrap_err();
        assert!(matches!(refusal, Refusal::Signature(SignatureRefused::Stale)), "{refusal:?}");
    }
    assert_eq!(world.job(job).await.state, JobState::Queued);

    ask(&world, cancel_of(&client, other, once(&world, "nonce-good-for-once"))).await.unwrap();
    let answer = ask(&world, cancel_of(&client, job, once(&world, "nonce-good-for-once"))).await;
    assert!(matches!(answer, Err(Refusal::Replayed)), "a nonce of before: {answer:?}");
    assert_eq!(world.job(job).await.state, JobState::Queued);
    world.settle(other).await;
    world.balanced().await;
}

fn report(epoch: u32) -> framefair_app::Report {
    framefair_app::Report { epoch, render_ms: 1 }
}
