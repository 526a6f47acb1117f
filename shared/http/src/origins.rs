//! Which pages may call with credentials from a browser, and how they are told.

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::{Next, from_fn};

/// Origins that may send credentials, from `CORS_ORIGINS`, separated by commas. `*` is none of them.
#[derive(Clone, Debug, Default)]
pub struct Origins(Vec<String>);

/// Credentials for every page there is would be nobody's wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("CORS_ORIGINS names `*`, and ENVIRONMENT says production; name each origin")]
pub struct EveryOrigin;

impl Origins {
    /// Production does not start with `*`; elsewhere it is passed over.
    pub fn check() -> Result<(), EveryOrigin> {
        let given = std::env::var("CORS_ORIGINS").unwrap_or_default();
        let is_every = given.split(',').any(|origin| origin.trim() == "*");
        if is_every && crate::is_production() { Err(EveryOrigin) } else { Ok(()) }
    }

    pub fn from_env() -> Origins {
        let given = std::env::var("CORS_ORIGINS").unwrap_or_default();
        let each = given.split(',').map(str::trim).filter(|origin| !origin.is_empty());
        Origins(each.filter(|origin| *origin != "*").map(str::to_owned).collect())
    }

    /// What lets the page that asks read the answer; says whether it may.
    pub fn admit(&self, asking: Option<&HeaderValue>, answer: &mut HeaderMap) -> bool {
        answer.insert(header::VARY, HeaderValue::from_static("Origin"));
        let known = |origin: &&HeaderValue| {
            origin.to_str().is_ok_and(|origin| self.0.iter().any(|known| known == origin))
        };
        let Some(origin) = asking.filter(known) else { return false };
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        answer.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        true
    }

    /// Lets them read every answer of the router.
    pub fn around(self, router: Router) -> Router {
        router.layer(from_fn(move |request: Request, next: Next| {
            let origins = self.clone();
            async move {
                let asking = request.headers().get(header::ORIGIN).cloned();
                let mut answer = next.run(request).await;
                origins.admit(asking.as_ref(), answer.headers_mut());
                answer
            }
        }))
    }
}
