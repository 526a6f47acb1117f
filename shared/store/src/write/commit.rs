//! Sending writes so that each happens once or the caller knows it did not. Knows which errors
//! leave the outcome open; knows nothing of what is written.

use std::pin::Pin;
use std::time::Duration;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};
use rand::Rng;
use tokio::time::Instant;

use super::leg::leg;
use super::{Action, Update, Write};
use crate::seam::over_again;
use crate::table::{Entity, Item, MARK, decode};
use crate::{Broken, Store};

const TRIES_MAX: u32 = 8;
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE_FIRST: Duration = Duration::from_millis(25);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// What one transaction may carry.
const LEGS_MAX: usize = 100;

/// Why a single write did not happen.
#[derive(Debug, thiserror::Error)]
pub enum WriteFailed {
    /// The item is not as the condition wants it.
    #[error("the condition did not hold")]
    Condition,
    #[error(transparent)]
    Broken(#[from] Broken),
}

/// Why a transaction did not happen. None of its legs did.
#[derive(Debug, thiserror::Error)]
pub enum TransactFailed {
    /// The positions of the legs whose conditions did not hold.
    #[error("the conditions of legs {0:?} did not hold")]
    Conditions(Vec<usize>),
    /// Others kept writing the same items: 503 with `Retry-After`.
    #[error("the items stayed contended")]
    Contended,
    #[error(transparent)]
    Broken(#[from] Broken),
}

/// Full jitter: eight tries or five seconds, whichever ends first.
pub(crate) struct Patience {
    since: Instant,
    tries: u32,
}

impl Patience {
    pub(crate) fn new() -> Self {
        Self { since: Instant::now(), tries: 1 }
    }

    /// The first try counts for whoever asked. Boxed: a request is large for a stack.
    async fn count<F: Future>(&self, sending: Pin<Box<F>>) -> F::Output {
        if self.tries > 1 { over_again(sending).await } else { sending.await }
    }

    /// Waits before the next try; false when there shall be none.
    pub(crate) async fn pause(&mut self) -> bool {
        if self.tries >= TRIES_MAX || self.since.elapsed() >= PATIENCE {
            return false;
        }
        let top = (PAUSE_FIRST * 2_u32.saturating_pow(self.tries)).min(PAUSE_MAX);
        let wait = rand::rng().random_range(Duration::ZERO..=top);
        tokio::time::sleep(wait.min(PATIENCE.saturating_sub(self.since.elapsed()))).await;
        self.tries += 1;
        true
    }
}

/// What an error says about the write behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Not applied: the condition did not hold.
    Condition,
    /// Not applied, try again.
    Throttled,
    Conflict,
    /// Applied or not: nobody can tell from this.
    Unknown,
    /// Not applied, and trying again will not help.
    Refused,
}

pub(crate) fn outcome<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Outcome {
    match error {
        SdkError::ConstructionFailure(_) => Outcome::Refused,
        SdkError::DispatchFailure(failure) if failure.is_user() => Outcome::Refused,
        SdkError::ServiceError(service) => match service.err().code() {
            Some("ConditionalCheckFailedException") => Outcome::Condition,
            Some(
                "ProvisionedThroughputExceededException"
                | "ThrottlingException"
                | "RequestLimitExceeded",
            ) => Outcome::Throttled,
            Some("TransactionConflictException" | "TransactionInProgressException") => {
                Outcome::Conflict
            }
            _ if service.raw().status().is_server_error() => Outcome::Unknown,
            _ => Outcome::Refused,
        },
        _ => Outcome::Unknown,
    }
}

fn token() -> String {
    format!("{:032x}", rand::rng().random::<u128>())
}

/// What a single write shall answer.
#[derive(Clone, Default)]
struct Showing {
    /// The item as it is afterwards.
    after: Option<ReturnValue>,
    /// The item on which the condition did not hold.
    found: bool,
}

/// What a single write answered.
enum Sent {
    Done(Option<Item>),
    /// The item as it is, where it was asked for.
    Condition(Option<Item>),
    Failed(Outcome, Broken),
}

impl Store {
    pub async fn write(&self, write: impl Into<Write>) -> Result<(), WriteFailed> {
        let written = self.write_once(write.into(), Showing::default()).await?;
        written.map(drop).map_err(|_| WriteFailed::Condition)
    }

