//! `GET /api/v1/credits/balance`: what was posted, and what of it is held.

use axum::Json;
use axum::extract::State;
use framefair_app::{Refusal, credits};
use framefair_domain::id::UserId;
use framefair_http::{Api, User};
use serde::Serialize;

use crate::Creator;
use crate::face::Error;
use crate::shapes::Time;

#[derive(Debug, Serialize)]
pub(crate) struct Balance {
    balance: String,
    user_id: UserId,
    updated_at: Time,
    available: String,
    held: String,
}

#[utoipa::path(get, path = "/api/v1/credits/balance", operation_id = "creditBalance", tag = "Credits",
    responses((status = 200, description = "the balance"), (status = 401, description = "not authenticated")))]
pub(crate) async fn credit_balance(
    State(api): State<Api>,
    User(person, _): User<Creator>,
) -> Result<Json<Balance>, Error> {
    let row = credits::balance(&api.ctx, person.id).await?;
    let posted = row.available.checked_add(row.held).ok_or(Refusal::Busy)?;
    Ok(Json(Balance {
        balance: posted.to_string(),
        user_id: person.id,
        updated_at: Time(row.updated),
        available: row.available.to_string(),
        held: row.held.to_string(),
    }))
}
