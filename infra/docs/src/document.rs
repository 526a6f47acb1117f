//! One OpenAPI document of what is served: the contracts side by side, less what they promise for later.
//! The contracts have the shapes, and tests hold routes and answers to them.

use serde_json::{Map, Value, json};

/// Faces that are built, each with its contract.
const CONTRACTS: &[(&str, &str)] = &[
    ("Creator", include_str!("../../../tests/contracts/creator.yaml")),
    ("Market", include_str!("../../../tests/contracts/market.yaml")),
];
/// Components that contracts refer to by a name of their own.
const NAMED_APART: [&str; 3] = ["schemas", "parameters", "responses"];
const VERBS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The document. What belongs to a face as a whole (limits of rates, signatures, sockets) stands in
/// `x-faces` under its name.
pub fn document() -> Value {
    let mut all = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Framefair",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT or Apache 2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "This deployment" }],
        "tags": [], "x-tagGroups": [], "paths": {}, "components": {}, "x-faces": {},
    });
    let mut about = String::from("A render marketplace. One base URL, several faces.");
    for (face, contract) in CONTRACTS {
        let mut contract = read(contract);
        rename(&mut contract, face);
        about +=
            &format!("\n\n## {face}\n\n{}", contract["info"]["description"].as_str().unwrap_or(""));
        add(&mut all, face, &contract);
    }
    all["info"]["description"] = about.into();
    all
}

/// The contracts are compiled in, and a test reads what comes of them.
fn read(contract: &str) -> Value {
    let yaml = serde_yaml_ng::from_str::<serde_yaml_ng::Value>(contract);
    let json = yaml.map(serde_json::to_value);
    json.expect("a contract is YAML").expect("which can be said as JSON")
}

/// Both faces have a schema `Error`, so each gets the name of its face. References follow.
fn rename(value: &mut Value, face: &str) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(target) if name == "$ref" => *target = renamed(target, face),
                    _ => rename(member, face),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, face)),
        _ => {}
    }
}

fn renamed(target: &str, face: &str) -> String {
    let apart = target.strip_prefix("#/components/").and_then(|rest| rest.split_once('/'));
    match apart {
        Some((kind, name)) if NAMED_APART.contains(&kind) => {
            format!("#/components/{kind}/{face}{name}")
        }
        _ => target.to_owned(),
    }
}

fn add(all: &mut Value, face: &str, contract: &Value) {
    let members = |value: &Value| value.as_object().cloned().unwrap_or_default();
    for (kind, components) in members(&contract["components"]) {
        let prefix = if NAMED_APART.contains(&kind.as_str()) { face } else { "" };
        for (name, component) in members(&components) {
            all["components"][&kind][format!("{prefix}{name}")] = component;
        }
    }
    for (path, item) in members(&contract["paths"]) {
        add_path(&mut all["paths"], &path, &members(&item), &contract["security"]);
    }
    let tags = contract["tags"].as_array().cloned().unwrap_or_default();
    let names: Vec<Value> = tags.iter().map(|tag| tag["name"].clone()).collect();
    push(&mut all["x-tagGroups"], [json!({ "name": face, "tags": names })]);
    push(&mut all["tags"], tags);
    let further = members(contract).into_iter().filter(|(name, _)| name.starts_with("x-"));
    all["x-faces"][face] = Value::Object(further.collect());
}

fn push(list: &mut Value, items: impl IntoIterator<Item = Value>) {
    if let Value::Array(list) = list {
        list.extend(items);
    }
}

/// The operations of a path that are served. The one path that two faces have is the first one's.
fn add_path(paths: &mut Value, path: &str, item: &Map<String, Value>, security: &Value) {
    let known = framefair_edge::KNOWN.iter().find(|(known, _)| *known == path);
    let Some((_, served)) = known.filter(|_| paths.get(path).is_none()) else { return };
    let served: Vec<String> = served.split(", ").map(str::to_lowercase).collect();
    let mut kept = item.clone();
    kept.retain(|name, _| !VERBS.contains(&name.as_str()) || served.contains(name));
    for (_, operation) in kept.iter_mut().filter(|(name, _)| VERBS.contains(&name.as_str())) {
        if operation["security"].is_null() {
            operation["security"] = security.clone();
        }
    }
    paths[path] = Value::Object(kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_to_a_component() {
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 50, "{} references", found.len());
        for reference in found {
            let target = document.pointer(reference.trim_start_matches('#'));
            assert!(target.is_some(), "{reference} leads nowhere");
        }
    }

    #[test]
    fn two_faces_with_an_error_of_their_own_keep_both() {
        let document = document();
        let schemas = &document["components"]["schemas"];
        assert!(schemas["CreatorError"]["properties"]["detail"].is_object());
        assert!(schemas["MarketError"]["properties"]["success"].is_object());
        let security = |path: &str| document["paths"][path]["get"]["security"].clone();
        assert_eq!(security("/api/v1/credits/balance"), json!([{ "UserBearer": [] }]));
        assert_eq!(security("/stats"), json!([]));
    }
}
