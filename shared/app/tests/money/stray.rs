//! Money that nobody announced: the watcher accepts what pays a quote and books the rest, so that
//! every lamport of escrow has a name.

use framefair_app::sweep::{Reach, sweep};
use framefair_app::watch::{book_float, watch};
use framefair_app::{JobState, Refusal, audit};
use framefair_chain::{Fault, UNSUPPORTED_VERSION};
use framefair_domain::money::Lamports;
use framefair_store::rows::Inbound;

use crate::world::{PRICE, World, memo, transfer};

#[tokio::test]
async fn a_payment_whose_call_never_came_is_accepted_once_it_is_final() {
    let world = World::new().await;
    let client = world.client(1).await;
    let quote = world.quote(&client).await;
    let signature = world.transfer(&client, &quote, PRICE).await;
    watch(&world.ctx, &world.call()).await.unwrap();
    assert_eq!(world.job(quote.job).await.state, JobState::AwaitingPayment, "not final yet");
    world.finalize().await;
    assert_eq!(watch(&world.ctx, &world.call()).await.unwrap(), 1);
    assert_eq!(watch(&world.ctx, &world.call()).await.unwrap(), 0, "nothing is booked twice");
    assert_eq!(world.job(quote.job).await.state, JobState::Queued);
    assert_eq!(world.claim(&signature).await.unwrap().kind, Inbound::Payment);
    world.pay(quote.job, &signature).await.unwrap();
    world.complete(quote.job).await;
    world.settle(quote.job).await;
    world.balanced().await;
}

#[tokio::test]
async fn a_payment_of_the_last_second_is_not_lost_to_the_sweeper() {
    let world = World::new().await;
    let client = world.client(1).await;
    let quote = world.quote(&client).await;
    world.later(15 * 60 + 110).await;
    world.transfer(&client, &quote, PRICE).await;
    world.later(15).await;
    sweep(&world.ctx, &mut world.call(), Reach::Everything).await.unwrap();
    let waiting = world.job(quote.job).await;
    assert_eq!(waiting.state, JobState::AwaitingPayment, "its payment is not final yet");
    assert!(waiting.due.is_some_and(|due| due > world.now()), "and is looked for again");
    world.finalize().await;
    sweep(&world.ctx, &mut world.call(), Reach::Everything).await.unwrap();
    assert_eq!(world.job(quote.job).await.state, JobState::Queued);
    let audit = world.balanced().await;
    assert_eq!((audit.payments_in, audit.strays_in), (i128::from(PRICE), 0));
}

#[tokio::test]
async fn a_quote_stays_open_while_the_chain_cannot_be_asked() {
    let world = World::new().await;
    let client = world.client(1).await;
    let quote = world.quote(&client).await;
    world.later(15 * 60 + 125).await;
    world.finalize().await;
    for method in ["getSlot", "getBlockTime", "getSignaturesForAddress"] {
        world.chain_seam.inject(method, Fault::Unreachable, 1);
        sweep(&world.ctx, &mut world.call(), Reach::Everything).await.unwrap();
        assert_eq!(world.job(quote.job).await.state, JobState::AwaitingPayment, "{method}");
    }
    sweep(&world.ctx, &mut world.call(), Reach::Everything).await.unwrap();
    let over = world.job(quote.job).await;
    assert_eq!((over.state, over.due), (JobState::Cancelled, None));
    let scene = world.ctx.store.objects().head(&over.scene_object()).await.unwrap();
    assert!(scene.is_none(), "its scene is gone");
}

