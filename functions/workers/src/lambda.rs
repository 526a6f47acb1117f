//! The workers as Lambdas: SQS batches with partial failures, and schedules.

use std::fmt::Debug;
use std::time::Duration;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use framefair_app::settlement::{Signer, Signers};
use framefair_app::sweep::Reach;
use framefair_app::{Call, Ctx, Queue, Refusal, ledger};
use lambda_runtime::{Error, LambdaEvent};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Outcome, anchor, dispatch, payouts, sweep, verify, watch};

/// An anchor is final within some seconds; one that is not yet is looked at a minute later.
const ANCHORING: Duration = Duration::from_secs(30);

/// What `_HANDLER` can name here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worker {
    Dispatch,
    Verify,
    Payouts,
    Sweeper,
    Watcher,
    Anchoring,
}

impl Worker {
    pub fn from_handler(handler: &str) -> Option<Worker> {
        Some(match handler.strip_prefix("workers-")? {
            "dispatch" => Worker::Dispatch,
            "verify" => Worker::Verify,
            "payouts" => Worker::Payouts,
            "sweeper" => Worker::Sweeper,
            "watcher" => Worker::Watcher,
            "anchoring" => Worker::Anchoring,
            _ => return None,
        })
    }
}

/// Everything one function needs.
pub struct Function {
    ctx: Ctx,
    worker: Worker,
    signers: Option<Signers>,
    anchor: Option<Signer>,
}

impl Function {
    /// The payouts worker alone reads the keys of escrow and gas, and the anchoring one its own.
    pub async fn from_env(worker: Worker) -> Result<Function, Error> {
        let ctx = Ctx::from_env().await?;
        let signers = match worker {
            Worker::Payouts => Some(Signers::from_env(&ctx).await?),
            _ => None,
        };
        let anchor = match worker {
            Worker::Anchoring => Some(ledger::signer_from_env(&ctx).await?),
            _ => None,
        };
        Ok(Function { ctx, worker, signers, anchor })
    }

    /// Answers which messages must come again. What was counted meanwhile goes to the table before this
    /// function stands still.
    pub async fn handle(&self, event: LambdaEvent<Value>) -> Result<Value, Error> {
        let done = self.work(event).await;
        self.ctx.flush_metrics(&mut Call::live()).await;
        done
    }

    async fn work(&self, event: LambdaEvent<Value>) -> Result<Value, Error> {
        match self.worker {
            Worker::Sweeper => {
                let jobs = sweep(&self.ctx, Reach::Due).await?;
                Ok(serde_json::json!({ "jobs": jobs }))
            }
            Worker::Watcher => {
                let booked = watch(&self.ctx).await?;
                Ok(serde_json::json!({ "booked": booked }))
            }
            Worker::Anchoring => {
                let signer = self.anchor.as_ref().ok_or("the anchoring worker has its key")?;
                let open = anchor(&self.ctx, signer, ANCHORING).await?;
                Ok(serde_json::json!({ "open": open }))
            }
            Worker::Dispatch | Worker::Verify | Worker::Payouts => {
                let batch: SqsEvent = serde_json::from_value(event.payload)?;
                Ok(serde_json::to_value(self.batch(batch).await)?)
            }
        }
    }

    async fn batch(&self, batch: SqsEvent) -> SqsBatchResponse {
        let mut failures = Vec::new();
        for message in batch.records {
            let body = message.body.unwrap_or_default();
            if let Err(refusal) = self.one(&body).await {
                tracing::error!(%refusal, "A hint could not be followed");
                let mut failure = BatchItemFailure::default();
                failure.item_identifier = message.message_id.unwrap_or_default();
                failures.push(failure);
            }
        }
        let mut response = SqsBatchResponse::default();
        response.batch_item_failures = failures;
        response
    }

    async fn one(&self, body: &str) -> Result<(), Refusal> {
        match (self.worker, &self.signers) {
            (Worker::Payouts, Some(signers)) => {
                self.follow(Queue::Payouts, body, async |hint| {
                    payouts(&self.ctx, signers, hint).await
                })
                .await
            }
            (Worker::Verify, _) => {
                self.follow(Queue::Verify, body, async |hint| verify(&self.ctx, hint).await).await
            }
            _ => {
                self.follow(Queue::Dispatch, body, async |hint| dispatch(&self.ctx, hint).await)
                    .await
            }
        }
    }

    async fn follow<M: Serialize + DeserializeOwned + Debug>(
        &self,
        queue: Queue,
        body: &str,
        work: impl AsyncFn(&M) -> Result<Outcome, Refusal>,
    ) -> Result<(), Refusal> {
        // A message that is not a hint will never be one: drop it rather than have it come back.
        let Ok(hint) = serde_json::from_str::<M>(body) else {
            tracing::warn!(?queue, "Dropped a message that is no hint");
            return Ok(());
        };
        if let Outcome::Again(delay_s) = work(&hint).await? {
            self.ctx.hint(queue, &hint, delay_s).await;
        }
        Ok(())
    }
}
