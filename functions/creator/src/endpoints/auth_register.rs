//! `POST /api/v1/auth/register`: an account, and its first session.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use framefair_app::account::{self, Registration};
use framefair_http::{Api, Checked};
use serde::Serialize;

use crate::Creator;
use crate::face::Error;
use crate::shapes::{Account, Tokens};

#[derive(Debug, Serialize)]
pub(crate) struct Registered {
    user: Account,
    tokens: Tokens,
    /// The same again, where the Creator app looks for it.
    #[serde(flatten)]
    flat: Tokens,
}

#[utoipa::path(post, path = "/api/v1/auth/register", operation_id = "register", tag = "Auth",
    request_body(content_type = "application/json", description = "email, name, password"),
    responses((status = 201, description = "account created"), (status = 409, description = "e-mail taken"),
        (status = 422, description = "bad input"), (status = 429, description = "too many")))]
pub(crate) async fn register(
    State(api): State<Api>,
    Checked(wish, _): Checked<Creator, Registration>,
) -> Result<(StatusCode, Json<Registered>), Error> {
    let made = account::register(&api.ctx, &mut api.call(), wish).await?;
    let user = Account {
        id: made.user.id,
        email: made.user.email,
        name: made.user.name,
        is_active: made.user.active,
    };
    let tokens = Tokens::from(made.tokens);
    Ok((StatusCode::CREATED, Json(Registered { user, flat: tokens.clone(), tokens })))
}
