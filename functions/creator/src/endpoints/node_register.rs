//! `POST /api/v1/nodes/register`: a node joins the fleet by its key.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use framefair_app::Refusal;
use framefair_app::fleet::{self, Enrolled, Enrolment, Health};
use framefair_domain::id::ProviderId;
use framefair_http::{Api, Checked};
use serde::Serialize;

use crate::Creator;
use crate::face::Error;

/// What the holder of a known key is to sign.
const CHALLENGE: HeaderName = HeaderName::from_static("x-node-challenge");

#[derive(Debug, Serialize)]
struct Registered {
    node_id: ProviderId,
    challenge: String,
    token: String,
    status: &'static str,
}

#[utoipa::path(post, path = "/api/v1/nodes/register", operation_id = "nodeRegister", tag = "Nodes",
    request_body(content_type = "application/json", description = "name, public_key, capabilities, metadata, challenge, signature"),
    responses((status = 201, description = "registered"), (status = 409, description = "a known key without proof"),
        (status = 422, description = "bad input"), (status = 429, description = "too many")))]
pub(crate) async fn node_register(
    State(api): State<Api>,
    Checked(wish, _): Checked<Creator, Enrolment>,
) -> Result<Response, Error> {
    match fleet::register(&api.ctx, &mut api.call(), wish).await? {
        Enrolled::Registered { node: node_id, challenge, token } => {
            let status = Health::Registered.word();
            let registered = Registered { node_id, challenge, token, status };
            Ok((StatusCode::CREATED, Json(registered)).into_response())
        }
        Enrolled::Known { challenge } => {
            let mut response = Error::new(Refusal::KeyKnown).into_response();
            if let Ok(challenge) = HeaderValue::from_str(&challenge) {
                response.headers_mut().insert(CHALLENGE, challenge);
            }
            Ok(response)
        }
    }
}
