//! `POST /api/v1/credits/deduct`: a deduction that a user makes from their own account.

use axum::Json;
use axum::extract::State;
use framefair_app::credits::{self, Deduction};
use framefair_http::{Api, Checked, Named, User};

use crate::Creator;
use crate::face::Error;
use crate::shapes::CreditEntry;

#[utoipa::path(post, path = "/api/v1/credits/deduct", operation_id = "creditDeduct", tag = "Credits",
    request_body(content_type = "application/json", description = "amount, reference_id, description"),
    responses((status = 200, description = "the entry"), (status = 401, description = "not authenticated"),
        (status = 402, description = "too little"), (status = 409, description = "another amount before"),
        (status = 422, description = "bad input")))]
pub(crate) async fn credit_deduct(
    State(api): State<Api>,
    User(person, _): User<Creator>,
    Named(key, _): Named<Creator>,
    Checked(wish, _): Checked<Creator, Deduction>,
) -> Result<Json<CreditEntry>, Error> {
    Ok(Json(credits::deduct(&api.ctx, &mut api.call(), person.id, key, wish).await?.into()))
}
