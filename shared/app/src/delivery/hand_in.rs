//! A provider that does not speak the node protocol hands in its result, or gives up, over HTTP.

use bytes::Bytes;
use framefair_domain::id::{JobId, ProviderId, UploadId};
use framefair_domain::job::{Event, State};
use framefair_domain::signing;
use framefair_store::rows::{MarketJob, ProviderRow, PushRow};
use framefair_store::seam::over_again;
use framefair_store::{PutFailed, Queue, TransactFailed, Write, WriteFailed, keys};
use sha2::{Digest, Sha256};

use super::push::raise_doubt;
use super::report::{end_attempt_once, end_of, shown};
use super::{held_lease, holds, pushed_lease};
use crate::provider::Signed;
use crate::uploads::{self, Pass, Taken, UploadKind};
use crate::write::{Done, replace, step};
use crate::{Call, Ctx, Hint, Refusal, Report};

const TRIES: usize = 8;

#[derive(Debug)]
pub struct HandIn {
    pub job: JobId,
    pub provider: ProviderId,
    /// Seconds, as the raw text that was signed.
    pub render_time: String,
    pub signed: Signed,
    pub result: Handed,
}

/// The result: sent with the request, or uploaded before.
#[derive(Debug)]
pub enum Handed {
    Inline(Bytes),
    Uploaded { id: UploadId, pass: Pass },
}

/// The same, found to be there.
enum Found {
    Inline(Bytes),
    Uploaded(Box<Taken>),
}

/// The longest name of bytes that stands beside a staged result.
const MARK_BYTES_MAX: u64 = 100;

/// Takes the file as the delivery of the provider's current lease. The same bytes again are fine,
/// other bytes are not.
///
/// Two round trips to the table: everything that is read, and everything that follows.
pub async fn hand_in(ctx: &Ctx, call: &Call, given: HandIn) -> Result<(), Refusal> {
    let render_ms = milliseconds(&given.render_time)?;
    let provider = keys::provider(given.provider);
    let (provider, job, file) = tokio::join!(
        ctx.store.get::<ProviderRow>(&provider),
        ctx.market_job(given.job),
        found(ctx, call, given.result)
    );
    let provider = provider?.ok_or(Refusal::NotFound)?;
    let text = signing::complete(given.job, &given.render_time);
    let nonce = given.signed.verify(ctx, call, &provider.wallet, text)?;
    let job = job?.ok_or(Refusal::NotFound)?;
    let file = match file {
        // Its first answer got lost: the file was taken, and is gone with that.
        Err(Refusal::NotFound) if job.deal.provider == given.provider => {
            return if was_staged(ctx, &job).await?.is_some() {
                Ok(())
            } else {
                Err(Refusal::NotFound)
            };
        }
        file => file?,
    };
    if !holds(&job, given.provider, job.task.epoch) {
        // The same, and by now it may be verified.
        let before = job.deal.provider == given.provider
            && was_staged(ctx, &job).await? == Some(file.name());
        return if before { Ok(()) } else { Err(Refusal::StaleLease) };
    }
    let again = stage(ctx, &job, &file).await?;
    match remember(ctx, call, given.provider, job, nonce, &file, render_ms).await {
        // The first call was dealt with while this one looked.
        Err(Refusal::StaleLease) if again => {}
        remembered => remembered?,
    }
    if let Found::Uploaded(taken) = &file {
        uploads::drop_file(ctx, &taken.upload).await;
    }
    Ok(())
}

/// Nobody hands in twice by himself, so the job itself remembers that its result waits for a verdict.
/// With the same write a nonce is used up, and the upload is nobody's any more.
async fn remember(
    ctx: &Ctx,
    call: &Call,
    provider: ProviderId,
    mut job: MarketJob,
    nonce: Option<Write>,
    file: &Found,
    render_ms: u64,
) -> Result<(), Refusal> {
    let (id, epoch) = (job.id, job.task.epoch);
    let fixed: Vec<Write> = nonce.iter().cloned().chain(file.leaving()).collect();
    let taking = async |job: &mut MarketJob| {
        let mut writes = fixed.clone();
        if job.state != State::Verifying {
            step(job, Event::Reported, call.now).map_err(|_| Refusal::StaleLease)?;
            let lease = job.task.lease.as_mut().ok_or(Refusal::StaleLease)?;
            lease.handed_in_ms = Some(render_ms);
            writes.push(replace(job));
        }
        match ctx.all(writes).await {
            Err(TransactFailed::Conditions(failed)) if nonce.is_some() && failed.contains(&0) => {
                Err(Refusal::Replayed)
            }
            other => other.done(),
        }
    };
    let mut taken = taking(&mut job).await?;
    let mut tries = TRIES;
    while !taken {
        tries -= 1;
        if tries == 0 {
            return Err(Refusal::Busy);
        }
        let again = async {
            let held = held_lease(ctx, provider, id, epoch).await?;
            job = held.market().ok_or(Refusal::StaleLease)?;
            taking(&mut job).await
        };
        taken = over_again(Box::pin(again)).await?;
    }
    let report = Report { epoch, render_ms };
    ctx.hint(Queue::Verify, &Hint::reported(id, report), 0).await;
    Ok(())
}

async fn found(ctx: &Ctx, call: &Call, result: Handed) -> Result<Found, Refusal> {
    match result {
        Handed::Inline(bytes) => Ok(Found::Inline(bytes)),
        Handed::Uploaded { id, pass } => {
            let taken = uploads::take(ctx, call, id, &pass, UploadKind::Result).await?;
            Ok(Found::Uploaded(Box::new(taken)))
        }
    }
}

