//! `OPTIONS`: which origins may call from a browser.

use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

const METHODS: &str = "GET, POST, PUT, PATCH, DELETE, OPTIONS";
const HEADERS: &str = "Authorization, Content-Type, X-Request-ID, Idempotency-Key, X-Upload-Token";

/// Origins that may send credentials, from `CORS_ORIGINS`, separated by commas.
#[derive(Clone, Debug, Default)]
pub struct Origins(Vec<String>);

impl Origins {
    pub fn from_env() -> Origins {
        let given = std::env::var("CORS_ORIGINS").unwrap_or_default();
        let each = given.split(',').map(str::trim).filter(|origin| !origin.is_empty());
        Origins(each.filter(|origin| *origin != "*").map(str::to_owned).collect())
    }

    fn allows(&self, origin: &str) -> bool {
        self.0.iter().any(|known| known == origin)
    }
}

pub(crate) async fn preflight(request: Request) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    let origin = request.headers().get(header::ORIGIN);
    let known = origin.and_then(|o| o.to_str().ok()).is_some_and(|o| Origins::from_env().allows(o));
    let Some(origin) = origin.filter(|_| known) else { return response };
    let fixed = HeaderValue::from_static;
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, fixed("true"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, fixed(METHODS));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, fixed(HEADERS));
    response
}

/// In front of every route: a known path has no verb `OPTIONS` of its own.
pub(crate) async fn answer_preflight(request: Request, next: Next) -> Response {
    if request.method() == Method::OPTIONS {
        preflight(request).await
    } else {
        next.run(request).await
    }
}
