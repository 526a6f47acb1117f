//! A provider that does not speak the node protocol hands in its result, or gives up, over HTTP.

use std::path::Path;

use framefair_domain::id::{JobId, ProviderId};
use framefair_domain::job::{Event, State};
use framefair_domain::signing;
use framefair_store::rows::{JobRow, ProviderRow};
use framefair_store::{PutFailed, Queue, WriteFailed, keys};

use super::push::raise_doubt;
use super::report::shown;
use super::{Session, failed, held_lease, pushed_lease};
use crate::provider::Signed;
use crate::write::step;
use crate::{Call, Ctx, Hint, Refusal, Report};

const TRIES: usize = 8;

#[derive(Debug)]
pub struct HandIn {
    pub job: JobId,
    pub provider: ProviderId,
    /// Seconds, as the raw text that was signed.
    pub render_time: String,
    pub signed: Signed,
}

/// Takes the file as the delivery of the provider's current lease. The same bytes again are fine,
/// other bytes are not.
pub async fn hand_in(
    ctx: &Ctx,
    call: &Call,
    given: HandIn,
    file: &Path,
    sha256: &str,
) -> Result<(), Refusal> {
    let render_ms = milliseconds(&given.render_time)?;
    let provider = ctx.store.get::<ProviderRow>(&keys::provider(given.provider)).await?;
    let provider = provider.ok_or(Refusal::NotFound)?;
    let text = signing::complete(given.job, &given.render_time);
    let nonce = given.signed.verify(ctx, call, &provider.wallet, text)?;
    let job = ctx.store.get::<JobRow>(&keys::job(given.job)).await?.ok_or(Refusal::NotFound)?;
    let job = match held_lease(ctx, given.provider, job.id, job.task.epoch).await {
        // Its first answer got lost: it was taken, and by now it may be verified.
        Err(Refusal::StaleLease) if job.provider == given.provider => {
            let (key, _) = staged(&job);
            let mark = keys::object::staged_mark(&key, sha256);
            let before = ctx.store.objects().head(&mark).await?;
            return before.map(drop).ok_or(Refusal::StaleLease);
        }
        held => held?,
    };
    if let Some(nonce) = nonce {
        match ctx.store.write(nonce).await {
            Err(WriteFailed::Condition) => return Err(Refusal::Replayed),
            other => other?,
        }
    }
    let epoch = job.task.epoch;
    let (key, kind) = staged(&job);
    // The name of the bytes stands beside them, so that a repeat can be told from a swap.
    let mark = keys::object::staged_mark(&key, sha256);
    let objects = ctx.store.objects();
    let again = match objects.put_file(&key, file, kind, true).await {
        Ok(()) => {
            objects.put(&mark, Default::default(), kind, false).await?;
            false
        }
        Err(PutFailed::Exists) if objects.head(&mark).await?.is_some() => true,
        Err(PutFailed::Exists) => {
            return Err(Refusal::invalid("another result was handed in for this job before"));
        }
        Err(other) => return Err(other.into()),
    };
    match remember(ctx, call, given.provider, job.id, Report { epoch, render_ms }).await {
        // The first call was dealt with while this one looked.
        Err(Refusal::StaleLease) if again => Ok(()),
        remembered => remembered,
    }
}

/// Nobody hands in twice by himself, so the job itself remembers that its result waits for a verdict.
async fn remember(
    ctx: &Ctx,
    call: &Call,
    provider: ProviderId,
    id: JobId,
    report: Report,
) -> Result<(), Refusal> {
    for _ in 0..TRIES {
        let mut job = held_lease(ctx, provider, id, report.epoch).await?;
        if job.state != State::Verifying {
            step(&mut job, Event::Reported, call.now).map_err(|_| Refusal::StaleLease)?;
            let lease = job.task.lease.as_mut().ok_or(Refusal::StaleLease)?;
            lease.handed_in_ms = Some(report.render_ms);
            if ctx.save(&mut job).await?.is_err() {
                continue;
            }
        }
        ctx.hint(Queue::Verify, &Hint::reported(id, report), 0).await;
        return Ok(());
    }
    Err(Refusal::Busy)
}

/// Where a delivery under the job's newest lease goes, and what it is.
fn staged(job: &JobRow) -> (String, &'static str) {
    let epoch = job.task.epoch;
    match job.frames().as_slice() {
        [only] => {
            (keys::object::staged_frame(job.id, epoch, *only), job.settings.output.content_type())
        }
        _ => (keys::object::staged_zip(job.id, epoch), "application/zip"),
    }
}

/// A provider gives up. Only a signed word counts at once; a bare one is anybody's, and counts once
/// the provider's own endpoint bears it out.
pub async fn hand_back(
    ctx: &Ctx,
    call: &Call,
    job: JobId,
    id: ProviderId,
    error: &str,
    signed: Option<Signed>,
) -> Result<(), Refusal> {
    let row = ctx.store.get::<JobRow>(&keys::job(job)).await?.ok_or(Refusal::NotFound)?;
    let provider = ctx.store.get::<ProviderRow>(&keys::provider(id)).await?;
    let provider = provider.ok_or(Refusal::NotFound)?;
    let Some(signed) = signed else {
        tracing::info!(%job, provider = %id, "An unsigned failure was noted");
        let holds = pushed_lease(&row).is_some_and(|lease| lease.node == id);
        if holds && row.state != State::Verifying {
            raise_doubt(ctx, call, &row, shown(error)).await?;
        }
        return Ok(());
    };
    let nonce = signed.verify(ctx, call, &provider.wallet, signing::failed(job, error))?;
    if let Some(nonce) = nonce {
        match ctx.store.write(nonce).await {
            Err(WriteFailed::Condition) => return Err(Refusal::Replayed),
            other => other?,
        }
    }
    let session = Session { node: id, fence: 0 };
    match failed(ctx, call, session, job, row.task.epoch, false, error).await {
        Ok(_) | Err(Refusal::StaleLease) => Ok(()),
        Err(refusal) => Err(refusal),
    }
}

/// Reads seconds such as `12.34` to whole milliseconds.
fn milliseconds(seconds: &str) -> Result<u64, Refusal> {
    let bad = || Refusal::invalid("renderTime: seconds as plain decimal digits, at most 86400");
    let (whole, decimals) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if seconds.len() > 20 || !digits(whole) || !digits(decimals) {
        return Err(bad());
    }
    let part: String = decimals.chars().chain("000".chars()).take(3).collect();
    let whole: u64 = whole.parse().map_err(|_| bad())?;
    let part: u64 = part.parse().map_err(|_| bad())?;
    if whole > 86_400 { Err(bad()) } else { Ok(whole * 1_000 + part) }
}
