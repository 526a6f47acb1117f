//! Where clients pay their providers themselves: the same proof of payment, and nothing of it is ours.

use framefair_app::delivery::Dispatched;
use framefair_app::provider::{self, Signed, Status};
use framefair_app::{JobState, Refusal, market};
use framefair_domain::settlement::{Inflow, Outflow};
use framefair_domain::signing;

use crate::world::{PRICE, Party, World};

async fn world() -> World {
    let mut world = World::new().await;
    world.ctx.platform.direct = true;
    world
}

#[tokio::test]
async fn the_provider_is_paid_by_the_client_and_by_nobody_else() {
    let world = world().await;
    let client = world.client(1).await;
    let (provider, escrow) = (world.home_party.wallet(), world.signers.escrow.wallet());
    let (had, float) = (world.lamports(&provider).await, world.lamports(&escrow).await);
    let (job, signature) = world.paid(&client, PRICE).await;
    assert_eq!(world.job(job).await.deal.pay_to, provider);
    world.complete(job).await;
    let settled = world.settle(job).await;
    assert_eq!((settled.state, settled.deal.inflow), (JobState::Completed, Inflow::Final));
    assert!(world.signed(job).await.is_empty(), "nothing is sent");
    assert_eq!(world.lamports(&provider).await, had + PRICE);
    assert_eq!(world.lamports(&escrow).await, float);
    let audit = world.balanced().await;
    assert_eq!((audit.payments_in, audit.fees, audit.open_obligations), (0, 0, 0));

    let other = world.quote(&client).await;
    let again = world.pay(other.job, &signature).await;
    assert!(matches!(again, Err(Refusal::SignatureUsed)), "once is once here, too: {again:?}");
}

#[tokio::test]
async fn what_goes_to_escrow_pays_no_provider() {
    let world = world().await;
    let client = world.client(1).await;
    let mut quote = world.quote(&client).await;
    quote.pay_to = world.signers.escrow.wallet();
    let signature = world.transfer(&client, &quote, PRICE).await;
    let refused = world.pay(quote.job, &signature).await;
    assert!(matches!(refused, Err(Refusal::Payment(_))), "{refused:?}");
    let audit = world.balanced().await;
    assert_eq!(audit.strays_in, i128::from(PRICE), "it is nobody's payment, and goes back");
}

#[tokio::test]
async fn a_job_that_fails_gives_nothing_back() {
    let world = world().await;
    let client = world.client(1).await;
    let (job, _) = world.paid(&client, PRICE).await;
    let left = world.lamports(&client.wallet()).await;
    world.fail(job).await;
    let settled = world.settle(job).await;
    assert_eq!((settled.state, settled.deal.outflow), (JobState::Failed, Outflow::Settled));
    assert_eq!(settled.due, None);
    assert_eq!(world.lamports(&client.wallet()).await, left);
    world.balanced().await;
}

#[tokio::test]
async fn a_job_waits_for_the_provider_that_was_paid_however_long_it_is_away() {
    let world = world().await;
    let client = world.client(1).await;
    let cheaper = Party::new(7);
    world.provider(&cheaper, PRICE / 2).await;
    let (job, _) = world.paid(&client, PRICE).await;
    let signature = world.home_party.says(&signing::status(world.home, "offline"));
    let signed = Signed { signature, once: None };
    let (call, offline) = (world.call(), Status::Offline);
    provider::set_status(&world.ctx, &call, world.home, offline, &signed).await.unwrap();
    for _ in 0..3 {
        world.later(25 * 60 * 60).await;
        let found = world.lease_of(job).await;
        assert!(!matches!(found, Dispatched::Leased(_)), "it went to somebody who was not paid");
        assert_eq!(world.job(job).await.state, JobState::Queued);
    }
}

#[tokio::test]
async fn nobody_buys_from_itself() {
    let world = world().await;
    let own = world.submission(&world.home_party.wallet()).await;
    let refused = market::request(&world.ctx, &mut world.call(), own).await;
    assert!(matches!(refused, Err(Refusal::Invalid(_))), "{refused:?}");
}
