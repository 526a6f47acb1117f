//! Waits for a paid job to end, showing how it goes. Survives a hub that restarts; changes nothing.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::exit::{Exit, Failure, plain};
use crate::hub::said::{Job, JobStatus};
use crate::hub::{Hub, HubError, signature_text};
use crate::record::Record;
use crate::screen::Screen;

/// The contract allows 120 questions a minute.
const FAST: Duration = Duration::from_secs(1);
const SLOW: Duration = Duration::from_secs(2);
/// Short jobs are looked at often; nobody sits before a long one for a second's sake.
const FAST_FOR: Duration = Duration::from_secs(120);
/// A hub that answers in this time was not away, as far as anyone noticed.
const UNNOTICED: Duration = Duration::from_secs(5);

/// The completed job, or why there is none. `patience` is how long the hub may be silent.
pub(crate) async fn until_done(
    hub: &Hub,
    record: &Record,
    patience: Duration,
    screen: &Screen,
) -> Result<Job, Failure> {
    let begun = Instant::now();
    let mut heard = begun;
    let mut away = false;
    let mut bars = screen.frames(record.frames.count());
    loop {
        let mut pause = if begun.elapsed() < FAST_FOR { FAST } else { SLOW };
        match hub.job(record.job, record.access_token.as_deref()).await {
            Ok((job, _)) => {
                heard = Instant::now();
                if std::mem::take(&mut away) {
                    bars.note("The hub is back.");
                }
                bars.show(&job);
                match job.status {
                    JobStatus::Completed if job.payment_status == "failed" => {
                        bars.end();
                        return Err(reverted(record));
                    }
                    JobStatus::Completed => {
                        bars.end();
                        return Ok(job);
                    }
                    JobStatus::Failed | JobStatus::Cancelled => {
                        bars.end();
                        return Err(ended(&job));
                    }
                    _ => {}
                }
            }
            Err(error) if !error.may_pass() => {
                bars.end();
                return Err(lost(&error, hub, record));
            }
            Err(error) => {
                if heard.elapsed() > patience {
                    bars.end();
                    return Err(lost(&error, hub, record));
                }
                if !away && heard.elapsed() > UNNOTICED {
                    away = true;
                    bars.note(&format!("The hub does not answer ({error}); waiting for it."));
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
        None => failure.hint(format!(
            "What was paid comes back by itself, in a minute or so; `framefair status {}` shows the transaction.",
            job.id
        )),
    }
}

fn reverted(record: &Record) -> Failure {
    Failure::new(
        Exit::Payment,
        "the result is withheld",
        "the chain took the payment back before it was final",
    )
    .hint("The price was not spent. Run the same command again for a new job.")
    .member("job", record.job)
}

fn lost(error: &HubError, hub: &Hub, record: &Record) -> Failure {
    error
        .failure("the job could not be followed to its end", &hub.url)
        .hint(format!(
            "Job {} is paid and goes on without us: run the same command again to go on waiting.",
            record.job
        ))
        .member("job", record.job)
}

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
