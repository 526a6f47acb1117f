//! The documented limits on a live hub: per route and address, with their headers, and one count for a
//! route with and without the hub's prefix.

use crate::people::{Seller, blend, order};
use crate::schema::{contract, operations, resolved};
use crate::stage::{Answer, Hub};

/// Both windows of a minute that a test may fall into cannot hold more than this many answers.
fn limit_of(id: &str) -> u64 {
    let contract = contract("market");
    let limits = &contract["x-rate-limits"];
    let all = operations(&contract);
    let (_, method, path, _) = all.iter().find(|(known, ..)| known == id).expect("an operation");
    let own = limits[format!("{method} {path}")].as_u64();
    own.or_else(|| limits["every_other_route"].as_u64()).expect("a limit")
}

fn number(answer: &Answer, name: &str) -> u64 {
    answer.header(name).parse().expect("a number")
}

/// Calls until the limit is reached within one window; a window that ends on the way starts it anew.
async fn exhausts(hub: &Hub, id: &str, method: &str, path: &str) -> Answer {
    let limit = limit_of(id);
    let mut left = None;
    for call in 0..3 * limit {
        // Every other call goes under the prefix: it is the same route.
        let prefix = if call % 2 == 0 { "" } else { "/hub" };
        let mut request = hub.ask(method, &format!("{prefix}{path}"));
        request = request.header("x-forwarded-for", format!("203.0.113.{}", call % 250));
        if id == "renderSubmit" {
            request =
                request.multipart(order(blend(0), &[("clientWallet", Seller::new(9).wallet)]));
        }
        let answer = hub.call(id, request).await;
        assert_eq!(number(&answer, "ratelimit-limit"), limit, "{id}");
        assert!((1..=60).contains(&number(&answer, "ratelimit-reset")), "{id}");
        let remaining = number(&answer, "ratelimit-remaining");
        if answer.status == 429 {
            assert_eq!((remaining, left), (0, Some(0)), "{id}: the last of the window was taken");
            return answer;
        }
        let expected = left.filter(|left| *left > 0).map_or(limit - 1, |left| left - 1);
        assert!(
            remaining == expected || remaining == limit - 1,
            "{id}: {remaining} after {left:?}"
        );
        left = Some(remaining);
    }
    panic!("{id} is not limited");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_limited_route_refuses_the_call_after_its_last() {
    let hub = Hub::with(true).await;
    let nobody = "0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001";
    let contract = contract("market");
    let mut limited = 0;
    for (id, method, path, operation) in operations(&contract) {
        if operation["responses"]["429"].is_null() {
            continue;
        }
        let path = path.replace("{id}", nobody).replace("{jobId}", nobody);
        let path = path.replace("{uploadId}", nobody);
        let refused = exhausts(&hub, &id, &method, &path).await;
        assert_eq!(refused.error(), "Too many requests");
        let documented = resolved(&contract, &operation["responses"]["429"]);
        assert_eq!(refused.json(), documented["content"]["application/json"]["example"]);
        assert_eq!(refused.header("retry-after"), refused.header("ratelimit-reset"), "{id}");
        limited += 1;
    }
    assert_eq!(limited, 16);
    // What the market does not limit stays open.
    hub.call("health", hub.ask("GET", "/hub/health")).await.is(200);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_limits_nothing_is_counted() {
    let hub = Hub::with(false).await;
    for _ in 0..limit_of("providersList") + 5 {
        let answer = hub.call("providersList", hub.ask("GET", "/providers")).await.is(200);
        assert!(answer.headers.get("ratelimit-limit").is_none());
    }
    hub.stop().await;
}
