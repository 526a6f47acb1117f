//! `GET /metrics`: totals of the deployment, as Prometheus reads them.

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::IntoResponse;
use framefair_app::metrics::read;
use framefair_http::{Api, Bearer};

use crate::face::Error;
use crate::shapes::metrics::exposition;

/// The text format's only version that is in use.
const FORMAT: (HeaderName, HeaderValue) =
    (header::CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));

#[utoipa::path(get, path = "/metrics", operation_id = "metrics", tag = "System",
    responses((status = 200, description = "exposition format"),
        (status = 401, description = "a token is configured, and it was not shown")))]
pub(crate) async fn metrics(
    State(api): State<Api>,
    Bearer(token): Bearer,
) -> Result<impl IntoResponse, Error> {
    let readings = read(&api.ctx, &mut api.call(), token.as_deref()).await?;
    Ok(([FORMAT], exposition(&readings)))
}
