//! What no route takes: 405 on a path that other verbs have, else 404, in the words of the face whose
//! prefix the path bears. Knows the paths of all faces and nothing of what is behind them.

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use framefair_http::Origins;
use serde_json::{Value, json};

/// Every path and the verbs it takes. In the cloud the gateway knows the routes and does not tell;
/// a test holds this equal to the template, and to the pages that stand beside it.
pub const KNOWN: &[(&str, &str)] = &[
    ("/api/v1/auth/login", "POST"),
    ("/api/v1/auth/logout", "POST"),
    ("/api/v1/auth/refresh", "POST"),
    ("/api/v1/auth/register", "POST"),
    ("/api/v1/credits/balance", "GET"),
    ("/api/v1/credits/checkout", "POST"),
    ("/api/v1/credits/deduct", "POST"),
    ("/api/v1/credits/history", "GET"),
    ("/api/v1/credits/usage", "GET"),
    ("/api/v1/health", "GET"),
    ("/api/v1/health/ready", "GET"),
    ("/api/v1/jobs", "GET"),
    ("/api/v1/jobs/dispatch", "POST"),
    ("/api/v1/jobs/{job_id}", "GET"),
    ("/api/v1/jobs/{job_id}/cancel", "POST"),
    ("/api/v1/jobs/{job_id}/result", "GET"),
    ("/api/v1/nodes", "GET"),
    ("/api/v1/nodes/heartbeat", "POST"),
    ("/api/v1/nodes/register", "POST"),
    ("/api/v1/ledger/anchors", "GET"),
    ("/api/v1/ledger/{entry_id}/proof", "GET"),
    ("/api/v1/ledger/{entry_id}/verify", "GET"),
    ("/api/v1/webhooks/stripe", "POST"),
    ("/docs", "GET"),
    ("/docs/assets/{file}", "GET"),
    ("/health", "GET"),
    ("/metrics", "GET"),
    ("/openapi.json", "GET"),
    ("/provider/job/{jobId}/complete", "POST"),
    ("/provider/job/{jobId}/failed", "POST"),
    ("/provider/pricing", "PUT"),
    ("/provider/register", "POST"),
    ("/provider/status", "PUT"),
    ("/providers", "GET"),
    ("/providers/{id}", "GET"),
    ("/redoc", "GET"),
    ("/render", "POST"),
    ("/render/pay", "POST"),
    ("/render/{jobId}", "GET"),
    ("/render/{jobId}/cancel", "POST"),
    ("/render/{jobId}/result", "GET"),
    ("/stats", "GET"),
    ("/uploads", "POST"),
    ("/uploads/{uploadId}/complete", "POST"),
    ("/uploads/{uploadId}/parts", "POST"),
    ("/version", "GET"),
];

/// First segments that belong to the market.
const MARKET: &[&str] = &["hub", "provider", "providers", "render", "stats", "uploads", "ws"];

pub(crate) async fn refuse(request: Request) -> Response {
    let mut response = refusal(request.uri().path());
    if !is_markets(request.uri().path()) {
        let asking = request.headers().get(header::ORIGIN);
        Origins::from_env().admit(asking, response.headers_mut());
    }
    response
}

fn refusal(path: &str) -> Response {
    let Some(allow) = allowed(path) else { return not_found(path) };
    let body = body(path, "Method not allowed", "Method Not Allowed");
    let allow = [(header::ALLOW, HeaderValue::from_static(allow))];
    (StatusCode::METHOD_NOT_ALLOWED, allow, Json(body)).into_response()
}

/// What is said where nothing is.
pub fn not_found(path: &str) -> Response {
    (StatusCode::NOT_FOUND, Json(body(path, "Not found", "Not Found"))).into_response()
}

/// The verbs of a known path; a literal one goes before one with parameters.
fn allowed(path: &str) -> Option<&'static str> {
    let path = match path.strip_prefix("/hub").filter(|rest| rest.starts_with('/')) {
        // No other face is to be had under the hub's prefix.
        Some(rest) if rest != "/health" && !is_markets(rest) => return None,
        Some(rest) => rest,
        None => path,
    };
    let literal = KNOWN.iter().find(|(known, _)| *known == path);
    literal.or_else(|| KNOWN.iter().find(|(known, _)| fits(known, path))).map(|(_, allow)| *allow)
}

fn fits(template: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    let same =
        |(want, give): (&str, &str)| want == give || (want.starts_with('{') && !give.is_empty());
    wanted.clone().count() == given.clone().count() && wanted.by_ref().zip(given.by_ref()).all(same)
}

fn is_markets(path: &str) -> bool {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    MARKET.contains(&first)
}

fn body(path: &str, error: &str, detail: &str) -> Value {
    if path.starts_with("/api/v1/") || ["/version", "/metrics"].contains(&path) {
        return json!({ "detail": detail });
    }
    if is_markets(path) {
        return json!({ "success": false, "error": error });
    }
    // Outside every prefix the body speaks every face's language.
    json!({ "detail": detail, "success": false, "error": error, "message": error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_path_is_known_with_and_without_the_hubs_prefix() {
        for (path, allow) in [
            ("/render", Some("POST")),
            ("/hub/render", Some("POST")),
            ("/render/pay", Some("POST")),
            ("/render/0195a2c4", Some("GET")),
            ("/hub/health", Some("GET")),
            ("/providers/", None),
            ("/hub", None),
            ("/hubrender", None),
            ("/api/v1/auth/login", Some("POST")),
            ("/hub/api/v1/auth/login", None),
            ("/hub/version", None),
            ("/render/a/b", None),
            ("/", None),
        ] {
            assert_eq!(allowed(path), allow, "{path}");
        }
    }

    #[test]
    fn a_path_is_answered_in_the_words_of_the_face_it_belongs_to() {
        let market = json!({ "success": false, "error": "Not found" });
        for path in ["/render/a/b", "/hub/x", "/provider", "/ws/x"] {
            assert_eq!(body(path, "Not found", "Not Found"), market, "{path}");
        }
        let creator = json!({ "detail": "Not Found" });
        assert_eq!(body("/api/v1/x", "Not found", "Not Found"), creator);
        assert_eq!(body("/wp-login.php", "Not found", "Not Found")["detail"], "Not Found");
    }
}
