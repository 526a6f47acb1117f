//! `POST /api/v1/credits/checkout`: a page at Stripe on which a package of credits is paid for.

use axum::Json;
use axum::extract::State;
use framefair_app::credits::{self, Order};
use framefair_http::{Api, Checked, Named, User};
use serde::Serialize;

use crate::Creator;
use crate::face::Error;

#[derive(Debug, Serialize)]
pub(crate) struct Page {
    url: String,
}

#[utoipa::path(post, path = "/api/v1/credits/checkout", operation_id = "creditCheckout", tag = "Credits",
    request_body(content_type = "application/json", description = "sku"),
    responses((status = 200, description = "where to pay"), (status = 401, description = "not authenticated"),
        (status = 409, description = "another body before"), (status = 422, description = "bad input"),
        (status = 503, description = "nothing is sold here, or Stripe does not answer")))]
pub(crate) async fn credit_checkout(
    State(api): State<Api>,
    User(person, _): User<Creator>,
    Named(key, _): Named<Creator>,
    Checked(order, _): Checked<Creator, Order>,
) -> Result<Json<Page>, Error> {
    let url = credits::checkout(&api.ctx, &mut api.call(), person.id, key, order).await?;
    Ok(Json(Page { url }))
}
