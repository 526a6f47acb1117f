//! `POST /provider/register`.

use axum::extract::State;
use framefair_app::Refusal;
use framefair_app::provider::{self, Registration, Signed};
use framefair_domain::id::ProviderId;
use framefair_domain::signing::Once;
use framefair_http::{Api, JsonBody, Whole};
use serde::{Deserialize, Serialize};

use crate::Market;
use crate::face::Error;
use crate::shapes::{Data, RawPricing, Spec, data};

#[derive(Debug, Deserialize)]
pub(crate) struct Given {
    name: String,
    wallet: String,
    endpoint: String,
    spec: Spec,
    pricing: RawPricing,
    signature: String,
    timestamp: Option<Whole<i64>>,
    nonce: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Registered {
    provider_id: ProviderId,
    message: &'static str,
}

#[utoipa::path(post, path = "/provider/register", operation_id = "providerRegister", tag = "Provider",
    request_body(content_type = "application/json", description = "name, wallet, endpoint, spec, pricing, signature"),
    responses((status = 200, description = "registered"), (status = 400, description = "bad input"), (status = 401, description = "bad signature")))]
pub(crate) async fn provider_register(
    State(api): State<Api>,
    JsonBody(given, _): JsonBody<Market, Given>,
) -> Result<Data<Registered>, Error> {
    let registration = registration(given)?;
    let provider_id = provider::register(&api.ctx, &api.call(), registration).await?;
    Ok(data(Registered { provider_id, message: "Provider registered successfully" }))
}

fn registration(given: Given) -> Result<Registration, Refusal> {
    if !(1..=100).contains(&given.name.chars().count()) {
        return Err(Refusal::invalid("name: 1 to 100 characters"));
    }
    let once = Once::read(given.timestamp.map(|it| it.0), given.nonce.as_deref())?;
    Ok(Registration {
        wallet: given.wallet.parse().map_err(|why| Refusal::Invalid(format!("wallet: {why}")))?,
        abilities: given.spec.abilities()?,
        tariff: given.pricing.tariff()?,
        spec: given.spec.text(),
        name: given.name,
        endpoint: given.endpoint,
        signed: Signed { signature: given.signature, once },
    })
}
