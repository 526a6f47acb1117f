//! `POST /api/v1/auth/login`: e-mail and password for a pair of tokens.

use axum::Json;
use axum::extract::State;
use framefair_app::account::{self, Login};
use framefair_http::{Api, Checked};

use crate::Creator;
use crate::face::Error;
use crate::shapes::Tokens;

#[utoipa::path(post, path = "/api/v1/auth/login", operation_id = "login", tag = "Auth",
    request_body(content_type = "application/json", description = "email, password"),
    responses((status = 200, description = "token pair"), (status = 401, description = "wrong, or inactive"),
        (status = 422, description = "bad input"), (status = 429, description = "too many")))]
pub(crate) async fn login(
    State(api): State<Api>,
    Checked(wish, _): Checked<Creator, Login>,
) -> Result<Json<Tokens>, Error> {
    Ok(Json(account::login(&api.ctx, &mut api.call(), wish).await?.into()))
}
