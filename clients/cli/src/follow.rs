//! Follows a job to its end, showing how it goes, and brings its frames here. Survives a hub that
//! restarts; pays nothing.

use std::path::Path;
use std::time::Duration;

use framefair_domain::id::JobId;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::exit::{Exit, Failure, plain};
use crate::hub::said::{Job, JobStatus};
use crate::hub::{Hub, HubError, signature_text};
use crate::record::{Record, Records, Stage};
use crate::result::{Target, bring};
use crate::screen::Screen;

/// The contract allows 120 questions a minute.
const FAST: Duration = Duration::from_secs(1);
const SLOW: Duration = Duration::from_secs(2);
/// Short jobs are looked at often; nobody sits before a long one for a second's sake.
const FAST_FOR: Duration = Duration::from_secs(120);
/// With many jobs at once, what each leaves for the others.
const SHARE: Duration = Duration::from_millis(600);
/// A hub that answers in this time was not away, as far as anyone noticed.
const UNNOTICED: Duration = Duration::from_secs(5);

/// How to follow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// How long the hub may be silent.
    pub(crate) patience: Duration,
    /// Jobs that are followed at the same time, this one included.
    pub(crate) together: u32,
}

impl Pace {
    fn pause(self, since: Duration) -> Duration {
        let alone = if since < FAST_FOR { FAST } else { SLOW };
        alone.max(SHARE * self.together)
    }
}

/// Waits for a job that is written down here and downloads its frames to `out`.
pub(crate) async fn home(
    hub: &Hub,
    records: &Records,
    mut record: Record,
    out: &Path,
    pace: Pace,
    screen: &Screen,
) -> Result<(Record, Job), Failure> {
    let token = record.token_for(hub).map(str::to_owned);
    let token = token.as_deref();
    let job = match until_done(hub, record.job, token, record.frames.count(), pace, screen).await {
        Ok(job) => job,
        Err(failure) => {
            if matches!(failure.exit, Exit::JobFailed | Exit::Payment) {
                record.stage = Stage::Over;
                // Why the job ended matters more than that it could not be written down.
                drop(records.save(&record));
            }
            return Err(failure);
        }
    };
    if !record.is_here() {
        let target = Target {
            out: out.to_owned(),
            scratch: records.folder().to_owned(),
            name: record.name.clone(),
            frames: record.frames,
            picture: record.settings.output_format,
        };
        record.files = bring(hub, record.job, token, target, pace.patience, screen).await?;
        record.stage = Stage::Done;
        records.save(&record)?;
    }
    Ok((record, job))
}

/// What a program is told of a job whose frames are here.
pub(crate) fn document(record: &Record, job: &Job) -> Value {
    json!({
        "ok": true,
        "job": record.job,
        "status": job.status.word(),
        "files": record.files_text(),
        "price": record.lamports.to_sol(),
        "lamports": record.lamports.0.to_string(),
        "paymentTx": record.payment.and_then(|attempt| attempt.signature),
        "provider": job.provider_id,
        "renderTime": job.render_time,
    })
}

/// The completed job, or why there is none. `frames` is 0 where it is not known.
pub(crate) async fn until_done(
    hub: &Hub,
    id: JobId,
    token: Option<&str>,
    frames: u64,
    pace: Pace,
    screen: &Screen,
) -> Result<Job, Failure> {
    let begun = Instant::now();
    let mut heard = begun;
    let mut away = false;
    let mut bars = screen.frames(id, frames);
    loop {
        let mut pause = pace.pause(begun.elapsed());
        match hub.job(id, token).await {
            Ok((job, _)) => {
                heard = Instant::now();
                if std::mem::take(&mut away) {
                    screen.note("The hub is back.");
                }
                bars.show(&job);
                match job.status {
                    JobStatus::Completed if job.payment_status == "failed" => {
                        return Err(reverted(id));
                    }
                    JobStatus::Completed => return Ok(job),
                    JobStatus::Failed | JobStatus::Cancelled => return Err(ended(&job)),
                    _ => {}
                }
            }
            Err(error) if !error.may_pass() => return Err(lost(&error, hub, id)),
            Err(error) => {
                if heard.elapsed() > pace.patience {
                    return Err(lost(&error, hub, id));
                }
                if !away && heard.elapsed() > UNNOTICED {
                    away = true;
                    screen.note(&format!("The hub does not answer ({error}); waiting for it."));
                }
                pause = error.pause().unwrap_or(SLOW);
            }
        }
        sleep(pause).await;
    }
}

/// What a failed or cancelled job is told as.
fn ended(job: &Job) -> Failure {
    let (what, none) = match job.status {
        JobStatus::Cancelled => ("the job was cancelled", "before it was rendered"),
        _ => ("the job failed", "the hub gave no reason"),
    };
    let why = job.error.as_deref().filter(|why| !why.trim().is_empty()).unwrap_or(none);
    let failure = Failure::new(Exit::JobFailed, what, plain(why, 500))
        .member("job", job.id)
        .member("status", job.status.word());
    match signature_text(job.refund_tx.as_deref()) {
        Some(refund) => failure
            .hint(format!("What was paid came back in transaction {refund}."))
            .member("refundTx", refund),
        None if job.settlement == "direct" => failure.hint(
            "The provider was paid directly, without an escrow: only the provider can give the money back.",
        ),
        None => failure.hint(format!(
            "What was paid comes back by itself, in a minute or so; `framefair status {}` shows the transaction.",
            job.id
        )),
    }
}

fn reverted(job: JobId) -> Failure {
    Failure::new(
        Exit::Payment,
        "the result is withheld",
        "the chain took the payment back before it was final",
    )
    .hint("The price was not spent. Order the job anew.")
    .member("job", job)
}

fn lost(error: &HubError, hub: &Hub, job: JobId) -> Failure {
    let failure = error.failure("the job could not be followed to its end", &hub.url);
    let hint = match error.status() {
        Some(404) => NOT_THERE.to_owned(),
        _ => format!(
            "Job {job} goes on without us: run the same command again to go on waiting; it pays nothing twice."
        ),
    };
    failure.hint(hint).member("job", job)
}

/// For whoever asked for a job that the hub does not show.
pub(crate) const NOT_THERE: &str = "Check the id and --hub. A private job opens only from the folder that it was ordered into (--out), at the hub's address of then; jobs that were never paid vanish after a while.";

#[cfg(test)]
mod tests {
    use super::*;

    fn job(text: &str) -> Job {
        let head = r#"{"id":"0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001","#;
        serde_json::from_str(&format!("{head}{text}}}")).unwrap()
    }

    #[test]
    fn a_failed_job_says_why_and_that_the_money_comes_back() {
        let failure = ended(&job(r#""status":"failed","error":"no camera\u001b[2J""#));
        assert_eq!(failure.exit, Exit::JobFailed);
        let text = failure.to_string();
        assert!(text.contains("no camera [2J") && text.contains("by itself"), "{text}");
    }

    #[test]
    fn a_refund_that_was_sent_is_named() {
        let signature = framefair_domain::wallet::TxSignature([7; 64]);
        let failure = ended(&job(&format!(r#""status":"failed","refundTx":"{signature}""#)));
        assert!(failure.to_string().contains(&signature.to_string()));
        assert_eq!(failure.to_json()["refundTx"], signature.to_string());
        let lie = ended(&job(r#""status":"failed","refundTx":"\u001b]0;x""#));
        assert!(
            lie.to_json().get("refundTx").is_none(),
            "what is no signature is not shown as one"
        );
    }
}
