//! One request and its answer under limits of time and size, and what a failure means for what was
//! sent. Knows no address.

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use framefair_domain::reach::Refused;
use reqwest::{RequestBuilder, Response};
use tokio::time::{Instant, sleep_until};

use crate::{Answer, Bounds, Failed};

/// How far a request has come, shared by the body that is read and the clock that waits.
#[derive(Clone)]
pub(crate) struct Progress(Arc<State>);

struct State {
    left: AtomicU64,
    moved: Mutex<Instant>,
}

impl Progress {
    pub(crate) fn of(bytes: u64) -> Progress {
        Progress(Arc::new(State { left: AtomicU64::new(bytes), moved: Mutex::new(Instant::now()) }))
    }

    pub(crate) fn sent(&self, bytes: usize) {
        let sent = bytes as u64;
        let less = |left: u64| Some(left.saturating_sub(sent));
        let _ = self.0.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        self.moves();
    }

    fn moves(&self) {
        *self.0.moved.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn moved(&self) -> Instant {
        *self.0.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cut(&self, why: String) -> Failed {
        match self.0.left.load(Ordering::Relaxed) {
            0 => Failed::NoAnswer(why),
            _ => Failed::CutWhileSending(why),
        }
    }
}

/// Sends, and reads the answer.
pub(crate) async fn exchange(
    request: RequestBuilder,
    bounds: Bounds,
    progress: Progress,
) -> Result<Answer, Failed> {
    let deadline = Instant::now() + bounds.whole;
    let sent = in_time(request.send(), &progress, bounds, deadline).await;
    let sent = sent.map_err(|why| progress.cut(why))?;
    let response = sent.map_err(|error| failure(&error, &progress))?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    if response.status().is_redirection() {
        return Err(Failed::Redirect(status));
    }
    let read = in_time(read(response, bounds, &progress), &progress, bounds, deadline).await;
    match read {
        Ok(Ok(body)) => Ok(Answer { status, headers, body }),
        Ok(Err(why)) | Err(why) => Err(Failed::Body { status, why }),
    }
}

/// Waits for `work` as long as it moves and the deadline has not come; says why it did not.
async fn in_time<T>(
    work: impl Future<Output = T>,
    progress: &Progress,
    bounds: Bounds,
    deadline: Instant,
) -> Result<T, String> {
    let mut work = std::pin::pin!(work);
    loop {
        let quiet = progress.moved() + bounds.idle;
        tokio::select! {
            done = &mut work => return Ok(done),
            () = sleep_until(quiet.min(deadline)) => {}
        }
        let now = Instant::now();
        if now >= deadline {
            return Err(format!("not over after {} s", bounds.whole.as_secs_f32()));
        }
        if now >= progress.moved() + bounds.idle {
            return Err(format!("nothing moved for {} s", bounds.idle.as_secs_f32()));
        }
    }
}

async fn read(
    mut response: Response,
    bounds: Bounds,
    progress: &Progress,
) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| cause(&error))? {
        progress.moves();
        if body.len() + piece.len() > bounds.answer_bytes_max {
            return Err(format!("longer than {} bytes", bounds.answer_bytes_max));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

fn failure(error: &reqwest::Error, progress: &Progress) -> Failed {
    let mut looked_at: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(inner) = looked_at {
        if let Some(refused) = inner.downcast_ref::<Refused>() {
            return Failed::Refused(refused.clone());
        }
        looked_at = inner.source();
    }
    if error.is_connect() {
        return Failed::Unreachable(cause(error));
    }
    progress.cut(cause(error))
}

/// The innermost cause, which says most; without the URL, which may carry a secret.
pub(crate) fn cause(error: &reqwest::Error) -> String {
    let mut found: Option<&(dyn Error + 'static)> = error.source();
    while let Some(inner) = found.and_then(Error::source) {
        found = Some(inner);
    }
    match found {
        Some(found) => found.to_string(),
        None if error.is_timeout() => "it took too long".to_owned(),
        None => "no cause was given".to_owned(),
    }
}
