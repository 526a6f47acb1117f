//! `framefair dispatch`: a job for credits, followed to its end, and what it came to.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::Response;
use serde_json::{Value, json};

use super::session::LoggedIn;
use crate::args::Dispatch;
use crate::exit::{Exit, Failure, plain};
use crate::hub::account::{Dispatched, Job, Link};
use crate::hub::parts::{Sending, Uploaded};
use crate::hub::upload::Sent;
use crate::hub::{HubError, next_piece};
use crate::screen::{Report, Screen};

const WHAT: &str = "the job could not be dispatched";
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A result of so many bytes is shown, if it is text.
const SHOWN_BYTES_MAX: u64 = 64 << 10;
/// A larger one is none that a hub keeps.
const RESULT_BYTES_MAX: u64 = 1 << 30;

pub(crate) async fn run(args: &Dispatch, screen: &Screen) -> Result<Report, Failure> {
    let mut here = LoggedIn::open(&args.session)?;
    // The same name for the same wish: an answer that gets lost makes no second job.
    let name = uuid::Uuid::new_v4().to_string();
    let uploaded = match &args.file {
        Some(file) => Some(upload(&here, file, &name).await?),
        None => None,
    };
    let reference = uploaded.as_ref().map(|uploaded| format!("upload:{}", uploaded.id));
    let payload = payload(args, reference.as_deref().unwrap_or(&args.payload));
    let wish = json!({ "job_type": args.kind, "payload_ref": payload });
    let token = uploaded.as_ref().map(|uploaded| uploaded.token.as_str());
    let placed: Dispatched = here.wish(WHAT, &["jobs", "dispatch"], &name, token, &wish).await?;
    let (job, node) = (plain(&placed.job_id, 40), plain(&placed.node_id, 40));
    screen.tell("dispatched", &format!("dispatched {job}"), json!({ "job": job, "node": node }));
    if args.no_wait {
        let document = json!({ "ok": true, "job": job, "node": node, "status": "DISPATCHED" });
        return Ok(Report::new(format!("job   {job}\nnode  {node}"), &document));
    }
    let ended = follow(&mut here, &job, args, screen).await?;
    let mut document = json!({
        "ok": true, "job": job, "node": ended.node_id, "status": ended.status,
    });
    let mut text = format!("job     {job}\nstatus  {}", ended.status);
    let pieces = ["jobs", &job, "result"];
    let link: Option<Link> = here.find("the result could not be asked for", &pieces, &[]).await?;
    match link {
        None => text.push_str("\nresult  none"),
        Some(link) => {
            let result = result(&here, args, &link).await?;
            text.push_str(&result.text);
            for (name, value) in result.members {
                document[name] = value;
            }
        }
    }
    Ok(Report::new(text, &document))
}

async fn upload(here: &LoggedIn, file: &Path, name: &str) -> Result<Uploaded, Failure> {
    let broken =
        |why: String| Failure::new(Exit::Files, format!("{} cannot be sent", file.display()), why);
    let bytes = std::fs::metadata(file).map_err(|error| broken(error.to_string()))?.len();
    let file_name = file.file_name().and_then(|name| name.to_str());
    let file_name = file_name.ok_or_else(|| broken("its name is no text".into()))?;
    // Only scenes are taken as scenes; anything else goes as what it is, a file.
    let is_scene = framefair_blend::Format::of_file_name(file_name).is_ok();
    let sending = Sending {
        path: file,
        name: file_name,
        bytes,
        purpose: if is_scene { "scene" } else { "result" },
        idempotency_key: name,
    };
    let sent = here.hub.upload(&sending, &Sent::default()).await;
    sent.map_err(|error| error.failure("the file could not be sent", &here.hub.url))
}

/// As the contract's clients append it.
fn payload(args: &Dispatch, payload: &str) -> String {
    match (&args.priority, args.gpu) {
        (None, false) => payload.to_owned(),
        (priority, gpu) => {
            let priority = priority.as_deref().unwrap_or("normal");
            format!("{payload}?priority={priority}&gpu={gpu}")
        }
    }
}

