//! A job of a creator: what a node is to do with which payload, and what it costs in credits.

use framefair_domain::credits::Credits;
use framefair_domain::id::{JobId, ProviderId, UserId};
use framefair_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Dealt, JobRow, Task};
use crate::keys;
use crate::rows::compact;

pub type CreatorJob = JobRow<CreatorDeal>;

/// The row is the hold: while the job is open, `price` of the account is held for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatorDeal {
    #[serde(with = "compact")]
    pub user: UserId,
    /// 1 for the first job of the account, without gaps.
    pub number: u64,
    pub kind: String,
    /// As it was given.
    pub payload: String,
    /// Where the payload lies here, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<InputRow>,
    pub price: Credits,
    pub priority: Priority,
    /// Only nodes that name a GPU may have it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gpu: bool,
    /// Who has it, or had it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<ProviderId>,
    /// When it was queued last, and when a node last got it.
    pub queued: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispatched: Option<Timestamp>,
    pub updated: Timestamp,
    /// Why each attempt failed, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    /// What the node names as its result, until it is looked at; then where the result is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_ref: Option<String>,
}

/// A payload that came in here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputRow {
    pub object: String,
    /// The file's own, reduced to harmless characters.
    pub name: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    High,
    #[default]
    Normal,
    Low,
}

impl Dealt for CreatorDeal {
    fn listed(&self) -> Option<(String, String)> {
        Some(keys::job_of(self.user, self.number))
    }

    fn waits(&self, job: JobId, task: &Task) -> Option<(String, String)> {
        let since = task.not_before.map_or(self.queued, |at| at.max(self.queued));
        let place = keys::waiting_at(self.priority, since, job);
        Some((keys::waiting(&self.kind, self.gpu), place))
    }

    fn ended(&self, completed: bool) -> Option<(String, String)> {
        Some((keys::jobs_ended(self.user, completed), keys::job_place(self.number)))
    }
}
