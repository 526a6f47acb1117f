//! How often one address may ask one route: fixed windows of a minute, counted in this process and
//! exact for it. Knows addresses of sockets only: no header says who is calling.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::extract::{ConnectInfo, MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use framefair_app::Refusal;

use crate::{Face, Refused};

const WINDOW_S: u64 = 60;
/// Callers beyond this many within one window are not counted: the memory of a count is bounded,
/// and who owns that many addresses is not held by a limit per address.
const CALLERS_MAX: usize = 100_000;

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// What a face allows on one of its routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Routes of one name share one count.
    pub route: String,
    pub per_minute: u32,
}

/// Says what is allowed on a route, by its method and the template of its path.
pub type Rates = fn(&Method, &str) -> Option<Rate>;

/// The counts of one process.
#[derive(Debug)]
pub struct Counters {
    started: Instant,
    windows: Mutex<Windows>,
}

impl Default for Counters {
    fn default() -> Counters {
        Counters { started: Instant::now(), windows: Mutex::default() }
    }
}

impl Counters {
    fn count(&self, rate: &Rate, caller: IpAddr) -> Counted {
        let now_s = self.started.elapsed().as_secs();
        self.windows.lock().unwrap_or_else(PoisonError::into_inner).count(rate, caller, now_s)
    }
}

/// One call, counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counted {
    limit: u32,
    /// None: this call was one too many.
    remaining: Option<u32>,
    reset_s: u64,
}

#[derive(Debug, Default)]
struct Windows {
    /// Which window the counts belong to.
    at: u64,
    calls: HashMap<(String, IpAddr), u32>,
}

impl Windows {
    fn count(&mut self, rate: &Rate, caller: IpAddr, now_s: u64) -> Counted {
        if self.at != now_s / WINDOW_S {
            self.at = now_s / WINDOW_S;
            self.calls = HashMap::new();
        }
        let key = (rate.route.clone(), network(caller));
        let calls = if self.calls.len() < CALLERS_MAX || self.calls.contains_key(&key) {
            let calls = self.calls.entry(key).or_default();
            *calls = calls.saturating_add(1);
            *calls
        } else {
            1
        };
        Counted {
            limit: rate.per_minute,
            remaining: rate.per_minute.checked_sub(calls),
            reset_s: WINDOW_S - now_s % WINDOW_S,
        }
    }
}

/// Whom an address stands for: one line of the internet has a whole /64 of the sixth version.
fn network(caller: IpAddr) -> IpAddr {
    match caller.to_canonical() {
        IpAddr::V6(address) => {
            let mask = u128::MAX << 64;
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
        v4 => v4,
    }
}

/// Limits the routes that `router` has by now, in the words of face `F`. Needs the process to serve
/// with the addresses of its sockets; without them everybody counts as one.
pub fn limited<F: Face>(router: Router, counters: &Arc<Counters>, rates: Rates) -> Router {
    let counters = counters.clone();
    router.route_layer(from_fn(move |request: Request, next: Next| {
        let counters = counters.clone();
        async move { count::<F>(&counters, rates, request, next).await }
    }))
}

async fn count<F: Face>(
    counters: &Counters,
    rates: Rates,
    request: Request,
    next: Next,
) -> Response {
    let template = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let Some(rate) = template.and_then(|template| rates(request.method(), template)) else {
        return next.run(request).await;
    };
    let caller = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let caller = caller.map_or(Ipv4Addr::UNSPECIFIED.into(), |ConnectInfo(from)| from.ip());
    let counted = counters.count(&rate, caller);
    let mut response = match counted.remaining {
        Some(_) => next.run(request).await,
        None => Refused::<F>::new(Refusal::TooOften).into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(LIMIT, counted.limit.into());
    headers.insert(REMAINING, counted.remaining.unwrap_or(0).into());
    headers.insert(RESET, HeaderValue::from(counted.reset_s));
    if counted.remaining.is_none() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(counted.reset_s));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(route: &str, per_minute: u32) -> Rate {
        Rate { route: route.to_owned(), per_minute }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn the_eleventh_call_of_a_minute_is_one_too_many_and_the_next_minute_is_new() {
        let mut windows = Windows::default();
        let ten = rate("POST /render", 10);
        for left in (0..10).rev() {
            let counted = windows.count(&ten, ip("203.0.113.7"), 59);
            assert_eq!(counted, Counted { limit: 10, remaining: Some(left), reset_s: 1 });
        }
        assert_eq!(windows.count(&ten, ip("203.0.113.7"), 59).remaining, None);
        let counted = windows.count(&ten, ip("203.0.113.7"), 60);
        assert_eq!(counted, Counted { limit: 10, remaining: Some(9), reset_s: 60 });
    }

    #[test]
    fn callers_and_routes_are_counted_apart() {
        let mut windows = Windows::default();
        let (submit, pay) = (rate("POST /render", 1), rate("POST /render/pay", 1));
        assert_eq!(windows.count(&submit, ip("203.0.113.7"), 0).remaining, Some(0));
        assert_eq!(windows.count(&submit, ip("203.0.113.7"), 0).remaining, None);
        assert_eq!(windows.count(&submit, ip("203.0.113.8"), 0).remaining, Some(0));
        assert_eq!(windows.count(&pay, ip("203.0.113.7"), 0).remaining, Some(0));
    }

    #[test]
    fn one_line_of_the_internet_is_one_caller_however_it_spells_its_address() {
        let mut windows = Windows::default();
        let one = rate("GET /stats", 1);
        assert_eq!(windows.count(&one, ip("2001:db8:1:2::1"), 0).remaining, Some(0));
        assert_eq!(windows.count(&one, ip("2001:db8:1:2:ffff::9"), 0).remaining, None);
        assert_eq!(windows.count(&one, ip("2001:db8:1:3::1"), 0).remaining, Some(0));
        assert_eq!(windows.count(&one, ip("203.0.113.7"), 0).remaining, Some(0));
        assert_eq!(windows.count(&one, ip("::ffff:203.0.113.7"), 0).remaining, None);
    }

    #[test]
    fn a_flood_of_addresses_cannot_fill_the_memory_or_lift_a_limit_that_is_reached() {
        let mut windows = Windows::default();
        let one = rate("GET /stats", 1);
        for number in 0..u32::try_from(CALLERS_MAX).expect("it fits") + 10 {
            windows.count(&one, IpAddr::V4(Ipv4Addr::from_bits(number)), 0);
        }
        assert_eq!(windows.calls.len(), CALLERS_MAX);
        assert_eq!(windows.count(&one, ip("0.0.0.5"), 0).remaining, None);
        assert_eq!(windows.count(&one, ip("203.0.113.7"), 0).remaining, Some(0));
        windows.count(&one, ip("203.0.113.7"), 60);
        assert_eq!(windows.calls.len(), 1, "the memory of the last minute is given back");
    }
}
