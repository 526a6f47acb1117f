//! `POST /api/v1/auth/logout`: the end of a session, and of every token of it.

use axum::Json;
use axum::extract::State;
use framefair_app::account;
use framefair_http::{Api, Bearer};
use serde_json::{Value, json};

use crate::face::Error;

#[utoipa::path(post, path = "/api/v1/auth/logout", operation_id = "logout", tag = "Auth",
    responses((status = 200, description = "done"), (status = 401, description = "not authenticated")))]
pub(crate) async fn logout(
    State(api): State<Api>,
    Bearer(token): Bearer,
) -> Result<Json<Value>, Error> {
    account::logout(&api.ctx, &api.call(), token.as_deref()).await?;
    Ok(Json(json!({ "message": "Logged out successfully" })))
}
