//! How often one address may ask one route, in fixed windows of a minute. One process counts for itself,
//! exactly. Many that serve together count in the table: exactly where that is asked for; else each
//! for itself, and together after every fifth of the limit, so that between two of these looks each of
//! them may let that many calls too many through. Callers are addresses, which no header names; beside them
//! one process counts accounts, once it is known whose call it is.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use framefair_app::{Call, Ctx, Platform, Refusal, network, rates};
use framefair_domain::id::UserId;
use framefair_domain::time::Timestamp;

use crate::{Face, Refused, address};

const WINDOW_S: u64 = 60;
/// Counts that are not exact are shared after this part of the limit.
const SHARED_EVERY: u32 = 5;
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
    /// Whether processes that count together may not let one call too many through.
    pub exact: bool,
}

/// `RATE_LIMITS=off` was meant for a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("calls without limits are for tests, and ENVIRONMENT says production")]
pub struct Unlimited;

/// Whether calls are limited here: unless `RATE_LIMITS` is `off`, which production refuses.
pub fn wanted() -> Result<bool, Unlimited> {
    let off = std::env::var("RATE_LIMITS").is_ok_and(|found| found == "off");
    if off { may_be_off().map(|()| false) } else { Ok(true) }
}

/// Nowhere but in production do limits have to be.
pub fn may_be_off() -> Result<(), Unlimited> {
    if crate::is_production() { Err(Unlimited) } else { Ok(()) }
}

/// Says what is allowed on a route, by its method and the template of its path.
pub type Rates = fn(&Method, &str) -> Option<Rate>;

/// The counts of one process, or its part in those of many.
pub struct Counters {
    started: Instant,
    shared: Option<Ctx>,
    windows: Mutex<Windows>,
}

impl Default for Counters {
    fn default() -> Counters {
        Counters { started: Instant::now(), shared: None, windows: Mutex::default() }
    }
}

impl Counters {
    /// Counts together with every process that has the same table.
    pub fn shared(ctx: Ctx) -> Counters {
        Counters { shared: Some(ctx), ..Counters::default() }
    }

    /// Counts one call of an account on a route, and refuses what is above the ceiling.
    pub(crate) fn admit(
        &self,
        platform: &Platform,
        route: &str,
        account: UserId,
    ) -> Result<(), Refusal> {
        let Some(per_minute) = platform.ceiling.filter(|_| platform.rate_limits) else {
            return Ok(());
        };
        let rate = Rate { route: route.to_owned(), per_minute, exact: false };
        let now_s = self.started.elapsed().as_secs();
        let counted = self.windows().count(&rate, account.to_string(), now_s);
        counted.remaining.map(drop).ok_or(Refusal::TooOften)
    }

    async fn count(&self, rate: &Rate, caller: IpAddr) -> Result<Counted, Refusal> {
        let caller = network(caller);
        let Some(ctx) = &self.shared else {
            let now_s = self.started.elapsed().as_secs();
            return Ok(self.windows().count(rate, caller, now_s));
        };
        let now_s = Call::live().now.seconds().unsigned_abs();
        let (counted, due) = {
            let mut windows = self.windows();
            (windows.count(rate, caller.clone(), now_s), windows.take_due(rate, &caller))
        };
        let Some(due) = due else { return Ok(counted) };
        let number = now_s / WINDOW_S;
        let window = rates::Window {
            route: rate.route.clone(),
            caller: caller.clone(),
            number: number.cast_signed(),
            end: Timestamp(((number + 1) * WINDOW_S * 1_000).cast_signed()),
        };
        match rates::count(ctx, &window, due).await {
            Ok(calls) => Ok(self.windows().learn(rate, &caller, now_s, calls)),
            Err(refusal) => {
                tracing::warn!(%refusal, route = rate.route, "A count could not be shared");
                if rate.exact { Err(Refusal::Busy) } else { Ok(counted) }
            }
        }
    }

    fn windows(&self) -> MutexGuard<'_, Windows> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Calls that this process knows of, and how many of them are its own and not shared yet.
#[derive(Clone, Copy, Debug, Default)]
struct Calls {
    known: u32,
    untold: u32,
}

#[derive(Debug, Default)]
struct Windows {
    /// Which window the counts belong to.
    at: u64,
    calls: HashMap<(String, String), Calls>,
}

impl Windows {
    fn count(&mut self, rate: &Rate, caller: String, now_s: u64) -> Counted {
        if self.at != now_s / WINDOW_S {
            self.at = now_s / WINDOW_S;
            self.calls = HashMap::new();
        }
        let key = (rate.route.clone(), caller);
        if self.calls.len() >= CALLERS_MAX && !self.calls.contains_key(&key) {
            return counted(rate, 1, now_s);
        }
        let calls = self.calls.entry(key).or_default();
        calls.known = calls.known.saturating_add(1);
        calls.untold = calls.untold.saturating_add(1);
        counted(rate, calls.known, now_s)
    }

