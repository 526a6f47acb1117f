//! A job, and its name in a path.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use framefair_app::Refusal;
use framefair_app::jobs::{CreatorJob, Word};
use framefair_domain::id::{JobId, ProviderId};
use serde::Serialize;

use super::Time;
use crate::face::Error;

/// Exactly the members of the contract.
#[derive(Debug, Serialize)]
pub(crate) struct Job {
    id: JobId,
    node_id: Option<ProviderId>,
    job_type: String,
    payload_ref: String,
    status: &'static str,
    result_ref: Option<String>,
    error_message: Option<String>,
    retry_count: u32,
    queued_at: Time,
    dispatched_at: Option<Time>,
    completed_at: Option<Time>,
    created_at: Time,
    updated_at: Time,
}

impl From<CreatorJob> for Job {
    fn from(job: CreatorJob) -> Job {
        let word = Word::of(&job);
        Job {
            id: job.id,
            node_id: job.deal.node,
            status: word.text(),
            result_ref: job.deal.result_ref.filter(|_| word == Word::Completed),
            error_message: job.error,
            // The last failure is followed by no retry.
            retry_count: job.task.failures.min(framefair_domain::job::RETRIES_MAX),
            queued_at: Time(job.deal.queued),
            dispatched_at: job.deal.dispatched.map(Time),
            completed_at: job.ended.map(Time),
            created_at: Time(job.created),
            updated_at: Time(job.deal.updated),
            job_type: job.deal.kind,
            payload_ref: job.deal.payload,
        }
    }
}

#[derive(Debug)]
pub(crate) struct PathJob(pub(crate) JobId);

impl<S: Send + Sync> FromRequestParts<S> for PathJob {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<PathJob, Error> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        let id = text.ok().and_then(|Path(text)| text.parse().ok());
        let bad = || Refusal::bad("path", "job_id", "Invalid job ID format");
        Ok(PathJob(id.ok_or_else(bad)?))
    }
}
