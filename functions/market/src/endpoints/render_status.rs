//! `GET /render/{jobId}`.

use axum::extract::State;
use framefair_app::market;
use framefair_domain::id::JobId;
use framefair_http::{Api, Bearer, PathId};

use crate::Market;
use crate::face::Error;
use crate::shapes::{Data, RenderJob, data};

#[utoipa::path(get, path = "/render/{jobId}", operation_id = "renderStatus", tag = "Render",
    params(("jobId" = String, Path)),
    responses((status = 200, description = "the job"), (status = 404, description = "no such job")))]
pub(crate) async fn render_status(
    State(api): State<Api>,
    PathId(job, _): PathId<Market, JobId>,
    Bearer(token): Bearer,
) -> Result<Data<RenderJob>, Error> {
    Ok(data(market::job(&api.ctx, &api.call(), job, token.as_deref()).await?.into()))
}
