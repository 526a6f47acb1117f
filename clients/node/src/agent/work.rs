//! One task that is no rendering of frames: the payload comes, is worked on, and what came of it goes where the
//! hub wants it. Ends when it is dropped.

use std::path::{Path, PathBuf};
use std::time::Duration;

use framefair_domain::time::Timestamp;
use framefair_outbound::{Bounds, Failed, Outbound, Reach};
use framefair_wire::market::Attempt;
use tokio_util::sync::CancellationToken;

use super::api::now;
use super::folder::Folder;
use super::still;
use super::task::Grant;
use super::transfer::Transfers;
use crate::fault::NodeReason;
use crate::machine::Machine;
use crate::runners::{Fault, Kind, PayloadReason, Runners};

const PUT_TRIES: u32 = 6;
/// What comes from an address of somebody's own is held in memory.
const FETCHED_BYTES_MAX: usize = 256 << 20;
const FETCH_IDLE: Duration = Duration::from_secs(30);
const FETCH_WHOLE: Duration = Duration::from_secs(600);
/// An address that does not answer is asked again, after a pause that doubles.
const FETCH_TRIES: u32 = 3;
const FETCH_PAUSE: Duration = Duration::from_secs(1);

/// What every such task of this node shares.
pub(crate) struct Tools {
    pub(crate) runners: Runners,
    /// What renders here, if anything does.
    pub(crate) machine: Option<Machine>,
    pub(crate) work: PathBuf,
}

/// What a task asks for, in whichever dialect it came.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) attempt: Attempt,
    pub(super) job_type: String,
    pub(super) payload: String,
    pub(super) input_url: Option<String>,
    pub(super) input_name: Option<String>,
    pub(super) upload_url: String,
    /// Milliseconds since 1970.
    pub(super) until: i64,
}

/// Does it, up to the result's being where the hub wants it.
pub(super) async fn carry_out(
    tools: &Tools,
    wanted: &Wanted,
    stop: CancellationToken,
) -> Result<(), Fault> {
    let (work, _) = Folder::open(&tools.work, &wanted.attempt)
        .map_err(|error| Fault::machine("the task's folder could not be made", error))?;
    let transfers = Transfers::new().map_err(|error| Fault::machine("no HTTP client", error))?;
    let left_ms = u64::try_from(Timestamp(wanted.until).since_ms(now())).unwrap_or(0);
    let left = Duration::from_millis(left_ms);
    let outcome = match (Kind::from_word(&wanted.job_type), &tools.machine) {
        (Some(kind), _) => {
            let mut limits = kind.limits();
            limits.wall = limits.wall.min(left);
            let payload = work.path().join("payload");
            bring(&transfers, wanted, &payload, limits.file_bytes).await?;
            tools.runners.run(kind, &payload, work.path(), &limits, |_| {}, stop).await?
        }
        (None, Some(machine)) if wanted.job_type == still::WORD => {
            still::render(machine, &transfers, wanted, work.path(), left, stop).await?
        }
        _ => {
            let message = format!("this node does no {} work", wanted.job_type);
            return Err(Fault::node(NodeReason::Format, message));
        }
    };
    let content_type = ("content-type".to_owned(), outcome.content_type.to_owned());
    let place = Grant { frame: 0, url: wanted.upload_url.clone(), headers: vec![content_type] };
    let mut why = String::new();
    for tried in 0..PUT_TRIES {
        if tried > 0 {
            tokio::time::sleep(Duration::from_millis(500 << tried)).await;
        }
        match transfers.put(&place, &outcome.file).await {
            Ok(()) => return Ok(()),
            Err(refused) => why = refused,
        }
    }
    Err(Fault::machine("the result could not be uploaded", why))
}

/// The payload as a file: from the hub's store, from where its address says, or the text itself.
pub(super) async fn bring(
    transfers: &Transfers,
    wanted: &Wanted,
    to: &Path,
    bytes_max: u64,
) -> Result<(), Fault> {
    let brought = match &wanted.input_url {
        Some(url) => transfers.fetch_payload(url, to, bytes_max).await,
        None if wanted.payload.starts_with("https://") => {
            return elsewhere(&wanted.payload, to, bytes_max).await;
        }
        None => {
            let written = tokio::fs::write(to, &wanted.payload).await;
            written.map(|()| true).map_err(|error| error.to_string())
        }
    };
    match brought {
        Ok(true) => Ok(()),
        Ok(false) => {
            let message = format!("the payload has more than {bytes_max} bytes");
            Err(Fault::payload(PayloadReason::TooLarge, message))
        }
        Err(why) => Err(Fault::machine("the payload could not be fetched", why)),
    }
}

/// From an address that a stranger chose: a public one, or none.
async fn elsewhere(url: &str, to: &Path, bytes_max: u64) -> Result<(), Fault> {
    let outbound =
        Outbound::new(Reach::default()).map_err(|error| Fault::machine("no HTTP client", error))?;
    let answer_bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX).min(FETCHED_BYTES_MAX);
    let bounds = Bounds { idle: FETCH_IDLE, whole: FETCH_WHOLE, answer_bytes_max };
    let bad = |why: String| {
        let message = format!("the payload could not be fetched from its address: {why}");
        Fault::payload(PayloadReason::Invalid, message)
    };
    let mut why = String::new();
    for tried in 0..FETCH_TRIES {
        if tried > 0 {
            tokio::time::sleep(FETCH_PAUSE * (1 << tried)).await;
        }
        match outbound.get(url, bounds).await {
            Ok(answer) if answer.is_success() => {
                let written = tokio::fs::write(to, answer.body).await;
                return written
                    .map_err(|error| Fault::machine("the payload could not be kept", error));
            }
            Ok(answer) => {
                why = format!("it answers {}", answer.status);
                // Not now, or not at all.
                if !(answer.status >= 500 || [408, 425, 429].contains(&answer.status)) {
                    break;
                }
            }
            Err(failed @ (Failed::Refused(_) | Failed::Redirect(_) | Failed::Body { .. })) => {
                return Err(bad(failed.to_string()));
            }
            Err(failed) => why = failed.to_string(),
        }
    }
    Err(bad(why))
}
