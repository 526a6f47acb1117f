//! The examples of events/: each must be what the gateway, a queue or a schedule would send, with a body
//! that the contract accepts. Calls nothing; lambdas.rs gives each to its function.

mod tree;

use base64::Engine as _;
use serde_json::Value;
use tree::{EDGE, FACES, Operation, events, operations, root, yaml};

/// Body of an event as bytes, decoded where the gateway would have encoded it.
fn body(event: &Value) -> Vec<u8> {
    let text = event["body"].as_str().unwrap_or_default();
    if event["isBase64Encoded"] == true {
        base64::engine::general_purpose::STANDARD.decode(text).expect("isBase64Encoded is true")
    } else {
        text.as_bytes().to_vec()
    }
}

fn http_events() -> Vec<(String, Value)> {
    FACES.iter().chain(&["edge"]).flat_map(|folder| events(folder)).collect()
}

fn operation_of(handler: &str) -> Option<Operation> {
    operations().into_iter().find(|operation| operation.handler == handler)
}

/// What the contract says of the body of an operation, null where it takes none.
fn request_body(operation: &Operation) -> serde_yaml_ng::Value {
    let method = operation.method.to_lowercase();
    let contracts = FACES.iter().map(|face| yaml(&format!("tests/contracts/{face}.yaml")));
    let bodies = contracts.map(|it| it["paths"][&operation.path][&method]["requestBody"].clone());
    bodies.into_iter().find(|body| !body.is_null()).unwrap_or_default()
}

/// Names in `required`, and all names, of the contract's schema for this media type; none where any object
/// will do.
fn members(body: &serde_yaml_ng::Value, media: &str) -> Option<(Vec<String>, Vec<String>)> {
    let schema = &body["content"][media]["schema"];
    if schema["properties"].is_null() {
        assert_eq!(schema["type"], "object", "a body has a schema");
        return None;
    }
    let required = schema["required"].as_sequence().expect("a body says what it requires");
    let properties = schema["properties"].as_mapping().expect("a body has members");
    let text = |value: &serde_yaml_ng::Value| value.as_str().map(String::from);
    Some((required.iter().filter_map(text).collect(), properties.keys().filter_map(text).collect()))
}

#[test]
fn each_event_is_a_proxy_event_of_the_route_it_claims() {
    for (handler, event) in http_events() {
        let http = &event["requestContext"]["http"];
        let method = http["method"].as_str().expect("a method");
        let path = event["rawPath"].as_str().expect("a path");
        assert_eq!(event["version"], "2.0", "{handler}");
        assert_eq!(http["path"], path, "{handler}");
        assert_eq!(event["requestContext"]["routeKey"], event["routeKey"], "{handler}");
        assert!(http["sourceIp"].is_string(), "{handler}: callers are limited by address");

        let route = match operation_of(&handler) {
            Some(operation) => {
                assert_eq!(operation.method, method, "{handler}");
                format!("{method} {}", operation.path)
            }
            None if handler == "edge-unknown" => "$default".into(),
            None => {
                assert!(EDGE.contains(&handler.as_str()), "{handler} is no operation");
                "OPTIONS /{proxy+}".into()
            }
        };
        assert_eq!(event["routeKey"], route, "{handler}");
        if route != "$default" {
            assert_eq!(
                filled(&route, &event["pathParameters"]),
                format!("{method} {path}"),
                "{handler}"
            );
        }
    }
}

/// A route with its parameters put in.
fn filled(route: &str, parameters: &Value) -> String {
    let none = serde_json::Map::new();
    let parameters = parameters.as_object().unwrap_or(&none);
    parameters.iter().fold(route.to_owned(), |route, (name, value)| {
        let value = value.as_str().expect("a parameter is text");
        route.replace(&format!("{{{name}}}"), value).replace(&format!("{{{name}+}}"), value)
    })
}

#[test]
fn each_event_carries_the_body_that_its_contract_requires() {
    let mut bodies = 0;
    for (handler, event) in http_events() {
        let bytes = body(&event);
        let length = event["headers"]["content-length"]
            .as_str()
            .map_or(0, |it| it.parse().expect("a length"));
        assert_eq!(length, bytes.len(), "{handler}: content-length");
        let contract = operation_of(&handler).map(|it| request_body(&it)).unwrap_or_default();
        if contract.is_null() {
            assert!(event["body"].is_null(), "{handler} takes no body");
            continue;
        }
        let media = event["headers"]["content-type"].as_str().expect("a body has a type");
        let media = media.split(';').next().expect("a split has at least one part");
        let Some((required, known)) = members(&contract, media) else {
            let value: Value = serde_json::from_slice(&bytes).expect("a JSON body");
            assert!(value.is_object(), "{handler}: the body is no object");
            bodies += 1;
            continue;
        };
        let sent = if media == "multipart/form-data" {
            assert_eq!(
                event["isBase64Encoded"], true,
                "{handler}: the gateway encodes what is not text"
            );
            parts(&bytes)
        } else {
            let value: Value = serde_json::from_slice(&bytes).expect("a JSON body");
            value.as_object().expect("a body is an object").keys().cloned().collect()
        };
        for name in required {
            assert!(sent.contains(&name), "{handler} lacks {name}");
        }
        for name in sent {
            assert!(
                known.contains(&name),
                "{handler} sends {name}, of which the contract knows nothing"
            );
        }
        bodies += 1;
    }
    assert_eq!(bodies, operations().iter().filter(|it| !request_body(it).is_null()).count());
}

/// Names of the parts of a multipart body.
fn parts(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let heads = text.split("Content-Disposition: form-data; name=\"").skip(1);
    heads.filter_map(|rest| rest.split('"').next()).map(String::from).collect()
}

#[test]
fn an_event_of_a_queue_names_the_queue_that_wakes_its_worker() {
    let template = yaml("template.yaml");
    for (handler, event) in events("workers") {
        let operation = handler.trim_start_matches("workers-");
        let title = operation[..1].to_uppercase() + &operation[1..];
        let source = &template["Resources"][format!("Workers{title}")]["Properties"]["Events"];
        let Some(records) = event["Records"].as_array() else {
            assert!(
                !source["Tick"].is_null(),
                "{handler} is woken by a queue, so it needs records"
            );
            continue;
        };
        let queue = &template["Resources"][format!("{title}Queue")]["Properties"]["QueueName"];
        let serde_yaml_ng::Value::Tagged(name) = queue else { panic!("{handler} has no queue") };
        assert_eq!(name.value, format!("${{AWS::StackName}}-{operation}"), "{handler}");
        for record in records {
            let arn = record["eventSourceARN"].as_str().expect("an ARN");
            assert!(arn.ends_with(&format!("-{operation}")), "{handler}: {arn}");
            let body = record["body"].as_str().expect("a message is text");
            let hint: Value = serde_json::from_str(body).expect("a message is JSON");
            assert!(hint.is_object(), "{handler}: a hint names what to look at");
        }
    }
    assert!(root().join("events/workers").is_dir());
}