    /// The item that kept the write from happening, if one did. For puts and updates.
    pub async fn write_or_found<T: Entity>(
        &self,
        write: impl Into<Write>,
    ) -> Result<Result<(), Option<T>>, Broken> {
        let showing = Showing { after: None, found: true };
        match self.write_once(write.into(), showing).await {
            Ok(Ok(_)) => Ok(Ok(())),
            Ok(Err(found)) => Ok(Err(found.map(decode).transpose()?)),
            Err(broken) => Err(broken),
        }
    }

    /// The item as it is after the update, or as it is without, if it does not fulfil its condition.
    pub async fn update_or_found<T: Entity>(
        &self,
        update: Update,
    ) -> Result<Result<T, Option<T>>, Broken> {
        let showing = Showing { after: Some(ReturnValue::AllNew), found: true };
        match self.write_once(update.into(), showing).await? {
            Ok(item) => {
                let item = item.ok_or_else(|| Broken::new("UpdateItem", "no item came back"))?;
                Ok(Ok(decode(item)?))
            }
            Err(found) => Ok(Err(found.map(decode).transpose()?)),
        }
    }

    /// The item as it is after the update.
    pub async fn update_returning<T: Entity>(&self, update: Update) -> Result<T, WriteFailed> {
        self.update_or_found(update).await?.map_err(|_| WriteFailed::Condition)
    }

    /// Throttles and conflicts are retried. After an unknown outcome a write is repeated only
    /// where a second application would change nothing or be refused by its own condition; a
    /// refusal is then checked against the writer's mark.
    async fn write_once(
        &self,
        write: Write,
        showing: Showing,
    ) -> Result<Result<Option<Item>, Option<Item>>, Broken> {
        write.sound()?;
        let mark = AttributeValue::B(Blob::new(rand::rng().random::<[u8; 8]>().to_vec()));
        let needs_mark = !write.expression.conditions.is_empty() || !write.exact;
        let write = if needs_mark { write.marked(&mark) } else { write };
        let mut patience = Patience::new();
        let mut unknown = false;
        loop {
            let is_ours = |item: &Item| item.get(MARK) == Some(&mark);
            let shown = Showing { found: showing.found || unknown, ..showing.clone() };
            let broken = match patience.count(Box::pin(self.send(&write, shown))).await {
                Sent::Done(item) => return Ok(Ok(item)),
                Sent::Condition(item) => {
                    let ours = unknown && item.as_ref().is_some_and(is_ours);
                    return Ok(if ours { Ok(item) } else { Err(item) });
                }
                Sent::Failed(Outcome::Unknown, broken) if !write.exact => {
                    let stored = self.get_item(&write.key, true).await?;
                    let ours = stored.filter(is_ours);
                    return ours.map(|item| Ok(Some(item))).ok_or(broken);
                }
                Sent::Failed(Outcome::Refused | Outcome::Condition, broken) => {
                    return Err(broken);
                }
                Sent::Failed(kind, broken) => {
                    unknown |= kind == Outcome::Unknown;
                    broken
                }
            };
            if !patience.pause().await {
                return Err(broken);
            }
        }
    }

    async fn send(&self, write: &Write, showing: Showing) -> Sent {
        let expression = &write.expression;
        let on_failure = showing.found.then_some(ReturnValuesOnConditionCheckFailure::AllOld);
        let client = self.dynamodb_once();
        let capacity = self.seam().capacity();
        match &write.action {
            Action::Put(item) => {
                let answer = client
                    .put_item()
                    .table_name(self.table())
                    .set_item(Some(item.clone()))
                    .set_condition_expression(expression.condition())
                    .set_expression_attribute_names(expression.names())
                    .set_expression_attribute_values(expression.values())
                    .set_return_values_on_condition_check_failure(on_failure)
                    .set_return_consumed_capacity(capacity)
                    .send()
                    .await;
                sent("PutItem", answer.map(|_| None), |error| {
                    match error {
                    aws_sdk_dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException(failed) => failed.item.clone(),
                    _ => None,
                }
                })
            }
            Action::Delete => {
                let answer = client
                    .delete_item()
                    .table_name(self.table())
                    .set_key(Some(write.key.attributes()))
                    .set_condition_expression(expression.condition())
                    .set_expression_attribute_names(expression.names())
                    .set_expression_attribute_values(expression.values())
                    .set_return_consumed_capacity(capacity)
                    .send()
                    .await;
                sent("DeleteItem", answer.map(|_| None), |_| None)
            }
            Action::Update(clauses) => {
                let answer = client
                    .update_item()
                    .table_name(self.table())
                    .set_key(Some(write.key.attributes()))
                    .update_expression(clauses.text())
                    .set_condition_expression(expression.condition())
                    .set_expression_attribute_names(expression.names())
                    .set_expression_attribute_values(expression.values())
                    .set_return_values(showing.after)
                    .set_return_values_on_condition_check_failure(on_failure)
                    .set_return_consumed_capacity(capacity)
                    .send()
                    .await;
                sent("UpdateItem", answer.map(|done| done.attributes), |error| {
                    match error {
                    aws_sdk_dynamodb::operation::update_item::UpdateItemError::ConditionalCheckFailedException(failed) => failed.item.clone(),
                    _ => None,
                }
                })
            }
            Action::Check => match self.transact(vec![write.clone()]).await {
                Ok(()) => Sent::Done(None),
                Err(TransactFailed::Conditions(_)) => Sent::Condition(None),
                Err(TransactFailed::Contended) => {
                    Sent::Failed(Outcome::Refused, Broken::busy("TransactWriteItems", "contended"))
                }
                Err(TransactFailed::Broken(broken)) => Sent::Failed(Outcome::Refused, broken),
            },
        }
    }

