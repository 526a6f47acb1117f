//! What is counted for whoever watches a deployment: answers, jobs, credits, sockets. Totals alone, of
//! nobody in particular. Not money: a lost count is a wrong number on a page, and never the failure of what
//! was counted.
//!
//! A process adds up by itself and gives what it has to the table, one item at a time and seldom: who lives
//! for one request is in the totals as well as who lives for a month. What is shown is what the table has.

mod pending;
mod read;

use std::time::Duration;

use framefair_domain::credits::Credits;
use framefair_store::seam::labelled;
use framefair_store::{Update, When, WriteFailed, keys};
use sha2::{Digest, Sha256};

pub use pending::Metrics;
pub use read::{Answered, Jobs, Readings, read};

use crate::{Call, Ctx, jobs};

/// One process writes at most once within this time, unless somebody asks for all of it.
pub const FLUSH_EVERY_MS: i64 = 5_000;
/// A request does not wait for longer than this because something was counted.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);
/// Upper bounds of the times that answers take; what takes longer than the last is counted beside them.
pub const BOUNDS_MS: [u64; 11] = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000];
/// A new word of a caller, so that nobody can invent labels.
const OTHER_TYPE: &str = "other";

/// Items are named after what they count.
const ANSWERS: &str = "HTTP#";
const WORK: &str = "WORK";
const DISPATCHED: &str = "dispatched_";
const COMPLETED: &str = "completed_";
const FAILED: &str = "failed_";
const CREDITS: &str = "credits";
const STATUS: &str = "status_";
const WITHIN: &str = "within_";
const TOOK_US: &str = "took_us";

fn known_type(job_type: &str) -> &'static str {
    jobs::TYPES.into_iter().find(|known| *known == job_type).unwrap_or(OTHER_TYPE)
}

impl Metrics {
    /// A request was answered. `endpoint` is the template of its path, and `method` one of the known ones:
    /// both are labels, so neither may be what a caller sent.
    pub fn answered(&self, method: &str, endpoint: &str, status: u16, took: Duration) {
        // A time is within a bound when it does not exceed it, to the microsecond.
        let exceeds = |bound: u64| took > Duration::from_millis(bound);
        let bucket = BOUNDS_MS.iter().position(|bound| !exceeds(*bound)).unwrap_or(BOUNDS_MS.len());
        let us = i64::try_from(took.as_micros()).unwrap_or(i64::MAX);
        self.add(
            &format!("{ANSWERS}{method} {endpoint}"),
            &[(&format!("{STATUS}{status}"), 1), (&format!("{WITHIN}{bucket}"), 1), (TOOK_US, us)],
        );
    }

    /// A job was given to a node. Once for each attempt.
    pub fn job_dispatched(&self, job_type: &str) {
        self.add(WORK, &[(&format!("{DISPATCHED}{}", known_type(job_type)), 1)]);
    }

    /// A job has ended with a result.
    pub fn job_completed(&self, job_type: &str) {
        self.add(WORK, &[(&format!("{COMPLETED}{}", known_type(job_type)), 1)]);
    }

    /// A job has ended without a result.
    pub fn job_failed(&self, job_type: &str) {
        self.add(WORK, &[(&format!("{FAILED}{}", known_type(job_type)), 1)]);
    }

    /// Credits were spent for good: posted, not held. Nothing that is given back is taken off: a counter
    /// only rises, so what is not above zero is not counted.
    pub fn credits_consumed(&self, amount: Credits) {
        if amount > Credits::ZERO {
            self.add(WORK, &[(CREDITS, amount.0)]);
        }
    }
}

impl Ctx {
    /// Gives one item's counts to the table, if the last time is long enough ago. Never fails: what cannot be
    /// written now is written later where it surely was not, else it is lost.
    pub async fn flush_metrics(&self, call: &mut Call) {
        if let Some(due) = self.metrics.take_due(call.now) {
            self.give(call, due).await;
        }
    }

    /// Gives everything that waits: before a process ends, or before it shows the totals.
    pub async fn flush_all_metrics(&self, call: &mut Call) {
        for due in self.metrics.take_all() {
            self.give(call, due).await;
        }
    }

