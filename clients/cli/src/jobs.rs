//! `framefair jobs`: what this machine has written down of its jobs, beside what their hubs say now.
//! Reads only; a hub that is away is no failure.

use std::collections::BTreeMap;
use std::time::Duration;

use framefair_domain::id::JobId;
use futures::future::join_all;
use futures::stream::{self, StreamExt};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::args::Jobs;
use crate::exit::{Exit, Failure, plain};
use crate::hub::{Hub, HubError};
use crate::record::{Record, Records, Stage};
use crate::screen::Report;
use crate::table::columns;

/// Of the 120 that a hub answers in a minute, some are left for whoever waits for a job.
const QUESTIONS_MAX: usize = 100;
const AT_ONCE: usize = 8;
/// Nobody waits longer for a hub that does not answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);
const ROWS_MAX: usize = 1_000;
const HEADS: [&str; 7] = ["JOB", "SCENE", "FRAMES", "SOL", "PRIVATE", "STAGE", "HUB"];

/// What is known at the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    Status(String),
    /// No such job, or none for us.
    Unknown,
    /// The hub does not answer.
    Away,
    NotAsked,
}

impl Said {
    fn word(&self) -> &str {
        match self {
            Said::Status(word) => word,
            Said::Unknown => "unknown",
            Said::Away => "away",
            Said::NotAsked => "-",
        }
    }
}

pub(crate) async fn run(args: &Jobs) -> Result<Report, Failure> {
    if !args.out.is_dir() {
        return Err(Failure::new(
            Exit::Files,
            format!("{} cannot be looked into", args.out.display()),
            "there is no such folder",
        )
        .hint("Name the folder that was given to `framefair render` as --out."));
    }
    let records = Records::of(&args.out).all();
    let said = ask(args, &records).await?;
    let word = |record: &Record| said.get(&record.job).unwrap_or(&Said::NotAsked);
    let shown = &records[..records.len().min(ROWS_MAX)];
    let jobs: Vec<Value> = shown.iter().map(|record| document(record, word(record))).collect();
    let document = json!({ "ok": true, "jobs": jobs, "total": records.len() });
    if records.is_empty() {
        let text = format!(
            "No jobs are written down in {}/.framefair. `framefair render SCENE --out DIR` orders one; `framefair jobs --out DIR` shows another folder's.",
            args.out.display()
        );
        return Ok(Report::new(text, &document));
    }
    let rows = shown.iter().map(|record| row(record, word(record))).collect();
    let mut text = columns(HEADS, rows).trim_end().to_owned();
    if records.len() > shown.len() {
        text.push_str(&format!("\nand {} older ones", records.len() - shown.len()));
    }
    if said.values().any(|said| *said == Said::Away) {
        text.push_str("\naway: the hub does not answer; what stands under STAGE is what this machine did last.");
    }
    Ok(Report::new(text, &document))
}

/// Asks each hub about its jobs, the newest first, all hubs at the same time.
async fn ask(args: &Jobs, records: &[Record]) -> Result<BTreeMap<JobId, Said>, Failure> {
    let mut by_hub: BTreeMap<String, Vec<&Record>> = BTreeMap::new();
    for record in records.iter().take(QUESTIONS_MAX) {
        let hub = args.hub.as_ref().map_or_else(|| record.hub.clone(), ToString::to_string);
        by_hub.entry(hub).or_default().push(record);
    }
    let mut asking = Vec::new();
    for (hub, records) in by_hub {
        // An address that is none was written by nobody of ours; its jobs are shown all the same.
        if let Ok(url) = hub.parse() {
            asking.push(ask_one(Hub::new(url)?, records));
        }
    }
    Ok(join_all(asking).await.into_iter().flatten().collect())
}

async fn ask_one(hub: Hub, records: Vec<&Record>) -> Vec<(JobId, Said)> {
    let question = async |record: &Record| {
        let answer = timeout(ANSWER_MAX, hub.job(record.job, record.token_for(&hub))).await;
        match answer {
            Ok(Ok((job, _))) => Said::Status(job.status.word().to_owned()),
            Ok(Err(HubError::Refused { status: 404, .. })) => Said::Unknown,
            Ok(Err(error)) if error.status() == Some(429) => Said::NotAsked,
            Ok(Err(_)) | Err(_) => Said::Away,
        }
    };
    let Some((newest, others)) = records.split_first() else { return Vec::new() };
    let first = question(newest).await;
    if first == Said::Away {
        // Asked once: the others would only wait as long.
        return records.iter().map(|record| (record.job, Said::Away)).collect();
    }
    let said = stream::iter(others).map(|record| question(record)).buffered(AT_ONCE);
    let said: Vec<Said> = stream::iter([first]).chain(said).collect().await;
    records.iter().map(|record| record.job).zip(said).collect()
}

fn stage(record: &Record) -> &'static str {
    match record.stage {
        Stage::Offered => "offered",
        Stage::Paying => "paying",
        Stage::Paid => "paid",
        Stage::Done => "done",
        Stage::Over => "over",
    }
}

fn row(record: &Record, said: &Said) -> [String; 7] {
    [
        record.job.to_string(),
        plain(&record.name, 32),
        record.frames.to_string(),
        record.lamports.to_sol(),
        if record.access_token.is_some() { "yes" } else { "no" }.to_owned(),
        stage(record).to_owned(),
        said.word().to_owned(),
    ]
}

/// The token opens the job to whoever has it: it stays in its file.
fn document(record: &Record, said: &Said) -> Value {
    let status = match said {
        Said::Status(word) => Some(word),
        _ => None,
    };
    json!({
        "job": record.job,
        "scene": record.scene,
        "frames": record.frames.to_string(),
        "price": record.lamports.to_sol(),
        "lamports": record.lamports.0.to_string(),
        "private": record.access_token.is_some(),
        "stage": stage(record),
        "hub": record.hub,
        "status": status,
        "away": *said == Said::Away,
        "paymentTx": record.payment.and_then(|attempt| attempt.signature),
        "files": record.files_text(),
    })
}
