//! A node works on a job and hands in what came of it. Nothing it names is believed but the place that it was
//! given.

use framefair_domain::fleet::RESULT_TEXT_BYTES_MAX;
use framefair_domain::id::JobId;
use framefair_domain::job::{Event, State};
use framefair_store::rows::{CreatorJob, Delivered, JobRow};
use framefair_store::{Queue, keys};

use super::vacancy::over;
use super::{TRIES, charge};
use crate::credits::post_with;
use crate::delivery::{AttemptEnd, Session, booking, end_attempt, held_by};
use crate::write::{Done, replace, step};
use crate::{Call, Ctx, Hint, Refusal, Report};

/// The last piece of a result's name.
pub(super) const RESULT_NAME: &str = "result";
/// The largest result that is kept.
const RESULT_BYTES_MAX: u64 = 1 << 30;
const REFUSED: &str = "result reference refused";
const TOO_LARGE: &str = "the result is larger than 1 GiB";
const TOO_LONG: &str =
    "the result is longer than 64 KiB of text: it goes to the frame's upload_url";

/// What a node says that a job came to.
#[derive(Clone, Copy, Debug)]
pub enum Delivery<'a> {
    /// Nothing is to be kept.
    Nothing,
    /// Where it put the result, as it says.
    At(&'a str),
    /// The result itself, or again a reference.
    Said(&'a str),
}

async fn leased(ctx: &Ctx, session: Session, id: JobId, epoch: u32) -> Result<CreatorJob, Refusal> {
    held_by(ctx, session, id, epoch).await?.creator().ok_or(Refusal::StaleLease)
}

/// The node has begun. Said again it changes nothing.
pub async fn started(
    ctx: &Ctx,
    call: &Call,
    session: Session,
    id: JobId,
    epoch: u32,
) -> Result<(), Refusal> {
    for _ in 0..TRIES {
        let mut job = leased(ctx, session, id, epoch).await?;
        if job.state != State::Dispatched {
            return Ok(());
        }
        step(&mut job, Event::Started, call.now).map_err(|_| Refusal::StaleLease)?;
        job.started.get_or_insert(call.now);
        job.deal.updated = call.now;
        if ctx.save(&mut job).await?.is_ok() {
            return Ok(());
        }
    }
    Err(Refusal::Busy)
}

/// The node says that it is done. Nobody need say it twice: the job itself remembers that its result waits
/// for a verdict.
pub async fn deliver(
    ctx: &Ctx,
    call: &Call,
    session: Session,
    id: JobId,
    epoch: u32,
    delivery: Delivery<'_>,
) -> Result<(), Refusal> {
    let mut job = leased(ctx, session, id, epoch).await?;
    if job.state == State::Verifying {
        return Ok(());
    }
    let staged = keys::object::staged_result(id, epoch);
    let issued = ctx.store.objects().reference(&staged);
    let names_result = !matches!(delivery, Delivery::Nothing);
    match delivery {
        Delivery::Nothing => {}
        Delivery::At(reference) | Delivery::Said(reference) if reference == issued => {}
        Delivery::Said(text) if !is_reference(text) && text.len() <= RESULT_TEXT_BYTES_MAX => {
            let objects = ctx.store.objects();
            objects.put(&staged, text.to_owned().into(), content_type(text), false).await?;
        }
        refused => {
            let why = match refused {
                Delivery::Said(text) if !is_reference(text) => TOO_LONG,
                _ => REFUSED,
            };
            end_attempt(ctx, call, job.into(), AttemptEnd::Failed, why.into()).await?;
            return Ok(());
        }
    }
    for _ in 0..TRIES {
        let Some(lease) = job.task.lease.as_mut() else { return Err(Refusal::StaleLease) };
        let took_ms = u64::try_from(call.now.since_ms(lease.since)).unwrap_or(0);
        lease.handed_in_ms = Some(took_ms);
        step(&mut job, Event::Reported, call.now).map_err(|_| Refusal::StaleLease)?;
        job.deal.updated = call.now;
        job.deal.result_ref = names_result.then(|| issued.clone());
        if ctx.save(&mut job).await?.is_ok() {
            let report = Report { epoch, render_ms: took_ms };
            ctx.hint(Queue::Verify, &Hint::reported(id, report), 0).await;
            return Ok(());
        }
        job = leased(ctx, session, id, epoch).await?;
        if job.state == State::Verifying {
            return Ok(());
        }
    }
    Err(Refusal::Busy)
}

/// Whether this names a place rather than being the result.
fn is_reference(text: &str) -> bool {
    ["s3://", "https://", "http://", "ipfs://"].iter().any(|scheme| text.starts_with(scheme))
}

fn content_type(text: &str) -> &'static str {
    match serde_json::from_str::<serde::de::IgnoredAny>(text) {
        Ok(_) => "application/json",
        Err(_) => "text/plain; charset=utf-8",
    }
}

