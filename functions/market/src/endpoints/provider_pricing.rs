//! `PUT /provider/pricing`: signed over the raw text of the prices.

use axum::extract::State;
use framefair_app::Refusal;
use framefair_app::provider::{self, Signed};
use framefair_domain::signing::Once;
use framefair_http::{Api, JsonBody, Whole};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Market;
use crate::face::Error;
use crate::shapes::{Data, RawPricing, data};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Given {
    provider_id: String,
    pricing: RawPricing,
    signature: String,
    timestamp: Option<Whole<i64>>,
    nonce: Option<String>,
}

#[utoipa::path(put, path = "/provider/pricing", operation_id = "providerPricing", tag = "Provider",
    request_body(content_type = "application/json", description = "providerId, pricing, signature"),
    responses((status = 200, description = "done"), (status = 400, description = "bad input"),
        (status = 401, description = "bad signature"), (status = 404, description = "no such provider")))]
pub(crate) async fn provider_pricing(
    State(api): State<Api>,
    JsonBody(given, _): JsonBody<Market, Given>,
) -> Result<Data<Value>, Error> {
    let id = given.provider_id.parse().map_err(|_| Refusal::NotFound)?;
    let tariff = given.pricing.tariff()?;
    let once = Once::read(given.timestamp.map(|it| it.0), given.nonce.as_deref())
        .map_err(Refusal::from)?;
    let signed = Signed { signature: given.signature, once };
    let raw = given.pricing.text();
    provider::set_pricing(&api.ctx, &api.call(), id, tariff, raw, &signed).await?;
    Ok(data(json!({ "providerId": id, "message": "Pricing updated" })))
}
