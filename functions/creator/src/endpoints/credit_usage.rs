//! `GET /api/v1/credits/usage`: credits used, by day.

use axum::Json;
use axum::extract::State;
use framefair_app::credits;
use framefair_http::{Api, CheckedQuery, User};
use garde::Validate;
use serde::{Deserialize, Serialize};

use crate::Creator;
use crate::face::Error;
use crate::shapes::Number;

const DAYS: u32 = 7;

#[derive(Debug, Deserialize, Validate)]
pub(crate) struct Span {
    #[garde(inner(range(min = 1, max = 90)))]
    days: Option<u32>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Used {
    date: String,
    credits: Number,
}

#[utoipa::path(get, path = "/api/v1/credits/usage", operation_id = "creditUsage", tag = "Credits",
    params(("days" = Option<u32>, Query)),
    responses((status = 200, description = "one element per day"), (status = 401, description = "not authenticated"),
        (status = 422, description = "bad query")))]
pub(crate) async fn credit_usage(
    State(api): State<Api>,
    User(person, _): User<Creator>,
    CheckedQuery(span, _): CheckedQuery<Creator, Span>,
) -> Result<Json<Vec<Used>>, Error> {
    let days = span.days.unwrap_or(DAYS);
    let used = credits::usage(&api.ctx, &api.call(), person.id, days).await?;
    let used =
        used.into_iter().map(|(day, sum)| Used { date: day.to_string(), credits: Number(sum) });
    Ok(Json(used.collect()))
}
