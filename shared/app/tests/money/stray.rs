//! Money that nobody announced: the watcher accepts what pays a quote and books the rest, so that
//! every lamport of escrow has a name.

use framefair_app::sweep::{Reach, sweep};
use framefair_app::watch::{GIFT_MEMO, book_float, watch};
use framefair_app::{JobState, Refusal, audit};
use framefair_chain::{Fault, UNSUPPORTED_VERSION};
use framefair_domain::money::Lamports;
use framefair_domain::settlement::Inflow;
use framefair_store::rows::Inbound;
use framefair_store::{When, Write};
use futures::future::join_all;

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
    assert_eq!(over.state, JobState::Cancelled);
    world.later(30 * 60).await;
    sweep(&world.ctx, &mut world.call(), Reach::Due).await.unwrap();
    assert_eq!(world.job(quote.job).await.due, None);
    let scene = world.ctx.store.objects().head(&over.scene_object()).await.unwrap();
    assert!(scene.is_none(), "its scene is gone");
}

#[tokio::test]
async fn what_nobody_can_be_found_for_is_held_for_an_operator() {
    let world = World::new().await;
    let client = world.client(1).await;
    let other = world.client(2).await;
    let quote = world.quote(&client).await;
    let escrow = quote.pay_to;
    let silent = transfer(&client.wallet(), &escrow, 19_999);
    let silent = world.transact(&[silent], &[&client]).await;
    let dust = world.transfer(&client, &quote, 4_999).await;
    let to_no_job = [transfer(&client.wallet(), &escrow, 1), memo("rayment:nothing")];
    let odd = world.transact(&to_no_job, &[&client]).await;
    let both = [&client, &other].map(|party| transfer(&party.wallet(), &escrow, 50_000));
    let both = world.transact(&both, &[&client, &other]).await;
    // It names escrow and brings nothing.
    world.transact(&[transfer(&client.wallet(), &escrow, 0)], &[&client]).await;
    let audit = world.balanced().await;
    for (signature, job, lamports) in [
        (silent, None, 19_999),
        (dust, Some(quote.job), 4_999),
        (odd, None, 1),
        (both, None, 100_000),
    ] {
        let entry = world.claim(&signature).await.unwrap();
        assert_eq!((entry.kind, entry.job, entry.back_to), (Inbound::Stray, job, None));
        assert_eq!(entry.lamports, Lamports(lamports));
    }
    assert_eq!(audit.strays_in, i128::from(19_999 + 4_999 + 1 + 100_000));
    assert_eq!(audit.strays_held, audit.strays_in);
    assert_eq!((audit.payments_in, audit.open_obligations), (0, 0));
    assert_eq!(world.job(quote.job).await.state, JobState::AwaitingPayment);
}

#[tokio::test]
async fn what_pays_nothing_goes_back_once_to_whom_it_came_from() {
    let world = World::new().await;
    let client = world.client(1).await;
    let stranger = world.client(2).await;
    let quote = world.quote(&client).await;
    let late = world.quote(&client).await;
    let escrow = quote.pay_to;
    world.finalize().await;
    let had = [world.lamports(&client.wallet()).await, world.lamports(&stranger.wallet()).await];

    world.transfer(&client, &quote, PRICE - 1).await;
    let silent = transfer(&stranger.wallet(), &escrow, 20_000);
    world.transact(&[silent], &[&stranger]).await;
    // Somebody else pays the client's quote: it does not count, and goes back to who paid.
    world.transfer(&stranger, &quote, PRICE).await;
    world.finalize().await;
    let paid = world.transfer(&client, &quote, PRICE).await;
    world.pay(quote.job, &paid).await.unwrap();
    world.transfer(&client, &quote, PRICE + 7).await;
    world.later(15 * 60 + 130).await;
    world.finalize().await;
    world.transfer(&client, &late, PRICE).await;
    world.finalize().await;
    let refused = join_all((0..8).map(|_| async { watch(&world.ctx, &world.call()).await })).await;
    assert!(refused.iter().any(Result::is_ok));
    watch(&world.ctx, &world.call()).await.unwrap();
    let audit = world.balanced().await;
    let back = [PRICE - 1 + PRICE + 7 + PRICE, 20_000 + PRICE];
    assert_eq!(audit.strays_in, i128::from(back[0] + back[1]));
    assert_eq!((audit.strays_held, audit.payments_in), (0, i128::from(PRICE)));

    for party in [&client, &stranger] {
        let wallet = party.wallet();
        let pay = || async { world.advance(wallet).await };
        join_all((0..6).map(|_| pay())).await;
        let paid = world.pay_debt(&wallet).await;
        assert_eq!((paid.waiting, paid.batch), (Lamports(0), None));
    }
    world.finalize().await;
    for (party, had) in [(&client, had[0] - PRICE), (&stranger, had[1])] {
        let fees_of_its_own = 4 * 5_000;
        let has = world.lamports(&party.wallet()).await;
        assert!(has <= had && has + fees_of_its_own >= had, "{has} of {had}");
    }
    let audit = world.balanced().await;
    assert_eq!(audit.paid_out, i128::from(back[0] + back[1]));
    assert_eq!(audit.open_obligations, i128::from(PRICE), "the job that was paid");
}

#[tokio::test]
async fn a_vanished_payment_that_is_back_goes_back() {
    let world = World::new().await;
    let client = world.client(1).await;
    let (job, signature) = world.paid(&client, PRICE).await;
    // As if a lying node had hidden it until the job was given up.
    let mut row = world.job(job).await;
    let rev = row.rev;
    (row.state, row.deal.inflow, row.due) = (JobState::Failed, Inflow::Reverted, None);
    row.rev += 1;
    world.ctx.store.write(Write::put(&row, When::Rev(rev))).await.unwrap();
    let audit = world.balanced().await;
    assert_eq!((audit.strays_in, audit.open_obligations), (i128::from(PRICE), i128::from(PRICE)));
    assert_eq!(world.claim(&signature).await.unwrap().back_to, Some(client.wallet()));
    let had = world.lamports(&client.wallet()).await;
    world.pay_debt(&client.wallet()).await;
    assert_eq!(world.lamports(&client.wallet()).await, had + PRICE);
    world.balanced().await;
}

#[tokio::test]
async fn a_gift_becomes_float_and_an_operator_claims_what_is_held_but_never_a_clients_payment() {
    let world = World::new().await;
    let client = world.client(1).await;
    let operator = world.client(2).await;
    let escrow = world.signers.escrow.wallet();
    let before = world.balanced().await;
    let gift = [transfer(&operator.wallet(), &escrow, 5_000_000), memo(GIFT_MEMO)];
    world.transact(&gift, &[&operator]).await;
    let held = transfer(&operator.wallet(), &escrow, 19_000);
    let held = world.transact(&[held], &[&operator]).await;
    let owed = transfer(&operator.wallet(), &escrow, 30_000);
    let owed = world.transact(&[owed], &[&operator]).await;
    let (_, paid) = world.paid(&client, PRICE).await;
    let between = world.balanced().await;
    assert_eq!(between.float, before.float + 5_000_000);
    assert_eq!((between.strays_in, between.strays_held), (49_000, 19_000));
    for _ in 0..2 {
        book_float(&world.ctx, &world.call(), &held).await.unwrap();
    }
    for taken in [paid, owed] {
        let taken = book_float(&world.ctx, &world.call(), &taken).await;
        assert!(matches!(taken, Err(Refusal::SignatureUsed)), "{taken:?}");
    }
    let after = world.balanced().await;
    assert_eq!((after.float, after.strays_held), (between.float + 19_000, 0));
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