    /// All or none, at most a hundred legs, each on an item of its own.
    ///
    /// One client token covers every try, so an attempt whose answer was lost is not applied twice.
    pub async fn transact(&self, writes: Vec<Write>) -> Result<(), TransactFailed> {
        const OP: &str = "TransactWriteItems";
        if writes.is_empty() {
            return Ok(());
        }
        if writes.len() > LEGS_MAX {
            return Err(Broken::new(OP, "more than 100 legs").into());
        }
        let legs: Vec<TransactWriteItem> =
            writes.into_iter().map(|write| leg(write, self.table())).collect::<Result<_, _>>()?;
        let token = token();
        let mut patience = Patience::new();
        loop {
            let sending = self
                .dynamodb_once()
                .transact_write_items()
                .set_transact_items(Some(legs.clone()))
                .client_request_token(&token)
                .set_return_consumed_capacity(self.seam().capacity())
                .send();
            let Err(error) = patience.count(Box::pin(sending)).await else {
                return Ok(());
            };
            let (kind, failed) = cancelled(&error);
            if !failed.is_empty() {
                return Err(TransactFailed::Conditions(failed));
            }
            if kind == Outcome::Refused {
                return Err(Broken::new(OP, error).into());
            }
            if !patience.pause().await {
                return Err(match kind {
                    Outcome::Conflict => TransactFailed::Contended,
                    Outcome::Throttled => Broken::busy(OP, error).into(),
                    _ => Broken::new(OP, error).into(),
                });
            }
        }
    }
}

fn sent<E>(
    op: &'static str,
    answer: Result<Option<Item>, SdkError<E, HttpResponse>>,
    stored: impl FnOnce(&E) -> Option<Item>,
) -> Sent
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match answer {
        Ok(item) => Sent::Done(item),
        Err(error) => match outcome(&error) {
            Outcome::Condition => Sent::Condition(error.as_service_error().and_then(stored)),
            kind @ (Outcome::Throttled | Outcome::Conflict) => {
                Sent::Failed(kind, Broken::busy(op, error))
            }
            kind => Sent::Failed(kind, Broken::new(op, error)),
        },
    }
}

/// The kind of failure, and the legs whose conditions did not hold.
fn cancelled(error: &SdkError<TransactWriteItemsError, HttpResponse>) -> (Outcome, Vec<usize>) {
    let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) =
        error.as_service_error()
    else {
        return (outcome(error), Vec::new());
    };
    let codes =
        || cancelled.cancellation_reasons().iter().map(|reason| reason.code().unwrap_or("None"));
    let failed: Vec<usize> = codes()
        .enumerate()
        .filter(|(_, code)| *code == "ConditionalCheckFailed")
        .map(|(leg, _)| leg)
        .collect();
    let kind = if codes().any(|code| code == "TransactionConflict") {
        Outcome::Conflict
    } else if codes()
        .any(|code| matches!(code, "ThrottlingError" | "ProvisionedThroughputExceeded"))
    {
        Outcome::Throttled
    } else {
        Outcome::Refused
    };
    (kind, failed)
}
