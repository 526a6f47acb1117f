//! Jobs as their account sees them. Jobs are numbered without gaps, so an offset is a key and a total is a
//! number; a list of one status alone walks.

use std::time::Duration;

use framefair_domain::id::{JobId, UserId};
use framefair_domain::job::State;
use framefair_store::rows::{CreatorJob, JobRow};
use framefair_store::{Index, Order, Range, keys};

use super::word;
use crate::{Ctx, Refusal, credits};

const LINK_SECONDS: u64 = 3_600;
/// A list of one status looks at so many of the newest jobs.
const WALKED_MAX: u64 = 2_000;
const WALKED_AT_ONCE: u64 = 100;
/// An index may be a moment behind what it is about.
const LOOKS: u32 = 4;
const LOOK_AGAIN: Duration = Duration::from_millis(60);

/// How the contract calls where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    Queued,
    Dispatched,
    Running,
    Completed,
    Failed,
}

impl Word {
    pub const ALL: [Word; 5] =
        [Word::Queued, Word::Dispatched, Word::Running, Word::Completed, Word::Failed];

    pub const fn text(self) -> &'static str {
        match self {
            Word::Queued => "QUEUED",
            Word::Dispatched => "DISPATCHED",
            Word::Running => "RUNNING",
            Word::Completed => "COMPLETED",
            Word::Failed => "FAILED",
        }
    }

    pub const fn of(job: &CreatorJob) -> Word {
        word(job.state)
    }

    /// In any case of its letters.
    pub fn parse(text: &str) -> Option<Word> {
        Word::ALL.into_iter().find(|word| word.text().eq_ignore_ascii_case(text))
    }
}

#[derive(Debug)]
pub struct Listed {
    /// The newest first.
    pub jobs: Vec<CreatorJob>,
    /// How many there are in all.
    pub total: u64,
}

/// The account's own job. Whatever is not is missing.
pub async fn job(ctx: &Ctx, user: UserId, id: JobId) -> Result<CreatorJob, Refusal> {
    own(ctx, user, id).await
}

pub(super) async fn own(ctx: &Ctx, user: UserId, id: JobId) -> Result<CreatorJob, Refusal> {
    let job = ctx.job(id).await?.and_then(JobRow::creator);
    job.filter(|job| job.deal.user == user).ok_or(Refusal::Missing("Job not found"))
}

/// At most `limit` jobs after the newest `offset`; of one status alone, among the newest two thousand.
pub async fn list(
    ctx: &Ctx,
    user: UserId,
    status: Option<Word>,
    offset: u64,
    limit: u64,
) -> Result<Listed, Refusal> {
    let total = credits::balance(ctx, user).await?.jobs;
    let Some(status) = status else {
        let newest = total.saturating_sub(offset);
        return Ok(Listed { jobs: numbered(ctx, user, newest, limit).await?, total });
    };
    let (mut jobs, mut matching, mut newest) = (Vec::new(), 0, total);
    let oldest = total.saturating_sub(WALKED_MAX);
    while newest > oldest {
        for job in numbered(ctx, user, newest, WALKED_AT_ONCE.min(newest - oldest)).await? {
            if Word::of(&job) != status {
                continue;
            }
            if matching >= offset && (jobs.len() as u64) < limit {
                jobs.push(job);
            }
            matching += 1;
        }
        newest = newest.saturating_sub(WALKED_AT_ONCE);
    }
    Ok(Listed { jobs, total: matching })
}

/// The job with the number `newest` and those before it, `limit` in all.
async fn numbered(
    ctx: &Ctx,
    user: UserId,
    newest: u64,
    limit: u64,
) -> Result<Vec<CreatorJob>, Refusal> {
    let oldest = newest.saturating_sub(limit) + 1;
    if newest == 0 || limit == 0 {
        return Ok(Vec::new());
    }
    let there = usize::try_from(newest - oldest + 1).unwrap_or(usize::MAX);
    let (partition, range) =
        (keys::jobs_of(user), Range::Between(keys::job_place(oldest), keys::job_place(newest)));
    let mut found = Vec::new();
    for _ in 0..LOOKS {
        let (range, order) = (range.clone(), Order::Descending);
        let page = ctx.store.index(Index::Owner, &partition, range, order, there, None).await?;
        found = page.keys();
        if found.len() >= there {
            break;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    let jobs = ctx.store.get_many::<JobRow>(&found).await?;
    Ok(jobs.into_iter().filter_map(JobRow::creator).collect())
}

#[derive(Debug)]
pub struct Download {
    pub url: String,
    /// For so many seconds.
    pub lasts_s: u64,
}

/// A link to what the job came to.
pub async fn result(ctx: &Ctx, user: UserId, id: JobId) -> Result<Download, Refusal> {
    let job = own(ctx, user, id).await?;
    if job.state != State::Completed {
        return Err(Refusal::Missing("Job result not available: job is not completed"));
    }
    if job.result.is_none() {
        return Err(Refusal::Missing("Job result not available: no result stored"));
    }
    let object = keys::object::result(id, job.task.epoch, super::deliver::RESULT_NAME);
    let url = ctx.store.objects().presign_get(&object, LINK_SECONDS, None, None).await?;
    Ok(Download { url, lasts_s: LINK_SECONDS })
}