#[tokio::test]
async fn what_pays_nothing_is_booked_as_a_stray_and_owed_to_nobody() {
    let world = World::new().await;
    let client = world.client(1).await;
    let quote = world.quote(&client).await;
    let escrow = quote.pay_to;
    let short = world.transfer(&client, &quote, PRICE - 1).await;
    let silent = world.transact(&[transfer(&client.wallet(), &escrow, 777)], &[&client]).await;
    let to_no_job = [transfer(&client.wallet(), &escrow, 1), memo("rayment:nothing")];
    let odd = world.transact(&to_no_job, &[&client]).await;
    // It names escrow and brings nothing.
    world.transact(&[transfer(&client.wallet(), &escrow, 0)], &[&client]).await;
    let audit = world.balanced().await;
    for (signature, job, lamports) in
        [(short, Some(quote.job), PRICE - 1), (silent, None, 777), (odd, None, 1)]
    {
        let entry = world.claim(&signature).await.unwrap();
        assert_eq!((entry.kind, entry.job), (Inbound::Stray, job));
        assert_eq!(entry.lamports, Lamports(lamports));
    }
    assert_eq!(audit.strays_in, i128::from(PRICE - 1 + 777 + 1));
    assert_eq!((audit.payments_in, audit.open_obligations), (0, 0));
    assert_eq!(world.job(quote.job).await.state, JobState::AwaitingPayment);
}

#[tokio::test]
async fn an_operator_claims_a_stray_as_his_float_and_never_a_clients_payment() {
    let world = World::new().await;
    let client = world.client(1).await;
    let operator = world.client(2).await;
    let escrow = world.signers.escrow.wallet();
    let top_up = transfer(&operator.wallet(), &escrow, 5_000_000);
    let top_up = world.transact(&[top_up], &[&operator]).await;
    let (_, paid) = world.paid(&client, PRICE).await;
    let before = world.balanced().await;
    assert_eq!(before.strays_in, 5_000_000);
    for _ in 0..2 {
        book_float(&world.ctx, &world.call(), &top_up).await.unwrap();
    }
    let taken = book_float(&world.ctx, &world.call(), &paid).await;
    assert!(matches!(taken, Err(Refusal::SignatureUsed)), "{taken:?}");
    let after = world.balanced().await;
    assert_eq!((after.float, after.strays_in), (before.float + 5_000_000, 0));
}

#[tokio::test]
async fn a_transaction_of_a_format_to_come_does_not_stop_the_watcher() {
    let world = World::new().await;
    let client = world.client(1).await;
    watch(&world.ctx, &world.call()).await.unwrap();
    let quote = world.quote(&client).await;
    let newer = [transfer(&client.wallet(), &quote.pay_to, 5)];
    let newer = world.transact(&newer, &[&client]).await;
    world.transfer(&client, &quote, PRICE).await;
    world.finalize().await;
    let unreadable = || Fault::Refusal(UNSUPPORTED_VERSION, "newer");
    world.chain_seam.inject("getTransaction", unreadable(), 1);
    watch(&world.ctx, &world.call()).await.unwrap();
    assert_eq!(world.job(quote.job).await.state, JobState::Queued, "what came after is booked");
    assert_eq!(world.claim(&newer).await, None);
    let audit = audit::audit(&world.ctx).await.unwrap();
    assert!(!audit.balances() && audit.to_string().contains(&newer.to_string()), "{audit}");
}

#[tokio::test]
async fn a_watcher_that_was_interrupted_books_the_rest_the_next_time() {
    let world = World::new().await;
    let client = world.client(1).await;
    let mut quotes = Vec::new();
    for _ in 0..3 {
        let quote = world.quote(&client).await;
        world.transfer(&client, &quote, PRICE).await;
        quotes.push(quote.job);
    }
    world.finalize().await;
    for calls in 0..4 {
        // The first transaction is the float: each time one more can be read.
        for _ in 0..calls {
            world.chain_seam.inject("getTransaction", Fault::Delay(Default::default()), 1);
        }
        world.chain_seam.inject("getTransaction", Fault::Unreachable, 1);
        assert!(watch(&world.ctx, &world.call()).await.is_err());
        world.chain_seam.heal();
    }
    watch(&world.ctx, &world.call()).await.unwrap();
    for job in quotes {
        assert_eq!(world.job(job).await.state, JobState::Queued);
    }
    let audit = world.balanced().await;
    assert_eq!(audit.payments_in, i128::from(3 * PRICE));
}
