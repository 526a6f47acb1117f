//! `POST /provider/job/{jobId}/failed`: a provider gives up. Unsigned, it is only a hint.

use axum::extract::State;
use framefair_app::Refusal;
use framefair_app::delivery;
use framefair_app::provider::Signed;
use framefair_domain::id::JobId;
use framefair_domain::signing::Once;
use framefair_http::{Api, JsonBody, PathId, Whole};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Market;
use crate::face::Error;
use crate::shapes::{Data, data};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Given {
    provider_id: String,
    error: String,
    signature: Option<String>,
    timestamp: Option<Whole<i64>>,
    nonce: Option<String>,
}

const ERROR_CHARS_MAX: usize = 4_000;

#[utoipa::path(post, path = "/provider/job/{jobId}/failed", operation_id = "providerFailed", tag = "Provider",
    params(("jobId" = String, Path)),
    request_body(content_type = "application/json", description = "providerId, error"),
    responses((status = 200, description = "noted"), (status = 400, description = "bad input"),
        (status = 401, description = "bad signature"), (status = 404, description = "no such job")))]
pub(crate) async fn provider_failed(
    State(api): State<Api>,
    PathId(job, _): PathId<Market, JobId>,
    JsonBody(given, _): JsonBody<Market, Given>,
) -> Result<Data<Value>, Error> {
    let provider = given.provider_id.parse().map_err(|_| Refusal::NotFound)?;
    if given.error.chars().count() > ERROR_CHARS_MAX {
        return Err(Refusal::invalid("error: at most 4000 characters").into());
    }
    let once = Once::read(given.timestamp.map(|it| it.0), given.nonce.as_deref())
        .map_err(Refusal::from)?;
    let signed = given.signature.map(|signature| Signed { signature, once });
    delivery::hand_back(&api.ctx, &api.call(), job, provider, &given.error, signed).await?;
    Ok(data(json!({ "jobId": job, "message": "Failure noted" })))
}
