//! A deployment behind a front, such as a content network: one secret that the front shows with every
//! request, and the address of the viewer that it names. Who comes past the front is not answered, or
//! anybody could name any address.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use sha2::{Digest, Sha256};

/// The front's secret.
const SECRET: HeaderName = HeaderName::from_static("x-framefair-front");
/// The address of whoever asks the front.
const VIEWER: HeaderName = HeaderName::from_static("x-framefair-viewer");
const SECRET_BYTES_MIN: usize = 32;

/// `FRONT_SECRET` is set to something that can be guessed, or that no header carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("FRONT_SECRET needs at least {SECRET_BYTES_MIN} visible characters")]
pub struct WeakSecret;

/// What this deployment and its front know.
#[derive(Clone)]
pub struct Front(Arc<HeaderValue>);

impl Front {
    /// From `FRONT_SECRET`; none where callers reach the process itself.
    pub fn from_env() -> Result<Option<Front>, WeakSecret> {
        let secret = std::env::var("FRONT_SECRET").ok().filter(|secret| !secret.is_empty());
        secret.map(|secret| Front::new(&secret)).transpose()
    }

    pub fn new(secret: &str) -> Result<Front, WeakSecret> {
        let mut value = HeaderValue::from_str(secret).map_err(|_| WeakSecret)?;
        value.set_sensitive(true);
        let visible = secret.bytes().all(|byte| byte.is_ascii_graphic());
        (visible && secret.len() >= SECRET_BYTES_MIN)
            .then(|| Front(Arc::new(value)))
            .ok_or(WeakSecret)
    }

    /// Answers what came by the front, with the viewer as the one who calls.
    pub fn before(self, router: Router) -> Router {
        router.layer(from_fn_with_state(self, admit))
    }

    /// What this front says of a request from `viewer`.
    pub fn vouch(&self, headers: &mut HeaderMap, viewer: IpAddr) {
        headers.insert(SECRET, HeaderValue::clone(&self.0));
        if let Ok(viewer) = HeaderValue::from_str(&viewer.to_string()) {
            headers.insert(VIEWER, viewer);
        }
    }

    /// Whether the secret is there. Hashes are compared, so how long that takes tells nothing of it.
    fn is_shown(&self, headers: &HeaderMap) -> bool {
        let hash = |value: &HeaderValue| Sha256::digest(value.as_bytes());
        headers.get(SECRET).is_some_and(|shown| hash(shown) == hash(&self.0))
    }
}

async fn admit(State(front): State<Front>, mut request: Request, next: Next) -> Response {
    let headers = request.headers_mut();
    let shown = front.is_shown(headers);
    headers.remove(SECRET);
    let viewer = headers.remove(VIEWER);
    if !shown {
        let error = "Forbidden: this deployment answers at its public address only";
        let body = serde_json::json!({ "success": false, "error": error });
        return (StatusCode::FORBIDDEN, Json(body)).into_response();
    }
    let viewer = viewer.and_then(|viewer| viewer.to_str().ok()?.parse::<IpAddr>().ok());
    if let Some(viewer) = viewer {
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(viewer, 0)));
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;
    use crate::address;

    const WORD: &str = "thirty-two-characters-or-more-of-it";

    async fn ask(headers: &[(&HeaderName, &str)]) -> (StatusCode, String) {
        let seen = |request: Request| async move {
            let left = request.headers().len();
            format!("{} {left}", address(request.extensions()))
        };
        let router = Front::new(WORD).expect("strong").before(Router::new().route("/", get(seen)));
        let request = headers
            .iter()
            .fold(Request::get("/"), |request, (name, value)| request.header(*name, *value));
        let request = request.body(Body::empty()).expect("a request");
        let answer = router.oneshot(request).await.expect("infallible");
        let status = answer.status();
        let body = axum::body::to_bytes(answer.into_body(), 1_000).await.expect("a short body");
        (status, String::from_utf8(body.into()).expect("text"))
    }

    #[tokio::test]
    async fn only_who_shows_the_secret_is_answered_and_names_the_viewer() {
        let viewer = (&VIEWER, "2001:db8::7");
        assert_eq!(ask(&[(&SECRET, WORD), viewer]).await, (StatusCode::OK, "2001:db8::7 0".into()));
        let nobody = (StatusCode::OK, "0.0.0.0 0".to_owned());
        assert_eq!(ask(&[(&SECRET, WORD)]).await, nobody);
        assert_eq!(ask(&[(&SECRET, WORD), (&VIEWER, "localhost")]).await, nobody);
        for wrong in [&[viewer][..], &[(&SECRET, &WORD[1..]), viewer], &[(&SECRET, ""), viewer]] {
            assert_eq!(ask(wrong).await.0, StatusCode::FORBIDDEN);
        }
    }

    #[test]
    fn a_secret_that_can_be_guessed_is_none() {
        for weak in ["", "short", &" ".repeat(40), &"ä".repeat(40)] {
            assert!(Front::new(weak).is_err(), "{weak}");
        }
        let mut headers = HeaderMap::new();
        let front = Front::new(WORD).expect("strong");
        front.vouch(&mut headers, IpAddr::from([192, 0, 2, 1]));
        assert!(front.is_shown(&headers) && headers[VIEWER] == "192.0.2.1");
        assert!(!Front::new(&WORD.repeat(2)).expect("strong").is_shown(&headers));
    }
}
