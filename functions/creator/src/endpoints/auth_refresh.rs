//! `POST /api/v1/auth/refresh`: a new pair for a refresh token, which is used up.

use axum::Json;
use axum::extract::State;
use framefair_app::account;
use framefair_http::{Api, Checked};
use garde::Validate;
use serde::Deserialize;

use crate::Creator;
use crate::face::Error;
use crate::shapes::Tokens;

#[derive(Deserialize, Validate)]
pub(crate) struct Wish {
    #[garde(skip)]
    refresh_token: String,
}

#[utoipa::path(post, path = "/api/v1/auth/refresh", operation_id = "refresh", tag = "Auth",
    request_body(content_type = "application/json", description = "refresh_token"),
    responses((status = 200, description = "new pair"), (status = 401, description = "no good"),
        (status = 422, description = "bad input"), (status = 429, description = "too many")))]
pub(crate) async fn refresh(
    State(api): State<Api>,
    Checked(wish, _): Checked<Creator, Wish>,
) -> Result<Json<Tokens>, Error> {
    Ok(Json(account::refresh(&api.ctx, &mut api.call(), &wish.refresh_token).await?.into()))
}