    async fn give(&self, call: &mut Call, (of, counts): (String, Vec<(String, i64)>)) {
        let shard = self.metrics.shard(|| call.lot());
        let update = Update::at(keys::metrics(shard, &of), When::Always);
        let update =
            counts.iter().fold(update, |update, (name, n)| update.add([name.as_str()], *n));
        let written = labelled("metrics", self.store.write(update));
        match tokio::time::timeout(FLUSH_WITHIN, written).await {
            Ok(Ok(())) => {}
            Ok(Err(WriteFailed::Broken(broken))) if broken.is_busy() => {
                tracing::debug!(of, "Counts wait, because the table is busy");
                self.metrics.put_back(of, counts);
            }
            Ok(Err(failed)) => tracing::warn!(of, %failed, "Counts may be lost"),
            Err(_) => tracing::warn!(of, "Counts may be lost: the table did not answer in time"),
        }
    }
}

/// What opens the totals, where not everybody may see them. Kept as its hash, and compared as such, so that
/// how long a comparison takes tells nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct MetricsToken([u8; 32]);

impl MetricsToken {
    /// None where the text is empty: then anybody may see them.
    pub fn new(text: &str) -> Option<MetricsToken> {
        (!text.is_empty()).then(|| MetricsToken(Sha256::digest(text).into()))
    }

    fn is(&self, shown: &str) -> bool {
        MetricsToken::new(shown).is_some_and(|shown| shown == *self)
    }
}

impl std::fmt::Debug for MetricsToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MetricsToken")
    }
}

#[cfg(test)]
mod tests {
    use framefair_domain::time::Timestamp;

    use super::*;

    #[test]
    fn an_answer_is_counted_by_route_status_and_the_bound_that_it_keeps() {
        let metrics = Metrics::default();
        for (ms, status) in [(5, 200), (6, 200), (60_000, 404)] {
            metrics.answered("GET", "/render/{jobId}", status, Duration::from_millis(ms));
        }
        let (of, counts) = metrics.take_due(Timestamp(FLUSH_EVERY_MS)).expect("it is due");
        assert_eq!(of, "HTTP#GET /render/{jobId}");
        let counts: Vec<(&str, i64)> = counts.iter().map(|(name, n)| (name.as_str(), *n)).collect();
        assert_eq!(
            counts,
            [
                ("status_200", 2),
                ("status_404", 1),
                ("took_us", 60_011_000),
                ("within_0", 1),
                ("within_1", 1),
                ("within_11", 1)
            ]
        );
    }

    #[test]
    fn a_type_of_job_that_nobody_knows_is_another_one() {
        let metrics = Metrics::default();
        metrics.job_dispatched("render");
        metrics.job_failed("mine-bitcoin-for-me");
        metrics.credits_consumed(Credits(25_000));
        metrics.credits_consumed(Credits(-25_000));
        let all = metrics.take_all();
        let (_, counts) = &all[0];
        let names: Vec<_> = counts.iter().map(|(name, n)| (name.as_str(), *n)).collect();
        assert_eq!(names, [("credits", 25_000), ("dispatched_render", 1), ("failed_other", 1)]);
    }

    #[test]
    fn one_item_is_written_at_a_time_and_the_oldest_first() {
        let (metrics, now) = (Metrics::default(), Timestamp(1_000_000));
        metrics.job_completed("echo");
        metrics.answered("GET", "/stats", 200, Duration::ZERO);
        assert_eq!(metrics.take_due(now).expect("the first").0, "WORK");
        assert!(metrics.take_due(now.plus_ms(FLUSH_EVERY_MS - 1)).is_none(), "too soon");
        let (of, counts) = metrics.take_due(now.plus_ms(FLUSH_EVERY_MS)).expect("the second");
        assert!(of.ends_with("/stats"));
        metrics.answered("GET", "/stats", 200, Duration::ZERO);
        metrics.put_back(of, counts);
        let (_, counts) = metrics.take_all().pop().expect("it is there again");
        assert!(counts.contains(&("status_200".to_owned(), 2)), "{counts:?}");
        assert!(metrics.take_due(now.plus_ms(2 * FLUSH_EVERY_MS)).is_none(), "nothing is left");
    }

    #[test]
    fn who_knows_a_part_of_the_token_knows_nothing() {
        assert!(MetricsToken::new("").is_none());
        let token = MetricsToken::new("watcher").expect("a token");
        assert!(token.is("watcher"));
        for wrong in ["", "watche", "watcher ", "Watcher"] {
            assert!(!token.is(wrong), "{wrong}");
        }
    }
}
