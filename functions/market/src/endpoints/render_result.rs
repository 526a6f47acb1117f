//! `GET /render/{jobId}/result`: a redirect to the file, or the file itself when it is small.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use framefair_app::market::{self, RenderResult};
use framefair_domain::id::JobId;
use framefair_http::{Api, Bearer, PathId, QueryOf};
use serde::Deserialize;

use crate::Market;
use crate::face::Error;

#[derive(Debug, Deserialize)]
pub(crate) struct How {
    #[serde(default = "yes")]
    redirect: bool,
}

fn yes() -> bool {
    true
}

#[utoipa::path(get, path = "/render/{jobId}/result", operation_id = "renderResult", tag = "Render",
    params(("jobId" = String, Path), ("redirect" = Option<bool>, Query)),
    responses((status = 200, description = "the file"), (status = 302, description = "where the file is"),
        (status = 400, description = "not completed"), (status = 402, description = "never paid"), (status = 404, description = "no such job")))]
pub(crate) async fn render_result(
    State(api): State<Api>,
    PathId(job, _): PathId<Market, JobId>,
    Bearer(token): Bearer,
    QueryOf(how, _): QueryOf<Market, How>,
) -> Result<Response, Error> {
    let token = token.as_deref();
    Ok(match market::result(&api.ctx, job, token, !how.redirect).await? {
        RenderResult::At(url) => (StatusCode::FOUND, [(header::LOCATION, url)]).into_response(),
        RenderResult::File { content_type, bytes } => {
            ([(header::CONTENT_TYPE, content_type)], bytes).into_response()
        }
    })
}
