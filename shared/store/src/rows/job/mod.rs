//! A job: what every face's jobs have in common, in one item under 1 KB with what was agreed about it.

mod creator;
mod market;

use framefair_domain::id::{JobId, ProviderId};
use framefair_domain::job::State;
use framefair_domain::time::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use creator::{CreatorDeal, CreatorJob, InputRow, Priority};
pub use market::{Delivered, MarketDeal, MarketJob, OutputFormat, Payment, SceneRow, Settings};

use super::compact;
use crate::{Entity, Indexes, Key, keys};

/// A job under some deal: of one face where that is known, else of any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRow<D = Deal> {
    #[serde(with = "compact")]
    pub id: JobId,
    /// Rises with every write; a write is conditional on the one that was read.
    pub rev: u64,
    pub state: State,
    pub created: Timestamp,
    pub task: Task,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Delivered>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When the sweeper looks at it next; none once nothing is left to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    #[serde(flatten)]
    pub deal: D,
}

/// What is to be done, for whom and for what: a face's own part of its jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Deal {
    Creator(Box<CreatorDeal>),
    Market(Box<MarketDeal>),
}

/// A job whose face is known.
#[expect(clippy::large_enum_variant, reason = "it is matched where it is made")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnyJob {
    Creator(CreatorJob),
    Market(MarketJob),
}

/// What a deal must say of itself to be stored.
pub trait Dealt: Serialize + DeserializeOwned + Send {
    /// Where its owner lists the job.
    fn listed(&self) -> Option<(String, String)>;
    /// Where the job stands among those that no node has, where somebody asks for them.
    fn waits(&self, _job: JobId, _task: &Task) -> Option<(String, String)> {
        None
    }
    /// Where a job that has ended so is listed, where somebody asks for those alone.
    fn ended(&self, _completed: bool) -> Option<(String, String)> {
        None
    }
    /// Whatever was noted for the time until the next write is gone with that.
    fn written(&mut self) {}
}

impl Dealt for Deal {
    fn listed(&self) -> Option<(String, String)> {
        match self {
            Deal::Creator(deal) => deal.listed(),
            Deal::Market(deal) => deal.listed(),
        }
    }

    fn waits(&self, job: JobId, task: &Task) -> Option<(String, String)> {
        match self {
            Deal::Creator(deal) => deal.waits(job, task),
            Deal::Market(deal) => deal.waits(job, task),
        }
    }

    fn ended(&self, completed: bool) -> Option<(String, String)> {
        match self {
            Deal::Creator(deal) => deal.ended(completed),
            Deal::Market(deal) => deal.ended(completed),
        }
    }

    fn written(&mut self) {
        match self {
            Deal::Creator(deal) => deal.written(),
            Deal::Market(deal) => deal.written(),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Rises with every lease, for any reason.
    pub epoch: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    /// Failed attempts so far; the retry budget.
    pub failures: u32,
    /// How often a node gave it back unbegun.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub declines: u32,
    /// Who failed it, oldest first; the next attempt goes to somebody else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed_by: Vec<ProviderId>,
    /// Who said that the scene itself is at fault, while another one is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blamed_by: Option<ProviderId>,
    /// Not before this instant, after a failed attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    #[serde(with = "compact")]
    pub node: ProviderId,
    pub since: Timestamp,
    /// The hard cap; a lease of a connected node lives by its connection until then.
    pub until: Timestamp,
    /// The task goes to the provider's endpoint and not over its socket.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pushed: bool,
    /// A result was handed in over HTTP, which nobody repeats, and took this long to render.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handed_in_ms: Option<u64>,
}

impl<D> JobRow<D> {
    pub fn has_tried(&self, node: ProviderId) -> bool {
        self.task.failed_by.contains(&node)
    }

    fn split(self) -> (JobRow<()>, D) {
        let JobRow { id, rev, state, created, task, started, ended, result, error, due, deal } =
            self;
        let job =
            JobRow { id, rev, state, created, task, started, ended, result, error, due, deal: () };
        (job, deal)
    }
}

impl JobRow<()> {
    fn under<D>(self, deal: D) -> JobRow<D> {
        let JobRow { id, rev, state, created, task, started, ended, result, error, due, .. } = self;
        JobRow { id, rev, state, created, task, started, ended, result, error, due, deal }
    }
}

impl JobRow {
    pub fn which(self) -> AnyJob {
        match self.split() {
            (job, Deal::Creator(deal)) => AnyJob::Creator(job.under(*deal)),
            (job, Deal::Market(deal)) => AnyJob::Market(job.under(*deal)),
        }
    }

    /// The job, if it is the market's.
    pub fn market(self) -> Option<MarketJob> {
        match self.which() {
            AnyJob::Market(job) => Some(job),
            AnyJob::Creator(_) => None,
        }
    }

    /// The job, if it is a creator's.
    pub fn creator(self) -> Option<CreatorJob> {
        match self.which() {
            AnyJob::Creator(job) => Some(job),
            AnyJob::Market(_) => None,
        }
    }
}

impl From<MarketJob> for JobRow {
    fn from(job: MarketJob) -> JobRow {
        let (job, deal) = job.split();
        job.under(Deal::Market(Box::new(deal)))
    }
}

impl From<CreatorJob> for JobRow {
    fn from(job: CreatorJob) -> JobRow {
        let (job, deal) = job.split();
        job.under(Deal::Creator(Box::new(deal)))
    }
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl<D: Dealt> Entity for JobRow<D> {
    fn key(&self) -> Key {
        keys::job(self.id)
    }

    fn indexes(&self) -> Indexes {
        let due = self.due.map(|at| keys::due(self.id, at));
        let state = match self.state {
            State::Queued => self.deal.waits(self.id, &self.task),
            ended if ended.is_final() => self.deal.ended(ended == State::Completed),
            _ => None,
        };
        Indexes { due, owner: self.deal.listed(), state }
    }
}

/// How far the current attempt has come. Written at most every few seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgressRow {
    pub job: JobId,
    pub epoch: u32,
    pub frames_done: u32,
    pub frames_total: u32,
    pub frame: i32,
    pub sample: u32,
    pub samples: u32,
    pub started: Timestamp,
    pub at: Timestamp,
}

impl Entity for ProgressRow {
    fn key(&self) -> Key {
        keys::progress(self.job)
    }
}
