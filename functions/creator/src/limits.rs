//! How often one address may use the creator's routes, as its contract says.

use axum::http::Method;
use framefair_http::rate::Rate;

/// What routes without a documented limit have: an office of ten accounts, each up to its own ceiling.
const CEILING_PER_MINUTE: u32 = 6_000;

/// What is allowed on a route.
pub(crate) fn rate(method: &Method, template: &str) -> Option<Rate> {
    // HEAD runs the same handler, so it is no way around the limit.
    let method = if method == Method::HEAD { &Method::GET } else { method };
    let route = format!("{method} {template}");
    let per_minute = match route.as_str() {
        "POST /api/v1/auth/login" => 5,
        "POST /api/v1/auth/refresh" => 3,
        "POST /api/v1/auth/register" => 10,
        // Nobody says who calls, and each new key is a row; a farm behind one address starts at once.
        "POST /api/v1/nodes/register" => 60,
        // One answer reads many rows.
        "GET /api/v1/nodes" | "GET /metrics" => 60,
        _ => CEILING_PER_MINUTE,
    };
    // Those that guess passwords and tokens, or make accounts.
    let exact = matches!(
        route.as_str(),
        "POST /api/v1/auth/login" | "POST /api/v1/auth/refresh" | "POST /api/v1/auth/register"
    );
    Some(Rate { route, per_minute, exact })
}
