//! `POST /api/v1/webhooks/stripe`: what Stripe reports. Believed by its signature alone.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use framefair_app::credits::{self, WEBHOOK_BYTES_MAX};
use framefair_http::{Api, RawBody};
use serde::Serialize;

use crate::Creator;
use crate::face::Error;

const SIGNATURE: &str = "stripe-signature";

#[derive(Debug, Serialize)]
pub(crate) struct Received {
    received: bool,
}

#[utoipa::path(post, path = "/api/v1/webhooks/stripe", operation_id = "stripeWebhook", tag = "Webhooks",
    request_body(content_type = "application/json", description = "an event of Stripe, at most 256 KiB"),
    responses((status = 200, description = "received"),
        (status = 400, description = "no signature, not Stripe's, or no event")))]
pub(crate) async fn stripe_webhook(
    State(api): State<Api>,
    headers: HeaderMap,
    RawBody(body, _): RawBody<Creator, WEBHOOK_BYTES_MAX>,
) -> Result<Json<Received>, Error> {
    // What is no text is nobody's signature, yet it is there.
    let signature = headers.get(SIGNATURE).map_or("", |value| value.to_str().unwrap_or("?"));
    credits::reported(&api.ctx, &mut api.call(), body.as_deref(), signature).await?;
    Ok(Json(Received { received: true }))
}
