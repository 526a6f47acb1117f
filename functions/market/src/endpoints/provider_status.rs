//! `PUT /provider/status`.

use axum::extract::State;
use framefair_app::Refusal;
use framefair_app::provider::Status;
use framefair_app::provider::{self, Signed};
use framefair_domain::signing::Once;
use framefair_http::{Api, JsonBody, Whole};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Market;
use crate::face::Error;
use crate::shapes::{Data, data};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Given {
    provider_id: String,
    status: String,
    signature: String,
    timestamp: Option<Whole<i64>>,
    nonce: Option<String>,
}

#[utoipa::path(put, path = "/provider/status", operation_id = "providerStatus", tag = "Provider",
    request_body(content_type = "application/json", description = "providerId, status, signature"),
    responses((status = 200, description = "done"), (status = 400, description = "bad input"),
        (status = 401, description = "bad signature"), (status = 404, description = "no such provider")))]
pub(crate) async fn provider_status(
    State(api): State<Api>,
    JsonBody(given, _): JsonBody<Market, Given>,
) -> Result<Data<Value>, Error> {
    let id = given.provider_id.parse().map_err(|_| Refusal::NotFound)?;
    let status = Status::from_word(&given.status)
        .ok_or_else(|| Refusal::invalid("status: online, offline, busy or maintenance"))?;
    let once = Once::read(given.timestamp.map(|it| it.0), given.nonce.as_deref())
        .map_err(Refusal::from)?;
    let signed = Signed { signature: given.signature, once };
    provider::set_status(&api.ctx, &api.call(), id, status, &signed).await?;
    Ok(data(json!({ "providerId": id, "status": status.word() })))
}
