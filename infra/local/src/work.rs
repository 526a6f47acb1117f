//! Runs the workers as the cloud's event sources would: queues are polled, schedules tick.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use framefair_app::settlement::{Signer, Signers};
use framefair_app::sweep::Reach;
use framefair_app::{Ctx, Refusal};
use framefair_store::{Message, Queue};
use framefair_workers::{Outcome, anchor, dispatch, payouts, sweep, verify, watch};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// One machine can afford to look often.
const SWEEP_EVERY: Duration = Duration::from_secs(3);
const WATCH_EVERY: Duration = Duration::from_secs(3);
const ANCHOR_EVERY: Duration = Duration::from_secs(3);
const ANCHOR_WITHIN: Duration = Duration::from_secs(30);
/// A message that a worker took and never deleted comes back after this.
const VISIBILITY_S: u32 = 60;
/// One that a worker failed on comes back after this.
const RETRY_S: u32 = 2;
const POLL_WAIT_S: u32 = 20;
const BATCH: u32 = 10;

pub(crate) fn spawn(
    tasks: &mut JoinSet<()>,
    ctx: &Ctx,
    signers: Signers,
    authority: Signer,
    closing: &CancellationToken,
) {
    let signers = Arc::new(signers);
    let ctx_of = |queue: Queue| (ctx.clone(), queue);
    let until_closing = |work: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>| {
        let closing = closing.clone();
        async move {
            let _ = closing.run_until_cancelled(work).await;
        }
    };
    let (c, queue) = ctx_of(Queue::Dispatch);
    tasks.spawn(until_closing(Box::pin(poll(c, queue, |ctx, hint| async move {
        dispatch(&ctx, &hint).await
    }))));
    let (c, queue) = ctx_of(Queue::Verify);
    tasks.spawn(until_closing(Box::pin(poll(c, queue, |ctx, hint| async move {
        verify(&ctx, &hint).await
    }))));
    let (c, queue) = ctx_of(Queue::Payouts);
    tasks.spawn(until_closing(Box::pin(poll(c, queue, move |ctx, hint| {
        let signers = signers.clone();
        async move { payouts(&ctx, &signers, &hint).await }
    }))));
    tasks.spawn(until_closing(Box::pin(sweep_for_ever(ctx.clone()))));
    tasks.spawn(until_closing(Box::pin(watch_for_ever(ctx.clone()))));
    tasks.spawn(until_closing(Box::pin(anchor_for_ever(ctx.clone(), authority))));
}

/// After a start every open job is looked at once: its hints may have died with the last process.
async fn sweep_for_ever(ctx: Ctx) {
    let mut reach = Reach::Everything;
    loop {
        match sweep(&ctx, reach).await {
            Ok(_) => reach = Reach::Due,
            Err(refusal) => tracing::warn!(%refusal, "A sweep failed"),
        }
        tokio::time::sleep(SWEEP_EVERY).await;
    }
}

async fn watch_for_ever(ctx: Ctx) {
    loop {
        if let Err(refusal) = watch(&ctx).await {
            tracing::warn!(%refusal, "Escrow's history could not be read");
        }
        tokio::time::sleep(WATCH_EVERY).await;
    }
}

async fn anchor_for_ever(ctx: Ctx, authority: Signer) {
    loop {
        if let Err(refusal) = anchor(&ctx, &authority, ANCHOR_WITHIN).await {
            tracing::warn!(%refusal, "The ledger could not be anchored");
        }
        tokio::time::sleep(ANCHOR_EVERY).await;
    }
}

async fn poll<M, W, F>(ctx: Ctx, queue: Queue, work: W)
where
    M: Serialize + DeserializeOwned + Clone + Debug + Send + Sync + 'static,
    W: Fn(Ctx, M) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Outcome, Refusal>> + Send + 'static,
{
    loop {
        let received = ctx.store.queues().receive(queue, BATCH, POLL_WAIT_S, VISIBILITY_S).await;
        let messages = match received {
            Ok(messages) => messages,
            Err(broken) => {
                tracing::warn!(?queue, cause = broken.detail(), "A queue could not be read");
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        let mut batch = JoinSet::new();
        for message in messages {
            let Ok(hint) = serde_json::from_str::<M>(&message.body) else {
                drop_message(&ctx, queue, &message).await;
                continue;
            };
            let done = work(ctx.clone(), hint.clone());
            let ctx = ctx.clone();
            batch.spawn(async move { finish(&ctx, queue, &message, &hint, done.await).await });
        }
        while batch.join_next().await.is_some() {}
    }
}

async fn finish(
    ctx: &Ctx,
    queue: Queue,
    message: &Message,
    hint: &(impl Serialize + Debug),
    outcome: Result<Outcome, Refusal>,
) {
    match outcome {
        Ok(Outcome::Done) => drop_message(ctx, queue, message).await,
        Ok(Outcome::Again(delay_s)) => {
            ctx.hint(queue, hint, delay_s).await;
            drop_message(ctx, queue, message).await;
        }
        Err(refusal) => {
            tracing::warn!(?hint, ?queue, %refusal, "A hint could not be followed yet");
            if let Err(broken) = ctx.store.queues().defer(queue, &message.receipt, RETRY_S).await {
                tracing::debug!(cause = broken.detail(), "A hint comes back later than wished");
            }
        }
    }
}

async fn drop_message(ctx: &Ctx, queue: Queue, message: &Message) {
    if let Err(broken) = ctx.store.queues().delete(queue, &message.receipt).await {
        tracing::debug!(cause = broken.detail(), "A hint will come twice");
    }
}
