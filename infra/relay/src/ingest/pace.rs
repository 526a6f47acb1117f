//! A body that must keep coming: one that stops, or trickles, ends with an error.

use std::io;
use std::time::Duration;

use axum::body::Bytes;
use futures::{Stream, StreamExt};
use tokio::time::Instant;

/// How slow a body may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// No byte for this long, and the body is over.
    pub(super) still_max: Duration,
    /// After so long it must have come at this pace at least, on the whole.
    pub(super) grace: Duration,
    pub(super) bytes_per_second_min: u64,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            still_max: Duration::from_secs(20),
            grace: Duration::from_secs(30),
            bytes_per_second_min: 16 * 1024,
        }
    }
}

/// The same bytes, under limits of time. Time that we ourselves take over them does not count.
pub(super) fn paced<S, E>(body: S, pace: Pace) -> impl Stream<Item = io::Result<Bytes>> + Send
where
    S: Stream<Item = Result<Bytes, E>> + Send + Unpin + 'static,
    E: std::error::Error + Send + Sync + 'static,
{
    let start = (body, Duration::ZERO, 0_u64);
    futures::stream::try_unfold(start, move |(mut body, mut waited, mut bytes)| async move {
        let asked = Instant::now();
        let chunk = tokio::time::timeout(pace.still_max, body.next()).await;
        waited += asked.elapsed();
        let Ok(chunk) = chunk else {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the body stands still"));
        };
        let Some(chunk) = chunk else { return Ok(None) };
        let chunk = chunk.map_err(io::Error::other)?;
        bytes += chunk.len() as u64;
        let due_s = waited.saturating_sub(pace.grace).as_secs();
        if bytes < due_s * pace.bytes_per_second_min {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the body comes too slowly"));
        }
        Ok(Some((chunk, (body, waited, bytes))))
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    const PACE: Pace = Pace {
        still_max: Duration::from_millis(400),
        grace: Duration::from_millis(500),
        bytes_per_second_min: 1_000,
    };

    /// A body of chunks of this size, each after this pause.
    async fn comes_through(chunks: u64, bytes: usize, pause_ms: u64) -> bool {
        let body = futures::stream::unfold(0, move |n| async move {
            if n == chunks {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            Some((Ok::<_, Infallible>(Bytes::from(vec![0; bytes])), n + 1))
        });
        let read: Vec<_> = paced(Box::pin(body), PACE).collect().await;
        read.iter().all(Result::is_ok)
    }

    #[tokio::test]
    async fn a_body_may_take_long_but_not_stand_still_or_trickle() {
        assert!(comes_through(40, 4_000, 50).await, "a slow line");
        assert!(comes_through(2, 1, 50).await, "a short one with pauses");
        assert!(!comes_through(2, 4_000, 2_000).await, "it stands still");
        assert!(!comes_through(60, 1, 50).await, "it trickles");
    }
}
