//! Brings a result here: downloads it under a temporary name, then lets `unpack` turn it into files.

mod unpack;

use std::fs::File;
use std::io::{Seek, Write};
use std::time::Duration;

use framefair_domain::id::JobId;
use tokio::time::{Instant, sleep};

use crate::exit::{Exit, Failure};
use crate::hub::{Hub, HubError, next_piece};
use crate::screen::Screen;

pub(crate) use self::unpack::{NotAResult, Target};

/// Beyond this a result is not one, whatever a hub says.
const RESULT_BYTES_MAX: u64 = 1 << 40;
const PAUSE: Duration = Duration::from_secs(2);

/// Downloads and unpacks; tries again while the hub is away, for `patience` in all.
pub(crate) async fn bring(
    hub: &Hub,
    job: JobId,
    token: Option<&str>,
    target: Target,
    patience: Duration,
    screen: &Screen,
) -> Result<Vec<std::path::PathBuf>, Failure> {
    let begun = Instant::now();
    let file = loop {
        match download(hub, job, token, &target, screen).await {
            Ok(file) => break file,
            Err(Broken::Hub(error)) if error.may_pass() && begun.elapsed() < patience => {
                screen.note(&format!("The download broke off ({error}); trying again."));
                sleep(error.pause().unwrap_or(PAUSE)).await;
            }
            Err(Broken::Hub(error)) => {
                return Err(error
                    .failure("the result could not be downloaded", &hub.url)
                    .hint("It is paid and stays there: run the same command again to download it.")
                    .member("job", job));
            }
            Err(Broken::Disk(error)) => return Err(disk(&target, &error).member("job", job)),
            Err(Broken::TooLarge) => {
                return Err(Failure::new(
                    Exit::Files,
                    "the result is unusable",
                    "it is larger than any result may be",
                ));
            }
        }
    };
    let shown = target.clone();
    let unpacked = tokio::task::spawn_blocking(move || unpack::unpack(file, &target)).await;
    let unpacked =
        unpacked.map_err(|error| Failure::new(Exit::Files, "the result is unusable", error))?;
    unpacked.map_err(|error| match &error {
        NotAResult::Io(io) => disk(&shown, io).member("job", job),
        _ => Failure::new(Exit::Files, "the result is unusable", &error)
            .hint(format!(
                "Nothing was written to {}. Tell the hub's operator about job {job}; --new starts another.",
                shown.out.display()
            ))
            .member("job", job),
    })
}

fn disk(target: &Target, error: &std::io::Error) -> Failure {
    Failure::new(
        Exit::Files,
        format!("the result could not be written to {}", target.out.display()),
        error,
    )
    .hint("Make room, then run the same command again: it is paid and stays at the hub.")
}

enum Broken {
    Hub(HubError),
    Disk(std::io::Error),
    TooLarge,
}

/// An unnamed file: it is gone when this program is, however that happens.
async fn download(
    hub: &Hub,
    job: JobId,
    token: Option<&str>,
    target: &Target,
    screen: &Screen,
) -> Result<File, Broken> {
    let mut response = hub.result(job, token).await.map_err(Broken::Hub)?;
    let promised = response.content_length();
    let mut file = tempfile::tempfile_in(&target.scratch).map_err(Broken::Disk)?;
    let mut bar = screen.bytes("download", promised);
    let mut bytes: u64 = 0;
    while let Some(piece) = next_piece(&mut response).await.map_err(Broken::Hub)? {
        bytes += piece.len() as u64;
        if bytes > RESULT_BYTES_MAX {
            return Err(Broken::TooLarge);
        }
        // Pieces are small, and the page cache takes them at once.
        file.write_all(&piece).map_err(Broken::Disk)?;
        bar.at(bytes);
    }
    bar.end();
    file.rewind().map_err(Broken::Disk)?;
    Ok(file)
}
