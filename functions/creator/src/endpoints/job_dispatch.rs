//! `POST /api/v1/jobs/dispatch`: a job for a node, for credits.

use axum::Json;
use axum::extract::State;
use framefair_app::jobs::{self, Wish};
use framefair_app::uploads::Pass;
use framefair_domain::id::{JobId, ProviderId};
use framefair_http::{Api, Caller, Checked, Named, User};
use serde::Serialize;

use crate::Creator;
use crate::face::Error;

#[derive(Debug, Serialize)]
pub(crate) struct Dispatched {
    job_id: JobId,
    node_id: ProviderId,
    status: &'static str,
}

#[utoipa::path(post, path = "/api/v1/jobs/dispatch", operation_id = "jobDispatch", tag = "Jobs",
    request_body(content_type = "application/json", description = "job_type, payload_ref"),
    responses((status = 200, description = "dispatched"), (status = 400, description = "no healthy node can do it"),
        (status = 401, description = "not authenticated"), (status = 402, description = "too little"),
        (status = 409, description = "the key was used for another request"), (status = 422, description = "bad input")))]
pub(crate) async fn job_dispatch(
    State(api): State<Api>,
    User(person, _): User<Creator>,
    caller: Caller,
    Named(key, _): Named<Creator>,
    Checked(wish, _): Checked<Creator, Wish>,
) -> Result<Json<Dispatched>, Error> {
    let mut call = api.call();
    let pass = caller.shown().unwrap_or(Pass::Owner(person.id));
    let placed = jobs::dispatch(&api.ctx, &mut call, person.id, key, wish, Some(&pass));
    let placed = Box::pin(placed).await?;
    Ok(Json(Dispatched { job_id: placed.job, node_id: placed.node, status: "DISPATCHED" }))
}
