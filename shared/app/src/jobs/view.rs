//! Jobs as their account sees them. Jobs are numbered without gaps, so an offset is a key and a total is a
//! number. Those that have ended are listed by their end, too, and counted; those that are open are few and
//! new, and looked for among the newest.

use std::time::Duration;

use framefair_domain::id::{JobId, UserId};
use framefair_domain::job::State;
use framefair_store::rows::{BalanceRow, CreatorJob, JobRow};
use framefair_store::{Index, Key, Order, Range, keys};

use super::word;
use crate::{Ctx, Refusal, credits};

const LINK_SECONDS: u64 = 3_600;
/// Open jobs are looked for among so many of the newest.
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

/// At most `limit` jobs after the newest `offset`, of one status or of all.
pub async fn list(
    ctx: &Ctx,
    user: UserId,
    status: Option<Word>,
    offset: u64,
    limit: u64,
) -> Result<Listed, Refusal> {
    let BalanceRow { jobs: all, completed, failed, .. } = credits::balance(ctx, user).await?;
    Ok(match status {
        None => {
            let newest = all.saturating_sub(offset);
            Listed { jobs: numbered(ctx, user, newest, limit).await?, total: all }
        }
        Some(Word::Completed) => {
            ended(ctx, &keys::jobs_ended(user, true), completed, offset, limit).await?
        }
        Some(Word::Failed) => {
            ended(ctx, &keys::jobs_ended(user, false), failed, offset, limit).await?
        }
        Some(status) => {
            let open = all.saturating_sub(completed + failed);
            let open = newest_open(ctx, user, all, open).await?.into_iter();
            let found: Vec<_> = open.filter(|job| Word::of(job) == status).collect();
            let total = found.len() as u64;
            let page = found.into_iter().skip(places(offset)).take(places(limit));
            Listed { jobs: page.collect(), total }
        }
    })
}

/// Those that came to one end, of which there are `total`.
async fn ended(
    ctx: &Ctx,
    partition: &str,
    total: u64,
    offset: u64,
    limit: u64,
) -> Result<Listed, Refusal> {
    let there = total.saturating_sub(offset).min(limit);
    let (skip, there) = (places(offset.min(total)), places(there));
    let found = keys_in(ctx, Index::State, partition, Range::All, skip, there).await?;
    Ok(Listed { jobs: read(ctx, &found).await?, total })
}

/// The `open` ones of `all` jobs, as far as they are among the newest.
async fn newest_open(
    ctx: &Ctx,
    user: UserId,
    all: u64,
    open: u64,
) -> Result<Vec<CreatorJob>, Refusal> {
    let (mut found, mut newest) = (Vec::new(), all);
    let oldest = all.saturating_sub(WALKED_MAX);
    while newest > oldest && (found.len() as u64) < open {
        let page = numbered(ctx, user, newest, WALKED_AT_ONCE.min(newest - oldest)).await?;
        found.extend(page.into_iter().filter(|job| !job.state.is_final()));
        newest = newest.saturating_sub(WALKED_AT_ONCE);
    }
    Ok(found)
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
    let range = Range::Between(keys::job_place(oldest), keys::job_place(newest));
    let there = places(newest - oldest + 1);
    let found = keys_in(ctx, Index::Owner, &keys::jobs_of(user), range, 0, there).await?;
    read(ctx, &found).await
}

/// The keys of `there` items after the last `skip` in a part of an index that holds at least as many.
async fn keys_in(
    ctx: &Ctx,
    index: Index,
    partition: &str,
    range: Range,
    skip: usize,
    there: usize,
) -> Result<Vec<Key>, Refusal> {
    let mut found = Vec::new();
    let wanted = if there == 0 { 0 } else { skip.saturating_add(there) };
    for _ in 0..LOOKS {
        let mut next = None;
        found.clear();
        while found.len() < wanted {
            let (range, left) = (range.clone(), wanted - found.len());
            let page =
                ctx.store.index(index, partition, range, Order::Descending, left, next).await?;
            found.extend(page.entries.into_iter().map(|entry| entry.key));
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        if found.len() >= wanted {
            break;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Ok(found.into_iter().skip(skip).collect())
}

async fn read(ctx: &Ctx, keys: &[Key]) -> Result<Vec<CreatorJob>, Refusal> {
    let jobs = ctx.store.get_many::<JobRow>(keys).await?;
    Ok(jobs.into_iter().filter_map(JobRow::creator).collect())
}

fn places(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
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
