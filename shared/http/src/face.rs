//! How a refusal becomes an answer: the meaning is the app's, the words are the face's.

use std::marker::PhantomData;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use framefair_app::Refusal;
use uuid::Uuid;

/// One of the published contracts.
pub trait Face: Send + Sync + 'static {
    /// The status and the body that the contract has for this refusal. All of it in one `match`,
    /// so that a new refusal does not compile until the face has words for it.
    fn refuse(refusal: &Refusal) -> (StatusCode, serde_json::Value);
}

/// A refusal on its way out of a handler of face `F`.
#[derive(Debug)]
pub struct Refused<F> {
    refusal: Refusal,
    face: PhantomData<F>,
}

impl<F> Refused<F> {
    pub fn new(refusal: Refusal) -> Refused<F> {
        Refused { refusal, face: PhantomData }
    }
}

impl<F, R: Into<Refusal>> From<R> for Refused<F> {
    fn from(refusal: R) -> Refused<F> {
        Refused::new(refusal.into())
    }
}

/// Ties a 500 to its line in the log.
const INCIDENT: HeaderName = HeaderName::from_static("x-incident-id");

impl<F: Face> IntoResponse for Refused<F> {
    fn into_response(self) -> Response {
        let (status, body) = F::refuse(&self.refusal);
        let mut response = (status, Json(body)).into_response();
        match &self.refusal {
            Refusal::Broken(broken) => {
                let incident = Uuid::new_v4();
                tracing::error!(%incident, cause = %broken, "A request broke");
                if let Ok(value) = HeaderValue::from_str(&incident.to_string()) {
                    response.headers_mut().insert(INCIDENT, value);
                }
            }
            Refusal::Unauthenticated(_) => {
                let bearer = HeaderValue::from_static("Bearer");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
            }
            Refusal::Busy => {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            refusal => tracing::info!(status = status.as_u16(), %refusal, "Refused a request"),
        }
        response
    }
}