impl Found {
    /// What makes an upload nobody's any more.
    fn leaving(&self) -> Vec<Write> {
        match self {
            Found::Inline(_) => Vec::new(),
            Found::Uploaded(taken) => uploads::leaving(&taken.upload),
        }
    }

    /// What tells these bytes from others.
    fn name(&self) -> String {
        match self {
            Found::Inline(bytes) => hex::encode(Sha256::digest(bytes)),
            Found::Uploaded(taken) => taken.sha256.clone().unwrap_or_else(|| taken.tree.clone()),
        }
    }
}

/// Puts the delivery where verification looks for it, once. The name of the bytes stands beside
/// them, so that a repeat can be told from a swap; says whether this is one. The name goes first: who
/// was cut off after it can hand in the same bytes again.
async fn stage(ctx: &Ctx, job: &MarketJob, file: &Found) -> Result<bool, Refusal> {
    let (key, kind) = staged(job);
    let objects = ctx.store.objects();
    let mark = keys::object::staged_mark(&key);
    match objects.put(&mark, file.name().into(), "text/plain", true).await {
        Err(PutFailed::Exists) if was_staged(ctx, job).await? != Some(file.name()) => {
            return Err(Refusal::invalid("another result was handed in for this job before"));
        }
        Ok(()) | Err(PutFailed::Exists) => {}
        Err(other) => return Err(other.into()),
    }
    let put = match file {
        Found::Inline(bytes) => objects.put(&key, bytes.clone(), kind, true).await,
        Found::Uploaded(taken) => {
            match objects.copy(&taken.upload.object(), &key, kind, true).await {
                // Its row says that it is complete a moment before it is.
                Ok(false) => return Err(Refusal::Busy),
                other => other.map(drop),
            }
        }
    };
    match put {
        Ok(()) => Ok(false),
        Err(PutFailed::Exists) => Ok(true),
        Err(other) => Err(other.into()),
    }
}

/// The name of the bytes that were handed in under the job's newest lease.
async fn was_staged(ctx: &Ctx, job: &MarketJob) -> Result<Option<String>, Refusal> {
    let mark = keys::object::staged_mark(&staged(job).0);
    let name = ctx.store.objects().get(&mark, MARK_BYTES_MAX).await?;
    Ok(name.map(|name| String::from_utf8_lossy(&name).into_owned()))
}

/// Where a delivery under the job's newest lease goes, and what it is.
fn staged(job: &MarketJob) -> (String, &'static str) {
    let epoch = job.task.epoch;
    match job.frames().as_slice() {
        [only] => (
            keys::object::staged_frame(job.id, epoch, *only),
            job.deal.settings.output.content_type(),
        ),
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
    let (provider, sent) = (keys::provider(id), keys::push(job));
    // Only a bare word is held against what was sent.
    let sent =
        async { if signed.is_some() { Ok(None) } else { ctx.store.get::<PushRow>(&sent).await } };
    let provider = ctx.store.get::<ProviderRow>(&provider);
    let (row, provider, sent) = tokio::join!(ctx.market_job(job), provider, sent);
    let (row, provider, sent) = (row?, provider?, sent?);
    let row = row.ok_or(Refusal::NotFound)?;
    let provider = provider.ok_or(Refusal::NotFound)?;
    let Some(signed) = signed else {
        tracing::info!(%job, provider = %id, "An unsigned failure was noted");
        let holds = pushed_lease(&row).is_some_and(|lease| lease.node == id);
        if holds && row.state != State::Verifying {
            raise_doubt(ctx, call, &row, sent, shown(error)).await?;
        }
        return Ok(());
    };
    let nonce = signed.verify(ctx, call, &provider.wallet, signing::failed(job, error))?;
    if !holds(&row, id, row.task.epoch) {
        return use_up(ctx, nonce).await;
    }
    let row = row.into();
    let end = end_of(ctx, &row, id, error).await?;
    match end_attempt_once(ctx, call, row, end, shown(error), nonce.clone()).await {
        // Taken from it a moment ago.
        Err(Refusal::StaleLease) => use_up(ctx, nonce).await,
        ended => ended.map(drop),
    }
}

async fn use_up(ctx: &Ctx, nonce: Option<Write>) -> Result<(), Refusal> {
    let Some(nonce) = nonce else { return Ok(()) };
    match ctx.store.write(nonce).await {
        Err(WriteFailed::Condition) => Err(Refusal::Replayed),
        other => Ok(other?),
    }
}

/// As programs write a number of their own: a few digits, and what is left of a binary fraction.
const SECONDS_CHARS_MAX: usize = 64;

/// Reads seconds such as `12.34` to whole milliseconds.
fn milliseconds(seconds: &str) -> Result<u64, Refusal> {
    let bad = || Refusal::invalid("renderTime: seconds as plain decimal digits, at most 86400");
    let (whole, decimals) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if seconds.len() > SECONDS_CHARS_MAX || !digits(whole) || !digits(decimals) {
        return Err(bad());
    }
    let part: String = decimals.chars().chain("000".chars()).take(3).collect();
    let whole: u64 = whole.parse().map_err(|_| bad())?;
    let part: u64 = part.parse().map_err(|_| bad())?;
    if whole > 86_400 { Err(bad()) } else { Ok(whole * 1_000 + part) }
}
