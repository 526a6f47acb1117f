//! `GET /stats`: totals of the platform.

use axum::extract::State;
use framefair_app::provider;
use framefair_app::provider::Status;
use framefair_app::statistics::totals;
use framefair_http::Api;
use serde::Serialize;

use crate::face::Error;
use crate::shapes::{Data, Sol, Tenths, data};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HubStats {
    total_providers: u64,
    online_providers: usize,
    total_jobs: u64,
    completed_jobs: u64,
    #[serde(rename = "totalVolumeSOL")]
    total_volume_sol: Sol,
    avg_render_time: Tenths,
}

#[utoipa::path(get, path = "/stats", operation_id = "stats", tag = "Public",
    responses((status = 200, description = "platform totals")))]
pub(crate) async fn stats(State(api): State<Api>) -> Result<Data<HubStats>, Error> {
    let (totals, online) =
        tokio::try_join!(totals(&api.ctx), provider::with_status(&api.ctx, Status::Online))?;
    let tenths_per_job = totals.render_ms.checked_div(100 * totals.completed).unwrap_or(0);
    Ok(data(HubStats {
        total_providers: totals.providers,
        online_providers: online.len(),
        total_jobs: totals.jobs,
        completed_jobs: totals.completed,
        total_volume_sol: Sol(totals.volume),
        avg_render_time: Tenths(tenths_per_job),
    }))
}
