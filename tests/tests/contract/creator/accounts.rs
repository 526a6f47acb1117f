//! Accounts: what is documented, and what must not get in.

use framefair_app::account::Role;
use serde_json::{Value, json};

use super::people::{PASSWORD, Person, detail, log_in, post};
use crate::stage::Hub;

const REGISTER: &str = "/api/v1/auth/register";

#[tokio::test(flavor = "multi_thread")]
async fn somebody_registers_and_logs_in_whatever_the_case_of_the_e_mail() {
    let hub = Hub::of("creator", false).await;
    let body = json!({ "email": "Ada@Example.com", "name": "Ada", "password": PASSWORD });
    let made = post(&hub, "register", REGISTER, &body).await.is(201).json();
    assert_eq!(made["user"]["email"], "Ada@Example.com");
    assert_eq!(made["access_token"], made["tokens"]["access_token"]);
    assert_eq!(made["refresh_token"], made["tokens"]["refresh_token"]);
    let other = json!({ "email": "ada@example.COM", "password": PASSWORD });
    let taken = post(&hub, "register", REGISTER, &other).await.is(409);
    assert_eq!(detail(&taken), "Email already registered");
    log_in(&hub, "ADA@example.com", PASSWORD).await.is(200);
    // The Creator app sends no name.
    let nameless = json!({ "email": "grace@example.com", "password": PASSWORD });
    let made = post(&hub, "register", REGISTER, &nameless).await.is(201).json();
    assert_eq!(made["user"]["name"], "grace");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_e_mail_and_a_wrong_password_are_told_the_same() {
    let hub = Hub::of("creator", false).await;
    Person::register(&hub, "ada@example.com").await;
    let wrong = log_in(&hub, "ada@example.com", "wrong horse").await.is(401);
    let unknown = log_in(&hub, "nobody@example.com", PASSWORD).await.is(401);
    assert_eq!(wrong.bytes, unknown.bytes);
    assert_eq!(detail(&wrong), "Invalid email or password");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_that_register_one_e_mail_at_once_gets_it() {
    let hub = Hub::of("creator", false).await;
    let body = json!({ "email": "ada@example.com", "password": PASSWORD });
    let all = (0..16).map(|_| post(&hub, "register", REGISTER, &body));
    let answers = futures::future::join_all(all).await;
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(201), count(409)), (1, 15));
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_named_member_by_member_and_no_password_is_repeated() {
    let hub = Hub::of("creator", false).await;
    let long = "x".repeat(2_000);
    for (body, members) in [
        (json!({ "email": "nobody", "password": "short" }), vec!["email", "password"]),
        (json!({ "email": "a@b@c.de", "password": PASSWORD }), vec!["email"]),
        (json!({ "email": format!("{long}@example.com"), "password": PASSWORD }), vec!["email"]),
        (json!({ "email": "ada@example.com", "password": long }), vec!["password"]),
        (json!({ "email": "ada@example.com", "name": "", "password": PASSWORD }), vec!["name"]),
        (json!({ "email": "ada@example.com", "name": long, "password": PASSWORD }), vec!["name"]),
        (json!({ "email": 7, "password": PASSWORD }), vec!["email"]),
        (json!({ "email": "ada@example.com", "password": ["secret-word"] }), vec!["password"]),
        (json!({ "email": "ada@example.com", "password": 24_681_357 }), vec!["password"]),
        (json!({ "email": "ada@example.com" }), vec!["password"]),
        (json!({ "password": PASSWORD, "name": "Ada" }), vec!["email"]),
    ] {
        let answer = post(&hub, "register", REGISTER, &body).await.is(422);
        let errors = answer.json()["errors"].as_array().expect("a list").clone();
        let mut named: Vec<&Value> = errors.iter().map(|error| &error["loc"][1]).collect();
        named.dedup();
        assert_eq!(named, members, "{errors:?}");
        let said = String::from_utf8_lossy(&answer.bytes);
        assert!(!said.contains("secret-word") && !said.contains("24681357"), "{said}");
    }
    let token = hub.ask("POST", "/api/v1/auth/refresh").header("content-type", "application/json");
    let answer = hub.call("refresh", token.body("\"secret-word\"")).await.is(422);
    assert!(!String::from_utf8_lossy(&answer.bytes).contains("secret-word"));
    let list = "[\"ada@example.com\", \"Ada\", \"correct horse\"]";
    for body in ["", "{", "[]", "null", "{\"email\":\"a@b.de\"}", "{} {}", list] {
        let request = hub.ask("POST", REGISTER).header("content-type", "application/json");
        hub.call("register", request.body(body)).await.is(422);
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_too_often_waits_and_so_does_who_asks_for_one_account() {
    let hub = Hub::of("creator", true).await;
    let mut refused = None;
    for _ in 0..12 {
        let answer = log_in(&hub, "ada@example.com", PASSWORD).await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("a sixth attempt within a minute");
    assert_eq!(detail(&refused), "Too many requests");
    assert_eq!(refused.header("ratelimit-limit"), "5");
    // From wherever it comes: an account is counted by itself.
    let attempt = || framefair_app::account::Login {
        email: "grace@example.com".into(),
        password: PASSWORD.into(),
    };
    let mut answers = Vec::new();
    for _ in 0..12 {
        let mut call = framefair_app::Call::live();
        answers.push(framefair_app::account::login(&hub.machine.ctx, &mut call, attempt()).await);
    }
    let too_often = |it: &Result<_, _>| matches!(it, Err(framefair_app::Refusal::TooOften));
    assert!((2..=7).contains(&answers.iter().filter(|it| too_often(it)).count()), "{answers:?}");
    // The address has asked less often than it may, and still its answer says when to come back.
    let other = Person::register(&hub, "lin@example.com").await;
    let mut call = framefair_app::Call::live();
    for _ in 0..3 {
        let _ = framefair_app::account::refresh(&hub.machine.ctx, &mut call, &other.refresh).await;
    }
    let body = json!({ "refresh_token": other.refresh });
    let refused = post(&hub, "refresh", "/api/v1/auth/refresh", &body).await;
    if refused.status == 429 {
        assert_eq!(refused.header("ratelimit-remaining"), "0");
        assert!(!refused.header("retry-after").is_empty());
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_stays_who_logged_in_while_the_password_was_reset() {
    let hub = Hub::of("creator", false).await;
    let books = framefair_local::Books::Folder(hub.data());
    let email = "eve@example.com";
    let reset = async || framefair_local::appoint(&books, email.into(), Role::User, true).await;
    let old = reset().await.expect("made").password.expect("a password");
    let (logins, fresh) =
        tokio::join!(futures::future::join_all((0..3).map(|_| log_in(&hub, email, &old))), reset());
    for login in logins.into_iter().filter(|login| login.status == 200) {
        let pair = login.json();
        let access = pair["access_token"].as_str().expect("a token");
        let balance = hub.ask("GET", "/api/v1/credits/balance").bearer_auth(access);
        hub.call("creditBalance", balance).await.is(401);
        let body = json!({ "refresh_token": pair["refresh_token"] });
        post(&hub, "refresh", "/api/v1/auth/refresh", &body).await.is(401);
    }
    let fresh = fresh.expect("found").password.expect("another password");
    log_in(&hub, email, &fresh).await.is(200);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_makes_accounts_and_gives_roles_while_the_hub_runs() {
    let hub = Hub::of("creator", false).await;
    let books = framefair_local::Books::Folder(hub.data());
    let appoint =
        async |email: &str, role| framefair_local::appoint(&books, email.into(), role, false).await;
    let made = appoint("root@example.com", Role::Admin).await.expect("made");
    let password = made.password.expect("a new account has a password");
    log_in(&hub, "root@example.com", &password).await.is(200);
    assert_eq!(made.user.role, Role::Admin);
    // Again: the account is there, and nothing of it changes but the role.
    let again = appoint("ROOT@example.com", Role::Operator).await.expect("found");
    assert_eq!((again.user.id, again.user.role), (made.user.id, Role::Operator));
    assert_eq!(again.password, None);
    log_in(&hub, "root@example.com", &password).await.is(200);
    assert!(appoint("nobody", Role::User).await.is_err());
    // Who has lost the password gets another one, and whoever has the old one is out.
    let root = log_in(&hub, "root@example.com", &password).await.is(200).json();
    let reset =
        framefair_local::appoint(&books, "root@example.com".into(), Role::Admin, true).await;
    let fresh = reset.expect("found").password.expect("a new password");
    let access = root["access_token"].as_str().expect("a token");
    let balance = hub.ask("GET", "/api/v1/credits/balance").bearer_auth(access);
    hub.call("creditBalance", balance).await.is(401);
    log_in(&hub, "root@example.com", &password).await.is(401);
    log_in(&hub, "root@example.com", &fresh).await.is(200);
    let credit = async |amount: &str, reference: &str| {
        framefair_local::credit(&books, "root@example.com", amount, reference.into()).await
    };
    let first = credit("2.5", "once").await.expect("credited");
    assert_eq!(credit("2.5", "once").await.expect("credited"), first);
    assert_eq!(credit("1", "again").await.expect("credited").balance_after.to_string(), "3.5000");
    for bad in ["-1", "0", "NaN", "1e3"] {
        assert!(credit(bad, "bad").await.is_err(), "{bad}");
    }
    hub.stop().await;
}
