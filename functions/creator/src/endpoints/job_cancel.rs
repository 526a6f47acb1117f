//! `POST /api/v1/jobs/{job_id}/cancel`: takes a job back that nobody works on yet.

use axum::Json;
use axum::extract::State;
use framefair_app::jobs;
use framefair_http::{Api, User};

use crate::Creator;
use crate::face::Error;
use crate::shapes::{Job, PathJob};

#[utoipa::path(post, path = "/api/v1/jobs/{job_id}/cancel", operation_id = "jobCancel", tag = "Jobs",
    params(("job_id" = String, Path)),
    responses((status = 200, description = "the job as it is now"), (status = 400, description = "too late"),
        (status = 401, description = "not authenticated"), (status = 404, description = "no such job"),
        (status = 422, description = "no such name")))]
pub(crate) async fn job_cancel(
    State(api): State<Api>,
    User(person, _): User<Creator>,
    PathJob(id): PathJob,
) -> Result<Json<Job>, Error> {
    Ok(Json(jobs::cancel(&api.ctx, &api.call(), person.id, id).await?.into()))
}
