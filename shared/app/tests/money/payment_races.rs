//! One transaction, many callers: it is accepted once ever, for one job.

use framefair_app::market::Quote;
use framefair_app::{JobState, Refusal, watch};
use framefair_domain::money::Lamports;
use framefair_domain::wallet::TxSignature;
use framefair_store::rows::Inbound;
use futures::future::join_all;

use crate::payment_fraud::refused;
use crate::world::{PRICE, World, memo, transfer};

const CALLERS: usize = 32;

/// Everybody calls at once, by turns for each of the quotes; says how many were told yes.
async fn storm(
    world: &World,
    quotes: &[&Quote],
    signatures: &[TxSignature],
) -> Vec<Result<(), Refusal>> {
    let calls = (0..CALLERS).map(|n| async move {
        let quote = quotes[n % quotes.len()];
        let signature = &signatures[n / quotes.len() % signatures.len()];
        let paid = world.pay(quote.job, signature).await?;
        assert_eq!(paid.job.id, quote.job);
        assert_eq!(paid.job.deal.payment.map(|payment| payment.signature), Some(*signature));
        Ok(())
    });
    join_all(calls).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_signature_for_two_jobs_from_many_callers_pays_one_job() {
    let world = World::new().await;
    let client = world.client(1).await;
    let [mine, other] = [world.quote(&client).await, world.quote(&client).await];
    let signature = world.transfer(&client, &mine, PRICE).await;
    let answers = storm(&world, &[&mine, &other], &[signature]).await;
    for (n, answer) in answers.iter().enumerate() {
        match n % 2 {
            0 => assert!(answer.is_ok(), "{answer:?}"),
            // Which reason comes first depends on who was faster.
            _ => assert!(
                matches!(answer, Err(Refusal::SignatureUsed | Refusal::Payment(_))),
                "{answer:?}"
            ),
        }
    }
    assert_eq!(world.job(mine.job).await.state, JobState::Queued);
    assert_eq!(world.job(other.job).await.state, JobState::AwaitingPayment);
    let late = refused(&world, &other, &signature.to_string()).await;
    assert!(matches!(late, Refusal::SignatureUsed), "{late:?}");
    let audit = world.balanced().await;
    assert_eq!(audit.payments_in, i128::from(PRICE));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_payment_called_many_times_is_accepted_once_and_always_told_the_same() {
    let world = World::new().await;
    let client = world.client(1).await;
    let quote = world.quote(&client).await;
    let signature = world.transfer(&client, &quote, PRICE).await;
    let rev = world.job(quote.job).await.rev;
    for answer in storm(&world, &[&quote], &[signature]).await {
        answer.unwrap();
    }
    let job = world.job(quote.job).await;
    assert_eq!(job.rev, rev + 1, "it was written once");
    let claim = world.claim(&signature).await.unwrap();
    assert_eq!((claim.kind, claim.job), (Inbound::Payment, Some(quote.job)));
    let totals = framefair_app::statistics::totals(&world.ctx).await.unwrap();
    assert_eq!((totals.jobs, totals.volume), (1, Lamports(PRICE)));
    world.balanced().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_payments_of_one_job_one_pays_it_and_the_other_is_a_stray() {
    let world = World::new().await;
    let client = world.client(1).await;
    let quote = world.quote(&client).await;
    let pay = transfer(&client.wallet(), &quote.pay_to, PRICE);
    let once = world.transact(&[pay.clone(), memo(&quote.memo)], &[&client]).await;
    let twice = world.transact(&[memo("again"), pay, memo(&quote.memo)], &[&client]).await;
    let answers = storm(&world, &[&quote], &[once, twice]).await;
    let yes = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(yes, CALLERS / 2);
    let others = answers.iter().filter_map(|answer| answer.as_ref().err());
    for refusal in others {
        assert!(matches!(refusal, Refusal::NotPayable(_)), "{refusal:?}");
    }
    let audit = world.balanced().await;
    assert_eq!(audit.payments_in, i128::from(PRICE));
    assert_eq!(audit.strays_in, i128::from(PRICE));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_and_the_watcher_accept_a_payment_once() {
    let world = World::new().await;
    let client = world.client(1).await;
    let quote = world.quote(&client).await;
    let signature = world.transfer(&client, &quote, PRICE).await;
    world.finalize().await;
    let watchers = (0..8).map(|_| async { watch::watch(&world.ctx, &world.call()).await });
    let (quotes, signatures) = ([&quote], [signature]);
    let callers = storm(&world, &quotes, &signatures);
    let (answers, watched) = tokio::join!(callers, join_all(watchers));
    for answer in answers {
        answer.unwrap();
    }
    for watched in watched {
        watched.unwrap();
    }
    assert_eq!(world.claim(&signature).await.unwrap().kind, Inbound::Payment);
    world.balanced().await;
}
