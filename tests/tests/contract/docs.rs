//! The pages of the documentation, as a browser without any other network gets them.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::{Value, json};

use crate::stage::{Answer, Hub};

/// What `text` names, each as it is written.
fn named<'a>(pattern: &str, text: &'a str) -> Vec<&'a str> {
    let pattern = Regex::new(pattern).expect("a pattern");
    let found = pattern.captures_iter(text);
    found.map(|found| found.get(1).expect("one group").as_str()).collect()
}

fn text(answer: &Answer) -> String {
    String::from_utf8(answer.bytes.clone()).expect("text")
}

/// Every address in a page, each of which must be on this hub, with what a part's name says of its kind.
fn parts(page: &str) -> BTreeSet<&str> {
    let parts = named(r#"(?:src|href|spec-url)="([^"]*)""#, page);
    let ours: BTreeSet<&str> = parts.into_iter().filter(|part| *part != "data:,").collect();
    for part in &ours {
        assert!(part.starts_with('/') && !part.starts_with("//"), "{part} is somewhere else");
    }
    ours
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_page_names_comes_from_the_hub_itself() {
    let hub = Hub::of("creator", false).await;
    for (page, shows) in [("/docs", "swagger-ui-bundle"), ("/redoc", "redoc.standalone")] {
        let answer = hub.raw(hub.ask("GET", page)).await.is(200);
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(answer.header("x-frame-options"), "DENY");
        let policy = answer.header("content-security-policy").to_owned();
        for word in ["default-src 'none'", "script-src 'self'", "connect-src 'self'"] {
            assert!(policy.contains(word), "{policy}");
        }
        for loose in ["unsafe", "*", "http:", "https:"] {
            assert!(!policy.contains(loose), "{policy} allows {loose}");
        }
        let html = text(&answer);
        assert!(
            !html.contains("{{") && !html.contains("<style") && !html.contains("://"),
            "{html}"
        );
        assert!(named(r"<script>(.)", &html).is_empty(), "a script in the page would not run");
        let parts = parts(&html);
        assert!(parts.iter().any(|part| part.contains(shows)), "{parts:?}");
        for part in parts {
            let answer = hub.raw(hub.ask("GET", part)).await.is(200);
            let kind = match part.rsplit('.').next() {
                Some("css") => "text/css; charset=utf-8",
                Some("js") => "text/javascript; charset=utf-8",
                Some("json") => "application/json",
                other => panic!("{part}: {other:?}"),
            };
            assert_eq!(answer.header("content-type"), kind, "{part}");
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
            assert!(answer.bytes.len() > 50, "{part}");
            if kind.starts_with("text/css") {
                let css = text(&answer);
                let strangers = named(r#"(?:url\(|@import)\s*["']?([^d"'\s][^"')]*)"#, &css);
                assert!(strangers.is_empty(), "{part} names {strangers:?}");
            }
            if kind.starts_with("text/javascript") {
                assert!(!text(&answer).contains("cdn.redoc.ly"), "{part} asks a stranger");
            }
        }
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_says_what_is_served_with_its_shapes() {
    let hub = Hub::of("creator", false).await;
    let answer = hub.raw(hub.ask("GET", "/openapi.json")).await.is(200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    let document: Value = answer.json();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["servers"][0]["url"], "/");
    let operation = &document["paths"]["/api/v1/credits/deduct"]["post"];
    assert!(operation["requestBody"]["content"]["application/json"]["schema"].is_object());
    let paths = document["paths"].as_object().expect("paths");
    let mut answers = 0;
    for (path, item) in paths {
        for (verb, operation) in item.as_object().expect("a path") {
            if verb == "parameters" || verb.starts_with("x-") {
                continue;
            }
            for (status, response) in operation["responses"].as_object().expect("responses") {
                let response = match response["$ref"].as_str() {
                    Some(to) => document.pointer(to.trim_start_matches('#')).expect("it is there"),
                    None => response,
                };
                for (_, content) in response["content"].as_object().into_iter().flatten() {
                    assert!(content["schema"].is_object(), "{verb} {path} {status} has no shape");
                    answers += 1;
                }
            }
        }
    }
    assert!(answers > 100, "{answers} answers");
    assert!(document["x-faces"]["Market"]["x-signatures"].is_object());
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_only_to_be_got() {
    let hub = Hub::of("creator", false).await;
    for path in ["/docs", "/redoc", "/openapi.json", "/docs/assets/docs.js"] {
        let wrong = hub.raw(hub.ask("POST", path)).await.is(405);
        assert_eq!(wrong.header("allow"), "GET");
        assert_eq!(wrong.json()["error"], "Method not allowed");
    }
    for path in ["/docs/assets/docs.js", "/docs/", "/docs/assets/..%2f..%2fCargo.toml", "/hub/docs"]
    {
        let missing = hub.raw(hub.ask("GET", path)).await.is(404).json();
        let said = if path.starts_with("/hub") {
            json!({ "success": false, "error": "Not found" })
        } else {
            json!({ "detail": "Not Found", "success": false, "error": "Not found",
                "message": "Not found" })
        };
        assert_eq!(missing, said, "{path}");
    }
    hub.raw(hub.ask("HEAD", "/docs")).await.is(200);
    hub.stop().await;
}