    /// The calls that are to be told to the others now. Who takes them tells them, so that nobody
    /// tells them twice; who is refused already needs no exact count.
    fn take_due(&mut self, rate: &Rate, caller: &str) -> Option<u32> {
        let share = if rate.exact { 1 } else { rate.per_minute.div_ceil(SHARED_EVERY) };
        let ours = self.calls.get_mut(&(rate.route.clone(), caller.to_owned()))?;
        let due = ours.untold >= share && ours.known <= rate.per_minute;
        due.then(|| std::mem::take(&mut ours.untold))
    }

    /// There are so many calls of everybody, those of ours that were told among them. Says what the
    /// last of those was.
    fn learn(&mut self, rate: &Rate, caller: &str, now_s: u64, calls: u32) -> Counted {
        if self.at == now_s / WINDOW_S
            && let Some(ours) = self.calls.get_mut(&(rate.route.clone(), caller.to_owned()))
        {
            ours.known = ours.known.max(calls.saturating_add(ours.untold));
        }
        counted(rate, calls, now_s)
    }
}

fn counted(rate: &Rate, calls: u32, now_s: u64) -> Counted {
    Counted {
        limit: rate.per_minute,
        remaining: rate.per_minute.checked_sub(calls),
        reset_s: WINDOW_S - now_s % WINDOW_S,
    }
}

/// Limits the routes that `router` has by now, in the words of face `F`. Where nobody says whose a
/// request is, everybody counts as one.
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
    let caller = address(request.extensions());
    let counted = match counters.count(&rate, caller).await {
        Ok(counted) => counted,
        Err(refusal) => return Refused::<F>::new(refusal).into_response(),
    };
    let mut response = match counted.remaining {
        Some(_) => next.run(request).await,
        None => Refused::<F>::new(Refusal::TooOften).into_response(),
    };
    // The account may have asked too often where the address has not.
    let is_refused = response.status() == StatusCode::TOO_MANY_REQUESTS;
    let remaining = counted.remaining.filter(|_| !is_refused);
    let headers = response.headers_mut();
    headers.insert(LIMIT, counted.limit.into());
    headers.insert(REMAINING, remaining.unwrap_or(0).into());
    headers.insert(RESET, HeaderValue::from(counted.reset_s));
    if is_refused {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(counted.reset_s));
    }
    response
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn rate(route: &str, per_minute: u32) -> Rate {
        Rate { route: route.to_owned(), per_minute, exact: false }
    }

    fn ip(text: &str) -> String {
        network(text.parse().expect("an address"))
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
    fn what_others_counted_is_learned_and_nothing_of_ours_is_told_twice() {
        let (mut windows, caller) = (Windows::default(), ip("203.0.113.7"));
        let ten = rate("POST /render", 10);
        windows.count(&ten, caller.clone(), 0);
        assert_eq!(windows.take_due(&ten, &caller), None, "a fifth of ten is two");
        windows.count(&ten, caller.clone(), 0);
        assert_eq!(windows.take_due(&ten, &caller), Some(2));
        // One more comes in while two are told; others have asked five times.
        windows.count(&ten, caller.clone(), 0);
        assert_eq!(windows.take_due(&ten, &caller), None, "two of the three are being told");
        assert_eq!(windows.learn(&ten, &caller, 0, 7).remaining, Some(3));
        assert_eq!(windows.count(&ten, caller.clone(), 0).remaining, Some(1));
        assert_eq!(windows.take_due(&ten, &caller), Some(2));
        assert_eq!(windows.learn(&ten, &caller, 0, 11).remaining, None);
        assert_eq!(windows.count(&ten, caller.clone(), 0).remaining, None);
        windows.count(&ten, caller.clone(), 0);
        assert_eq!(windows.take_due(&ten, &caller), None, "who is refused costs no write");
        let late = windows.learn(&ten, &caller, 60, 1);
        assert_eq!(late.remaining, Some(9), "it is for a new window");
        assert_eq!(windows.count(&ten, caller.clone(), 60).remaining, Some(9));
    }

    #[test]
    fn each_call_of_an_exact_route_is_told_at_once() {
        let (mut windows, caller) = (Windows::default(), ip("203.0.113.7"));
        let exact = Rate { exact: true, ..rate("POST /render", 10) };
        for _ in 0..2 {
            windows.count(&exact, caller.clone(), 0);
            assert_eq!(windows.take_due(&exact, &caller), Some(1));
        }
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
            windows.count(&one, network(Ipv4Addr::from_bits(number).into()), 0);
        }
        assert_eq!(windows.calls.len(), CALLERS_MAX);
        assert_eq!(windows.count(&one, ip("0.0.0.5"), 0).remaining, None);
        assert_eq!(windows.count(&one, ip("203.0.113.7"), 0).remaining, Some(0));
        windows.count(&one, ip("203.0.113.7"), 60);
        assert_eq!(windows.calls.len(), 1, "the memory of the last minute is given back");
    }
}
