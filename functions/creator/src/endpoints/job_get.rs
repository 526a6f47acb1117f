//! `GET /api/v1/jobs/{job_id}`: one job of the account.

use axum::Json;
use axum::extract::State;
use framefair_app::jobs;
use framefair_http::{Api, User};

use crate::Creator;
use crate::face::Error;
use crate::shapes::{Job, PathJob};

#[utoipa::path(get, path = "/api/v1/jobs/{job_id}", operation_id = "jobGet", tag = "Jobs",
    params(("job_id" = String, Path)),
    responses((status = 200, description = "the job"), (status = 401, description = "not authenticated"),
        (status = 404, description = "no such job"), (status = 422, description = "no such name")))]
pub(crate) async fn job_get(
    State(api): State<Api>,
    User(person, _): User<Creator>,
    PathJob(id): PathJob,
) -> Result<Json<Job>, Error> {
    Ok(Json(jobs::job(&api.ctx, person.id, id).await?.into()))
}
