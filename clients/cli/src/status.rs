//! `framefair status` and `framefair cancel`: one job, looked at or ended. Pays nothing.

use framefair_domain::id::JobId;
use framefair_domain::signing::{self, Once};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::args::{Cancel, Status};
use crate::clock;
use crate::exit::{Exit, Failure, plain};
use crate::follow::NOT_THERE;
use crate::hub::said::Job;
use crate::hub::{Hub, HubError, signature_text};
use crate::key;
use crate::record::{Record, Records};
use crate::screen::{Report, words};

#[derive(Serialize)]
struct Document<'a> {
    ok: bool,
    /// The hub's own words, in its own digits.
    job: &'a RawValue,
    /// What this machine has written down about the job.
    here: Option<&'a Record>,
}

pub(crate) async fn status(args: &Status) -> Result<Report, Failure> {
    let hub = Hub::new(args.hub.hub.clone())?;
    let here = Records::of(&args.out).load(args.job);
    let token = here.as_ref().and_then(|record| record.token_for(&hub));
    let (job, raw) =
        hub.job(args.job, token).await.map_err(|error| failure(&error, &hub, args.job))?;
    // The token opens the job to whoever has it: it stays in its file.
    let shown = here.clone().map(|record| Record { access_token: None, ..record });
    let document = Document { ok: true, job: &raw, here: shown.as_ref() };
    Ok(Report::new(human(&job, here.as_ref()), &document))
}

fn human(job: &Job, here: Option<&Record>) -> String {
    let mut lines = vec![
        format!("job       {}", job.id),
        format!("state     {}", words(job.status.word(), job.progress)),
    ];
    let mut row = |what: &str, text: Option<String>| {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            lines.push(format!("{what:<9} {text}"));
        }
    };
    row("scene", Some(plain(&job.file_name, 120)));
    row("price", job.estimated_price.map(|price| price.0.to_string()));
    row("payment", Some(plain(&job.payment_status, 40)));
    row("paid in", signature_text(job.payment_tx.as_deref()));
    row("refund", signature_text(job.refund_tx.as_deref()));
    row("took", job.render_time.as_ref().map(|seconds| format!("{} s", plain(seconds.get(), 20))));
    row("reason", job.error.as_deref().map(|error| plain(error, 500)));
    for file in here.map(|record| record.files.as_slice()).unwrap_or_default() {
        row("file", Some(file.display().to_string()));
    }
    lines.join("\n")
}

fn failure(error: &HubError, hub: &Hub, job: JobId) -> Failure {
    let failure = error.failure("the job could not be looked up", &hub.url).member("job", job);
    match error.status() {
        Some(404) => failure.hint(NOT_THERE),
        _ => failure,
    }
}

pub(crate) async fn cancel(args: &Cancel) -> Result<Report, Failure> {
    let key = key::load(&args.wallet.wallet)?;
    let hub = Hub::new(args.hub.hub.clone())?;
    let once = Once { timestamp: clock::now(), nonce: uuid::Uuid::now_v7().simple().to_string() };
    let text = signing::text(signing::cancel(args.job), Some(&once));
    let signature = key.sign(&text);
    let answer = hub.cancel(args.job, &signature, once.timestamp.0, &once.nonce).await;
    let cancelled = answer.map_err(|error| {
        let failure = error.failure("the job was not cancelled", &hub.url).member("job", args.job);
        match error.status() {
            Some(401) => failure.hint("Use the wallet that ordered the job, and check this machine's clock."),
            Some(400) => failure.hint("Only a job that is not rendering yet can be cancelled; `framefair status` shows its state."),
            _ => failure,
        }
    })?;
    if cancelled.job_id != args.job {
        return Err(Failure::new(
            Exit::Network,
            "the job was not cancelled",
            "the hub's answer is about another job",
        ));
    }
    let refund = signature_text(cancelled.refund_tx.as_deref());
    let came_back = match &refund {
        Some(signature) => format!("What was paid came back in transaction {signature}."),
        None => "What was paid comes back by itself.".to_owned(),
    };
    let document = json!({ "ok": true, "job": args.job, "status": plain(&cancelled.status, 40), "refundTx": refund });
    Ok(Report::new(format!("Job {} is cancelled. {came_back}", args.job), &document))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_shown_without_what_is_not_known() {
        let text = r#"{"id":"0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001","status":"completed","fileName":"a.blend",
            "estimatedPrice":0.0084,"paymentStatus":"confirmed","renderTime":2.50,"refundTx":"no signature"}"#;
        let job: Job = serde_json::from_str(text).unwrap();
        let shown = human(&job, None);
        for line in
            ["state     completed", "scene     a.blend", "price     0.0084 SOL", "took      2.50 s"]
        {
            assert!(shown.contains(line), "{line} is missing in\n{shown}");
        }
        assert!(!shown.contains("refund") && !shown.contains("reason"), "{shown}");
    }
}