/// What a browser may be told of a file that a stranger sent: nothing that it would run.
fn harmless(said: Option<&str>) -> &'static str {
    const KNOWN: [&str; 9] = [
        "application/json",
        "text/plain; charset=utf-8",
        "image/png",
        "image/jpeg",
        "image/x-exr",
        "application/zip",
        "video/mp4",
        "model/gltf-binary",
        "text/csv",
    ];
    let said = said.unwrap_or_default();
    KNOWN.into_iter().find(|known| *known == said).unwrap_or("application/octet-stream")
}

/// Looks at what was handed in under this lease. What passes is copied to where no node can write, and with
/// the same write the job is complete and charged.
pub async fn verify(
    ctx: &Ctx,
    call: &mut Call,
    job: CreatorJob,
    report: Report,
) -> Result<(), Refusal> {
    let id = job.id;
    let is_current = |job: &CreatorJob| job.task.epoch == report.epoch && job.state.is_leased();
    let staged = keys::object::staged_result(id, report.epoch);
    let objects = ctx.store.objects();
    let found = objects.head(&staged).await?;
    let wrong = match &found {
        Some(head) if head.size > RESULT_BYTES_MAX => Some(TOO_LARGE),
        None if job.deal.result_ref.is_some() => Some("the result was never uploaded"),
        _ => None,
    };
    if let Some(why) = wrong {
        end_attempt(ctx, call, job.into(), AttemptEnd::Rejected, why.into()).await?;
        return Ok(());
    }
    let mut kept = None;
    if let Some(head) = found {
        let place = keys::object::result(id, report.epoch, RESULT_NAME);
        let kind = harmless(head.content_type.as_deref());
        objects.copy(&staged, &place, kind, false).await?;
        // The node can still write what was copied: what counts is what is here now.
        let bytes = objects.head(&place).await?.map_or(0, |kept| kept.size);
        if bytes > RESULT_BYTES_MAX {
            objects.delete(&place).await?;
            let (end, why) = (AttemptEnd::Rejected, TOO_LARGE.to_owned());
            end_attempt(ctx, call, job.into(), end, why).await?;
            return Ok(());
        }
        let result = Delivered { bytes, render_ms: report.render_ms, pixels: None };
        kept = Some((result, objects.reference(&place)));
    }
    let mut current = Some(job);
    for _ in 0..TRIES {
        let Some(mut job) = current.take().filter(is_current) else { return Ok(()) };
        let Some(lease) = job.task.lease else { return Ok(()) };
        if job.state != State::Verifying {
            step(&mut job, Event::Reported, call.now).map_err(|_| Refusal::StaleLease)?;
        }
        let effects = step(&mut job, Event::Accepted, call.now).map_err(|_| Refusal::StaleLease)?;
        let took_ms = i64::try_from(report.render_ms).unwrap_or(0);
        job.started.get_or_insert(call.now.plus_ms(-took_ms));
        job.error = None;
        job.due = None;
        job.deal.updated = call.now;
        if let Some((result, reference)) = &kept {
            job.result = Some(result.clone());
            job.deal.result_ref = Some(reference.clone());
        }
        let mut writes = vec![replace(&mut job), booking(lease.node, id, effects, None).into()];
        let completed = match charge::charge(&job) {
            Some(posting) => post_with(ctx, call, &posting, &writes).await?.is_some(),
            None => {
                writes.push(charge::completed(&job.deal));
                ctx.store.transact(writes).await.done()?
            }
        };
        if completed {
            tracing::info!(job = %id, node = %lease.node, "Completed a job");
            ctx.metrics.job_completed(&job.deal.kind);
            over(ctx, call, lease.node, &job).await;
            let _ = objects.delete(&staged).await;
            return Ok(());
        }
        current = ctx.job(id).await?.and_then(JobRow::creator);
    }
    Err(Refusal::Busy)
}
