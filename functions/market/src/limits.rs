//! How often one address may use the market's routes, as its contract says.

use axum::http::Method;
use framefair_http::rate::Rate;

const SUBMISSIONS_PER_MINUTE: u32 = 10;
const LISTS_PER_MINUTE: u32 = 60;
const OTHERS_PER_MINUTE: u32 = 120;

/// What is allowed on a route. It is the same route under the hub's prefix.
pub(crate) fn rate(method: &Method, template: &str) -> Option<Rate> {
    let path = template.strip_prefix("/hub").unwrap_or(template);
    // HEAD runs the same handler, so it is no way around the limit.
    let method = if method == Method::HEAD { &Method::GET } else { method };
    let route = format!("{method} {path}");
    let per_minute = match route.as_str() {
        "POST /render" => SUBMISSIONS_PER_MINUTE,
        "GET /providers" => LISTS_PER_MINUTE,
        _ => OTHERS_PER_MINUTE,
    };
    // Each of these leaves something behind: a scene, a provider.
    let exact = matches!(route.as_str(), "POST /render" | "POST /provider/register");
    Some(Rate { route, per_minute, exact })
}
