//! Totals of the platform. Not money: a lost count is a wrong number on a page, nothing more.

use framefair_domain::id::JobId;
use framefair_domain::money::Lamports;
use framefair_store::rows::StatisticsRow;
use framefair_store::seam::labelled;
use framefair_store::{Update, When, keys};

use crate::{Ctx, Refusal};

/// What one event adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub providers: i64,
    pub jobs: i64,
    pub completed: i64,
    pub lamports: i64,
    pub render_ms: i64,
}

impl Ctx {
    /// Adds to one of the shards. Failing is no reason to fail the caller.
    pub(crate) async fn count(&self, job: Option<JobId>, count: Count) {
        let shard = job.map_or(0, |job| job.0.as_bytes()[15]) % keys::STATISTICS_SHARDS;
        let update = [
            ("providers", count.providers),
            ("jobs", count.jobs),
            ("completed", count.completed),
            ("volume", count.lamports),
            ("render_ms", count.render_ms),
        ]
        .into_iter()
        .filter(|(_, n)| *n != 0)
        .fold(Update::at(keys::statistics(shard), When::Always), |update, (name, n)| {
            update.add(name, n)
        });
        let written = labelled("statistics", self.store.write(update));
        if let Err(failed) = written.await {
            tracing::warn!(?failed, "A statistic was lost");
        }
    }
}

/// Totals of the platform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub providers: u64,
    pub jobs: u64,
    pub completed: u64,
    pub volume: Lamports,
    pub render_ms: u64,
}

/// The totals, as of this read. A lost count may leave a shard below zero; a total never is.
pub async fn totals(ctx: &Ctx) -> Result<Totals, Refusal> {
    let shards: Vec<_> = (0..keys::STATISTICS_SHARDS).map(keys::statistics).collect();
    let rows = ctx.store.get_many::<StatisticsRow>(&shards).await?;
    let total = |of: fn(&StatisticsRow) -> i64| {
        let sum = rows.iter().map(of).fold(0_i64, i64::saturating_add);
        u64::try_from(sum).unwrap_or(0)
    };
    Ok(Totals {
        providers: total(|row| row.providers),
        jobs: total(|row| row.jobs),
        completed: total(|row| row.completed),
        volume: Lamports(total(|row| row.volume)),
        render_ms: total(|row| row.render_ms),
    })
}
