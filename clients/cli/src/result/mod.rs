//! Brings a result here: downloads it, going on where it broke off, then lets `unpack` turn it into
//! files.

mod download;
mod unpack;

use std::time::Duration;

use framefair_domain::id::JobId;
use tokio::time::{Instant, sleep};

use crate::exit::{Exit, Failure};
use crate::hub::Hub;
use crate::screen::Screen;

use self::download::{Broken, Part};
pub(crate) use self::unpack::{NotAResult, Target};

const PAUSE: Duration = Duration::from_secs(2);

/// Downloads and unpacks; tries again while the hub is away or the line breaks, until nothing new has
/// come for `patience`.
pub(crate) async fn bring(
    hub: &Hub,
    job: JobId,
    token: Option<&str>,
    target: Target,
    patience: Duration,
    screen: &Screen,
) -> Result<Vec<std::path::PathBuf>, Failure> {
    let mut part = Part::open(&target.scratch, job)
        .map_err(|error| disk(&target, &error).member("job", job))?;
    let (mut moved, mut most) = (Instant::now(), 0);
    let broken = loop {
        let broken = match part.download(hub, job, token, screen).await {
            Ok(()) => break None,
            Err(broken) => broken,
        };
        if part.bytes() > most {
            (moved, most) = (Instant::now(), part.bytes());
        }
        match broken {
            Broken::Hub(error) if error.may_pass() && moved.elapsed() < patience => {
                screen.note(&format!("The download broke off ({error}); going on with it."));
                sleep(error.pause().unwrap_or(PAUSE)).await;
            }
            broken => break Some(broken),
        }
    };
    if let Some(broken) = broken {
        return Err(match broken {
            Broken::Hub(error) => error
                .failure("the result could not be downloaded", &hub.url)
                .hint("It is paid and stays there: run the same command again to download it."),
            Broken::Disk(error) => disk(&target, &error),
            Broken::TooLarge => Failure::new(
                Exit::Files,
                "the result is unusable",
                "it is larger than any result may be",
            ),
        }
        .member("job", job));
    }
    let file = part.file().map_err(|error| disk(&target, &error).member("job", job))?;
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
