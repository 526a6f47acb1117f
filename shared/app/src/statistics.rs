//! Totals of the platform. Not money: a lost count is a wrong number on a page, nothing more.

use framefair_domain::id::JobId;
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

/// The totals, at most as old as this read.
pub async fn totals(ctx: &Ctx) -> Result<StatisticsRow, Refusal> {
    let shards: Vec<_> = (0..keys::STATISTICS_SHARDS).map(keys::statistics).collect();
    let rows = ctx.store.get_many::<StatisticsRow>(&shards).await?;
    Ok(rows.iter().fold(StatisticsRow::default(), |sum, row| StatisticsRow {
        shard: 0,
        providers: sum.providers + row.providers,
        jobs: sum.jobs + row.jobs,
        completed: sum.completed + row.completed,
        volume: sum.volume.saturating_add(row.volume),
        render_ms: sum.render_ms + row.render_ms,
    }))
}
