//! Somebody with an account.

use framefair_app::{Call, credits};
use framefair_domain::credits::Credits;
use serde_json::{Value, json};

use crate::stage::{Answer, Hub};

pub(crate) const PASSWORD: &str = "correct horse";

/// Registered, with the tokens of the first session.
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) email: String,
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl Person {
    pub(crate) async fn register(hub: &Hub, email: &str) -> Person {
        let body = json!({ "email": email, "name": "Somebody", "password": PASSWORD });
        let answer = post(hub, "register", "/api/v1/auth/register", &body).await.is(201).json();
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        Person {
            id: text(&answer["user"]["id"]),
            email: email.to_owned(),
            access: text(&answer["tokens"]["access_token"]),
            refresh: text(&answer["tokens"]["refresh_token"]),
        }
    }

    pub(crate) async fn get(&self, hub: &Hub, id: &str, path: &str) -> Answer {
        hub.call(id, hub.ask("GET", path).bearer_auth(&self.access)).await
    }

    pub(crate) async fn post(&self, hub: &Hub, id: &str, path: &str, body: &Value) -> Answer {
        hub.call(id, hub.ask("POST", path).bearer_auth(&self.access).json(body)).await
    }

    /// An operator gives credits.
    pub(crate) async fn is_given(&self, hub: &Hub, amount: i64) {
        let (ctx, user) = (&hub.machine.ctx, self.id.parse().expect("an id"));
        let reference = uuid::Uuid::new_v4().to_string();
        let amount = Credits::whole(amount);
        credits::adjust(ctx, &mut Call::live(), user, amount, reference).await.expect("given");
    }

    pub(crate) async fn balance(&self, hub: &Hub) -> Value {
        self.get(hub, "creditBalance", "/api/v1/credits/balance").await.is(200).json()
    }
}

pub(crate) async fn post(hub: &Hub, id: &str, path: &str, body: &Value) -> Answer {
    hub.call(id, hub.ask("POST", path).json(body)).await
}

pub(crate) async fn log_in(hub: &Hub, email: &str, password: &str) -> Answer {
    let body = json!({ "email": email, "password": password });
    post(hub, "login", "/api/v1/auth/login", &body).await
}

/// What went wrong, in one sentence.
pub(crate) fn detail(answer: &Answer) -> String {
    answer.json()["detail"].as_str().expect("every error has a detail that is text").to_owned()
}
