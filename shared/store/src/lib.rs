//! DynamoDB, S3 and SQS through the AWS SDK. Knows keys, conditions, retries and what they cost;
//! knows nothing of HTTP routes, chains, or what a row means to the market.
//!
//! This is the one storage implementation: tests and the one-machine mode point the same SDK
//! calls at an emulator on loopback. No other crate of the service sees an `aws-sdk-*` type.

mod config;
mod container;
pub mod keys;
pub mod objects;
pub mod queues;
pub mod rows;
pub mod seam;
mod secrets;
pub mod setup;
mod table;
mod tls;
mod write;

use std::sync::Arc;

pub use config::{Config, ConfigInvalid, Endpoints};
pub use objects::{Head, Objects, Presigned, PutFailed, PutTerms};
pub use queues::{Message, Queue, Queues};
pub use seam::Seam;
pub use table::{Cursor, Entity, Entry, Index, Indexes, Key, Order, Page, Range, RawItem};
pub use write::{Check, Path, TransactFailed, Update, When, Write, WriteFailed};

/// A failure that no caller can be blamed for: the one source of a 500 from storage.
///
/// `Display` names the operation alone, so that an SDK's words cannot reach a caller by accident;
/// [`Broken::detail`] is for the log.
#[derive(Debug, thiserror::Error)]
#[error("storage operation {op} failed")]
pub struct Broken {
    op: &'static str,
    busy: bool,
    #[source]
    cause: Box<dyn std::error::Error + Send + Sync>,
}

impl Broken {
    pub(crate) fn new(
        op: &'static str,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { op, busy: false, cause: cause.into() }
    }

    pub(crate) fn busy(
        op: &'static str,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { busy: true, ..Self::new(op, cause) }
    }

    /// The operation, as the protocol spells it: `PutItem`, `SendMessage`.
    pub fn op(&self) -> &'static str {
        self.op
    }

    /// Whether trying again soon is likely to help (throttled or contended): a 503 with
    /// `Retry-After` rather than a 500.
    pub fn is_busy(&self) -> bool {
        self.busy
    }

    /// The whole chain of causes in one line, for the log only.
    pub fn detail(&self) -> String {
        let mut text = self.op.to_owned();
        let mut next: Option<&(dyn std::error::Error + 'static)> = Some(self.cause.as_ref());
        while let Some(cause) = next {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            next = cause.source();
        }
        text
    }
}

/// The table, the objects and the queues of one deployment. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    dynamodb: aws_sdk_dynamodb::Client,
    /// The same table with the SDK's own retries off: a write whose outcome is unknown must not be
    /// repeated by anyone who does not know what it was.
    dynamodb_once: aws_sdk_dynamodb::Client,
    objects: Objects,
    queues: Queues,
    seam: Seam,
}

impl Store {
    /// Builds the clients; nothing is sent yet. `seam` is [`Seam::off`] in production.
    pub fn open(config: Config, seam: Seam) -> Result<Self, ConfigInvalid> {
        let clients = config.clients(&seam)?;
        seam.observe_with(clients.observer, &config.table);
        let objects = Objects::new(clients.s3, clients.s3_presign, config.bucket.clone());
        let queues = Queues::new(clients.sqs, config.queue_url_prefix.clone());
        Ok(Self {
            inner: Arc::new(Inner {
                dynamodb: clients.dynamodb,
                dynamodb_once: clients.dynamodb_once,
                objects,
                queues,
                seam,
                config,
            }),
        })
    }

    /// From the environment alone: see [`Config::from_env`].
    pub fn from_env() -> Result<Self, ConfigInvalid> {
        Self::open(Config::from_env()?, Seam::off())
    }

    pub fn objects(&self) -> &Objects {
        &self.inner.objects
    }

    pub fn queues(&self) -> &Queues {
        &self.inner.queues
    }

    pub fn seam(&self) -> &Seam {
        &self.inner.seam
    }

    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    pub(crate) fn dynamodb(&self) -> &aws_sdk_dynamodb::Client {
        &self.inner.dynamodb
    }

    pub(crate) fn dynamodb_once(&self) -> &aws_sdk_dynamodb::Client {
        &self.inner.dynamodb_once
    }

    pub(crate) fn table(&self) -> &str {
        &self.inner.config.table
    }
}
