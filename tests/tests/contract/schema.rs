//! The part of JSON Schema that the contract uses, and the look-ups in its document. A keyword that is
//! not understood fails: nothing passes because it was not looked at.

use serde_json::Value;

/// Words that describe and decide nothing.
const SILENT: &[&str] =
    &["description", "default", "x-origin", "contentEncoding", "contentMediaType"];

pub(crate) fn contract(face: &str) -> Value {
    let contract = crate::tree::yaml(&format!("tests/contracts/{face}.yaml"));
    serde_json::to_value(contract).expect("YAML of a contract is JSON")
}

/// What a `$ref` stands for, or the value itself.
pub(crate) fn resolved<'a>(contract: &'a Value, value: &'a Value) -> &'a Value {
    let Some(reference) = value["$ref"].as_str() else { return value };
    let pointer = reference.trim_start_matches('#');
    resolved(
        contract,
        contract.pointer(pointer).unwrap_or_else(|| panic!("{reference} is missing")),
    )
}

/// Every operation with its document, as (operationId, method, path, operation).
pub(crate) fn operations(contract: &Value) -> Vec<(String, String, String, Value)> {
    let paths = contract["paths"].as_object().expect("paths");
    let all = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().expect("a path").iter();
        methods.filter_map(move |(method, operation)| {
            let id = operation["operationId"].as_str()?.to_owned();
            Some((id, method.to_uppercase(), path.clone(), operation.clone()))
        })
    });
    all.collect()
}

/// Holds `value` against `schema`; the error names the place.
pub(crate) fn check(
    contract: &Value,
    schema: &Value,
    value: &Value,
    at: &str,
) -> Result<(), String> {
    let schema = resolved(contract, schema);
    let fail = |why: String| Err(format!("{at}: {why}, but it is {value:.200}"));
    for (word, rule) in schema.as_object().expect("a schema is an object") {
        match word.as_str() {
            "allOf" => {
                for part in rule.as_array().expect("allOf is a list") {
                    check(contract, part, value, at)?;
                }
            }
            "type" => {
                let kinds = rule.as_array().cloned().unwrap_or_else(|| vec![rule.clone()]);
                if !kinds.iter().any(|kind| is_a(value, kind.as_str().expect("a type"))) {
                    return fail(format!("must be {rule}"));
                }
            }
            "const" if value != rule => return fail(format!("must be {rule}")),
            "enum" if !rule.as_array().expect("a list").contains(value) => {
                return fail(format!("must be one of {rule}"));
            }
            "required" => {
                for name in rule.as_array().expect("a list") {
                    if value.get(name.as_str().expect("a name")).is_none() {
                        return fail(format!("lacks {name}"));
                    }
                }
            }
            "properties" => {
                for (name, part) in rule.as_object().expect("an object") {
                    if let Some(member) = value.get(name) {
                        check(contract, part, member, &format!("{at}.{name}"))?;
                    }
                }
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(contract, rule, item, &format!("{at}[{index}]"))?;
                }
            }
            "minimum" if value.as_f64() < rule.as_f64() => return fail(format!("at least {rule}")),
            "maximum" if value.as_f64() > rule.as_f64() => return fail(format!("at most {rule}")),
            "maxItems"
                if value.as_array().map_or(0, Vec::len) as u64
                    > rule.as_u64().expect("a count") =>
            {
                return fail(format!("at most {rule} items"));
            }
            "minLength" | "maxLength" => {
                let length = value.as_str().map_or(0, |text| text.chars().count()) as u64;
                let bound = rule.as_u64().expect("a length");
                if (word == "minLength" && length < bound)
                    || (word == "maxLength" && length > bound)
                {
                    return fail(format!("{word} {rule}"));
                }
            }
            "pattern" if !matches(value, rule.as_str().expect("a pattern")) => {
                return fail(format!("must match {rule}"));
            }
            "format" if !is_formed(value, rule.as_str().expect("a format")) => {
                return fail(format!("must be formed as {rule}"));
            }
            "const" | "enum" | "minimum" | "maximum" | "maxItems" | "pattern" | "format" => {}
            silent if SILENT.contains(&silent) => {}
            other => panic!("{at}: this test does not know the keyword {other}"),
        }
    }
    Ok(())
}

fn is_a(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "null" => value.is_null(),
        other => panic!("{other} is no type"),
    }
}

fn matches(value: &Value, pattern: &str) -> bool {
    let pattern = regex::Regex::new(pattern).expect("a pattern");
    value.as_str().is_some_and(|text| pattern.is_match(text))
}

fn is_formed(value: &Value, format: &str) -> bool {
    match (format, value.as_str()) {
        ("uuid", Some(text)) => {
            uuid::Uuid::try_parse(text).is_ok_and(|id| id.get_version_num() == 7)
        }
        ("uri", Some(text)) => reqwest::Url::parse(text).is_ok(),
        ("date-time", Some(text)) => text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok(),
        ("date", Some(text)) => text.parse::<jiff::civil::Date>().is_ok(),
        ("int64", None) => value.is_i64(),
        // Whether there may be nothing is said by its type.
        (_, None) if value.is_null() => true,
        _ => panic!("{value} cannot be formed as {format}"),
    }
}

#[test]
fn every_documented_example_fits_its_own_schema() {
    let contract = contract("market");
    let mut examples = 0;
    for (id, _, _, operation) in operations(&contract) {
        for (status, response) in operation["responses"].as_object().expect("responses") {
            let content = &resolved(&contract, response)["content"]["application/json"];
            if content["example"].is_object() {
                let at = format!("{id} {status}");
                check(&contract, &content["schema"], &content["example"], &at).expect("fits");
                examples += 1;
            }
        }
    }
    assert!(examples > 20, "{examples} examples");
}

#[test]
fn what_breaks_a_schema_is_named() {
    let contract = contract("market");
    let schema = &contract["components"]["schemas"]["PaymentRequired"];
    let good = &operations(&contract)
        .into_iter()
        .find(|(id, ..)| id == "renderSubmit")
        .expect("it is there")
        .3["responses"]["402"]["content"]["application/json"]["example"]["payment"];
    check(&contract, schema, good, "payment").expect("the example fits");
    for (member, bad) in [
        ("memo", Value::from("rayment:x")),
        ("price", Value::from("0.1")),
        ("expiresAt", Value::from(1.5)),
        ("jobId", Value::from("7")),
        ("breakdown", Value::Null),
    ] {
        let mut broken = good.clone();
        broken[member] = bad;
        let why = check(&contract, schema, &broken, "payment").expect_err(member);
        assert!(why.starts_with(&format!("payment.{member}")), "{why}");
    }
    let mut short = good.clone();
    short.as_object_mut().expect("an object").remove("payTo");
    let why = check(&contract, schema, &short, "payment").expect_err("it lacks payTo");
    assert!(why.contains("lacks \"payTo\""), "{why}");
}
