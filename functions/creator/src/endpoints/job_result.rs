//! `GET /api/v1/jobs/{job_id}/result`: a link to what a job came to.

use axum::Json;
use axum::extract::State;
use framefair_app::jobs;
use framefair_domain::id::JobId;
use framefair_http::{Api, User};
use serde::Serialize;

use crate::Creator;
use crate::face::Error;
use crate::shapes::PathJob;

#[derive(Debug, Serialize)]
pub(crate) struct Link {
    job_id: JobId,
    download_url: String,
    expires_in: u64,
}

#[utoipa::path(get, path = "/api/v1/jobs/{job_id}/result", operation_id = "jobResult", tag = "Jobs",
    params(("job_id" = String, Path)),
    responses((status = 200, description = "a link that needs no token"), (status = 401, description = "not authenticated"),
        (status = 404, description = "no such job, or no result"), (status = 422, description = "no such name")))]
pub(crate) async fn job_result(
    State(api): State<Api>,
    User(person, _): User<Creator>,
    PathJob(id): PathJob,
) -> Result<Json<Link>, Error> {
    let found = jobs::result(&api.ctx, person.id, id).await?;
    Ok(Json(Link { job_id: id, download_url: found.url, expires_in: found.lasts_s }))
}
