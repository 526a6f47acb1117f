//! Sessions: a refresh token is good once, one that comes back ends everything, and who logs out is out.

use serde_json::{Value, json};

use super::people::{PASSWORD, Person, detail, log_in, post};
use crate::stage::{Answer, Hub};

const LOGOUT: &str = "/api/v1/auth/logout";

async fn refresh(hub: &Hub, token: &str) -> Answer {
    post(hub, "refresh", "/api/v1/auth/refresh", &json!({ "refresh_token": token })).await
}

async fn log_out(hub: &Hub, token: &str) -> Answer {
    hub.call("logout", hub.ask("POST", LOGOUT).bearer_auth(token)).await
}

async fn is_in(hub: &Hub, access: &str) -> bool {
    let request = hub.ask("GET", "/api/v1/credits/balance").bearer_auth(access);
    match hub.call("creditBalance", request).await {
        answer if answer.status == 200 => true,
        answer => {
            assert_eq!(detail(&answer.is(401)), "Could not validate credentials");
            false
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_is_good_once_and_a_lost_answer_comes_again() {
    let hub = Hub::of("creator", false).await;
    let ada = Person::register(&hub, "ada@example.com").await;
    let second = refresh(&hub, &ada.refresh).await.is(200).json();
    let again = refresh(&hub, &ada.refresh).await.is(200).json();
    assert_eq!(second, again);
    let third = refresh(&hub, &text(&second["refresh_token"])).await.is(200).json();
    assert!(is_in(&hub, &ada.access).await, "an access token ends by itself");
    assert!(is_in(&hub, &text(&third["access_token"])).await);
    // The first one was used twice, and is two generations old: somebody has stolen something.
    refresh(&hub, &ada.refresh).await.is(401);
    refresh(&hub, &text(&third["refresh_token"])).await.is(401);
    for access in [&ada.access, &text(&second["access_token"]), &text(&third["access_token"])] {
        assert!(!is_in(&hub, access).await);
    }
    // Another session of the same person is not touched by that.
    let other = log_in(&hub, &ada.email, PASSWORD).await.is(200).json();
    assert!(is_in(&hub, &text(&other["access_token"])).await);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_refreshes_at_once_are_one() {
    let hub = Hub::of("creator", false).await;
    let ada = Person::register(&hub, "ada@example.com").await;
    let all = futures::future::join_all((0..16).map(|_| refresh(&hub, &ada.refresh))).await;
    let pairs: Vec<Value> = all.into_iter().map(|answer| answer.is(200).json()).collect();
    assert!(pairs.iter().all(|pair| *pair == pairs[0]), "{pairs:?}");
    assert!(is_in(&hub, &text(&pairs[0]["access_token"])).await);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_logs_out_is_out_with_every_token_of_that_session() {
    let hub = Hub::of("creator", false).await;
    let ada = Person::register(&hub, "ada@example.com").await;
    let second = refresh(&hub, &ada.refresh).await.is(200).json();
    let other = log_in(&hub, &ada.email, PASSWORD).await.is(200).json();
    let said = log_out(&hub, &ada.access).await.is(200).json();
    assert_eq!(said["message"], "Logged out successfully");
    for access in [&ada.access, &text(&second["access_token"])] {
        assert!(!is_in(&hub, access).await);
    }
    refresh(&hub, &text(&second["refresh_token"])).await.is(401);
    log_out(&hub, &ada.access).await.is(401);
    // A refresh token says as well which session is to end.
    assert!(is_in(&hub, &text(&other["access_token"])).await);
    log_out(&hub, &text(&other["refresh_token"])).await.is(200);
    assert!(!is_in(&hub, &text(&other["access_token"])).await);
    let nobody = hub.call("logout", hub.ask("POST", LOGOUT)).await.is(401);
    assert_eq!(detail(&nobody), "Not authenticated");
    hub.stop().await;
}
