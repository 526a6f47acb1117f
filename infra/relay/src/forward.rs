//! The way on from an ingest that stands apart from the API: the same request to the API's own origin,
//! and its answer as it comes.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::header::{self, HeaderName};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use framefair_app::Refusal;
use framefair_http::{FORM_BYTES_MAX, Face, Front, Refused, address};
use framefair_outbound::{Bounds, Home};

/// The gateway ends a request after 30 s.
const BOUNDS: Bounds = Bounds {
    idle: Duration::from_secs(35),
    whole: Duration::from_secs(60),
    answer_bytes_max: 8 << 20,
};

/// Of one connection, and not of what it carries.
const OF_THE_LINE: [HeaderName; 8] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// Where requests go on to, and what this deployment's front shows there.
#[derive(Clone)]
pub struct Onward {
    pub home: Home,
    pub front: Option<Front>,
}

/// The paths that may carry large files, each of them going on; with what fails here said in the words
/// of face `F`.
pub fn forward<F: Face>(onward: Onward) -> Router {
    let route = || {
        let onward = onward.clone();
        any(move |request: Request| async move {
            match onward.pass(request).await {
                Ok(answer) => answer,
                Err(refusal) => Refused::<F>::new(refusal).into_response(),
            }
        })
    };
    Router::new().route("/render", route()).route("/provider/job/{jobId}/complete", route())
}

impl Onward {
    async fn pass(&self, request: Request) -> Result<Response, Refusal> {
        let (mut head, body) = request.into_parts();
        let body = to_bytes(body, FORM_BYTES_MAX).await.map_err(|_| Refusal::TooLarge)?;
        carried(&mut head.headers);
        if let Some(front) = &self.front {
            front.vouch(&mut head.headers, address(&head.extensions));
        }
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let asked = self.home.ask(head.method, path, head.headers, body, BOUNDS).await;
        let mut answer = asked.map_err(|failed| {
            tracing::warn!(%failed, path = head.uri.path(), "The API did not answer");
            Refusal::Busy
        })?;
        carried(&mut answer.headers);
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
        Ok((status, answer.headers, Body::from(Bytes::from(answer.body))).into_response())
    }
}

fn carried(headers: &mut HeaderMap) {
    for name in &OF_THE_LINE {
        headers.remove(name);
    }
}