/// Until it has ended; each change is told.
async fn follow(
    here: &mut LoggedIn,
    job: &str,
    args: &Dispatch,
    screen: &Screen,
) -> Result<Job, Failure> {
    let (begun, mut last) = (Instant::now(), "DISPATCHED".to_owned());
    loop {
        let found: Option<Job> =
            here.find("the job could not be asked for", &["jobs", job], &[]).await?;
        let found = found.ok_or_else(|| failed(job, "the hub knows no such job any more"))?;
        let status = plain(&found.status, 20);
        if status != last {
            screen.tell("status", &status, json!({ "job": job, "status": status }));
            last = status;
        }
        match last.as_str() {
            "COMPLETED" => return Ok(found),
            "FAILED" => {
                let why = found.error_message.as_deref().unwrap_or("it gives no reason");
                return Err(failed(job, &plain(why, 600)).hint("Nothing was charged for it."));
            }
            _ if begun.elapsed() > args.patience.time() => {
                let why = format!("it is still {last}");
                let failure = Failure::new(Exit::Network, "the job took too long", why);
                return Err(failure
                    .member("job", job)
                    .hint("It goes on; wait longer with --timeout."));
            }
            _ => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

fn failed(job: &str, why: &str) -> Failure {
    Failure::new(Exit::JobFailed, "the job failed", why).member("job", job)
}

/// What is said of the result.
struct Shown {
    text: String,
    members: Vec<(&'static str, Value)>,
}

async fn result(here: &LoggedIn, args: &Dispatch, link: &Link) -> Result<Shown, Failure> {
    let what = "the result could not be fetched";
    let answer = here.hub.fetch(&link.download_url).await;
    let answer = answer.map_err(|error| error.failure(what, &here.hub.url))?;
    let bytes = answer.content_length();
    let kind = answer.headers().get("content-type").and_then(|kind| kind.to_str().ok());
    let is_text = kind.is_some_and(|it| it.starts_with("text/") || it == "application/json");
    if let Some(file) = &args.out {
        let bytes = save(answer, file).await?;
        return Ok(Shown {
            text: format!("\nresult  {} ({bytes} bytes)", file.display()),
            members: vec![("file", json!(file)), ("bytes", bytes.into())],
        });
    }
    if !is_text || bytes.is_none_or(|bytes| bytes > SHOWN_BYTES_MAX) {
        return Ok(Shown {
            text: format!("\nresult  {}", plain(&link.download_url, 2_000)),
            members: vec![("link", link.download_url.clone().into())],
        });
    }
    let text = answer
        .text()
        .await
        .map_err(|error| Failure::new(Exit::Network, what, error.without_url()))?;
    let shown = plain(&text, usize::try_from(SHOWN_BYTES_MAX).unwrap_or(usize::MAX));
    Ok(Shown { text: format!("\nresult  {shown}"), members: vec![("result", text.into())] })
}

/// The whole file, or none.
async fn save(mut answer: Response, file: &Path) -> Result<u64, Failure> {
    let broken = |why: String| {
        Failure::new(Exit::Files, format!("{} cannot be written", file.display()), why)
    };
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.map_or_else(|| std::path::PathBuf::from("."), std::path::PathBuf::from);
    let mut fresh =
        tempfile::NamedTempFile::new_in(&folder).map_err(|error| broken(error.to_string()))?;
    let mut bytes = 0_u64;
    let lost = |error: HubError| Failure::new(Exit::Network, "the result broke off", error);
    while let Some(chunk) = next_piece(&mut answer).await.map_err(lost)? {
        bytes += chunk.len() as u64;
        if bytes > RESULT_BYTES_MAX {
            return Err(broken("the hub sends more than 1 GiB".into()));
        }
        fresh.write_all(&chunk).map_err(|error| broken(error.to_string()))?;
    }
    fresh.persist(file).map_err(|error| broken(error.to_string()))?;
    Ok(bytes)
}
