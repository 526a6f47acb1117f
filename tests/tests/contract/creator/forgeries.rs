//! Tokens that must not be believed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};

use super::people::{Person, detail, post};
use crate::stage::Hub;

fn parts(token: &str) -> [String; 3] {
    let parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    parts.try_into().expect("three parts")
}

fn read(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64")).expect("JSON")
}

fn write(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// The header and the claims of a token, under a key of the forger's.
fn signed(header: &Value, claims: &Value, key: &SigningKey) -> String {
    let said = format!("{}.{}", write(header), write(claims));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(said.as_bytes()).to_bytes());
    format!("{said}.{signature}")
}

#[tokio::test(flavor = "multi_thread")]
async fn no_forged_token_opens_anything() {
    let hub = Hub::of("creator", false).await;
    let ada = Person::register(&hub, "ada@example.com").await;
    let eve = Person::register(&hub, "eve@example.com").await;
    let [header, claims, signature] = parts(&ada.access);
    let (head, said) = (read(&header), read(&claims));
    assert_eq!(
        (&head["alg"], &said["token_type"], &said["sub"]),
        (&json!("EdDSA"), &json!("access"), &json!(ada.id))
    );
    assert_eq!(
        said["exp"].as_i64().expect("a time") - said["iat"].as_i64().expect("a time"),
        1_800
    );

    let own = SigningKey::from_bytes(&[7; 32]);
    let none = write(&json!({ "alg": "none", "typ": "JWT", "kid": head["kid"] }));
    let hmac = write(&json!({ "alg": "HS256", "typ": "JWT", "kid": head["kid"] }));
    let mut older = said.clone();
    older["exp"] = json!(said["iat"].as_i64().expect("a time") - 1);
    let mut other_subject = said.clone();
    other_subject["sub"] = json!(eve.id);
    let [_, eves_claims, eves_signature] = parts(&eve.access);
    let mut flipped = signature.clone().into_bytes();
    flipped[0] = if flipped[0] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).expect("text");
    let forged = [
        format!("{none}.{claims}."),
        format!("{none}.{claims}.{signature}"),
        format!("{hmac}.{claims}.{signature}"),
        format!("{header}.{claims}."),
        format!("{header}.{claims}"),
        format!("{header}.{claims}.{flipped}"),
        format!("{header}.{eves_claims}.{signature}"),
        format!("{header}.{claims}.{eves_signature}"),
        format!("{header}.{}.{signature}", write(&other_subject)),
        format!("{header}.{}.{signature}", write(&older)),
        signed(&head, &said, &own),
        signed(&json!({ "alg": "EdDSA", "typ": "JWT" }), &said, &own),
        signed(&json!({ "alg": "EdDSA", "kid": "0000000000000000" }), &said, &own),
        "x".repeat(10_000),
        "..".into(),
    ];
    for token in forged {
        let request = hub.ask("GET", "/api/v1/credits/balance");
        let request = request.header("authorization", format!("Bearer {token}"));
        let answer = hub.call("creditBalance", request).await.is(401);
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        assert_eq!(detail(&answer), "Could not validate credentials", "{token}");
    }
    for (name, value) in [
        ("authorization", "Basic YTpi"),
        ("authorization", "Bearer "),
        ("x-authorization", "Bearer x"),
    ] {
        let request = hub.ask("GET", "/api/v1/credits/balance").header(name, value);
        let answer = hub.call("creditBalance", request).await.is(401);
        assert_eq!(detail(&answer), "Not authenticated", "{name}");
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_one_kind_is_none_of_another() {
    let hub = Hub::of("creator", false).await;
    let ada = Person::register(&hub, "ada@example.com").await;
    let request = hub.ask("GET", "/api/v1/credits/balance").bearer_auth(&ada.refresh);
    let answer = hub.call("creditBalance", request).await.is(401);
    assert_eq!(detail(&answer), "Invalid token type");
    let body = json!({ "refresh_token": ada.access });
    let answer = post(&hub, "refresh", "/api/v1/auth/refresh", &body).await.is(401);
    assert_eq!(detail(&answer), "Invalid token type: expected refresh token");
    let body = json!({ "refresh_token": "x" });
    let answer = post(&hub, "refresh", "/api/v1/auth/refresh", &body).await.is(401);
    assert_eq!(detail(&answer), "Could not validate credentials");
    hub.stop().await;
}
