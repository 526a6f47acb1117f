//! `GET /api/v1/jobs`: the account's jobs, newest first.

use axum::Json;
use axum::extract::State;
use framefair_app::Refusal;
use framefair_app::jobs::{self, Word};
use framefair_http::{Api, CheckedQuery, User};
use garde::Validate;
use serde::{Deserialize, Serialize};

use crate::Creator;
use crate::face::Error;
use crate::shapes::Job;

const LIMIT: u64 = 50;

#[derive(Debug, Deserialize, Validate)]
pub(crate) struct Slice {
    #[garde(skip)]
    status: Option<String>,
    #[garde(inner(range(min = 1, max = 100)))]
    limit: Option<u64>,
    #[garde(skip)]
    offset: Option<u64>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    jobs: Vec<Job>,
    count: u64,
}

#[utoipa::path(get, path = "/api/v1/jobs", operation_id = "jobList", tag = "Jobs",
    params(("status" = Option<String>, Query), ("limit" = Option<u64>, Query), ("offset" = Option<u64>, Query)),
    responses((status = 200, description = "own jobs"), (status = 401, description = "not authenticated"),
        (status = 422, description = "bad filter")))]
pub(crate) async fn job_list(
    State(api): State<Api>,
    User(person, _): User<Creator>,
    CheckedQuery(slice, _): CheckedQuery<Creator, Slice>,
) -> Result<Json<Answer>, Error> {
    let status = slice.status.as_deref().map(word).transpose()?;
    let (offset, limit) = (slice.offset.unwrap_or(0), slice.limit.unwrap_or(LIMIT));
    let found = jobs::list(&api.ctx, person.id, status, offset, limit).await?;
    Ok(Json(Answer { jobs: found.jobs.into_iter().map(Job::from).collect(), count: found.total }))
}

fn word(text: &str) -> Result<Word, Refusal> {
    let known = Word::ALL.map(|word| format!("'{}'", word.text())).join(", ");
    let shown: String = text.chars().take(40).collect();
    let bad = || format!("Invalid status: {shown}. Valid values: [{known}]");
    Word::parse(text).ok_or_else(|| Refusal::bad("query", "status", bad()))
}
