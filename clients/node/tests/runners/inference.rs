//! Models, encoded here field by field, and what comes of them and of what is wrong with them.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use framefair_node::limits::Limits;
use framefair_node::runners::Kind;
use serde_json::{Value, json};

use crate::onnx::{FLOAT, INT64, Model, Node};
use crate::support::{Ran, run, run_within};

/// y = x · w + b, for any number of rows of two.
fn linear() -> Vec<u8> {
    Model::default()
        .floats("w", &[2, 1], &[2.0, 10.0])
        .floats("b", &[1], &[0.5])
        .node(Node::new("MatMul", &["x", "w"], &["xw"]))
        .node(Node::new("Add", &["xw", "b"], &["y"]))
        .input("x", FLOAT, &["rows", "2"])
        .output("y", FLOAT, &["rows", "1"])
        .encode()
}

fn payload(model: &[u8], inputs: &Value) -> String {
    json!({"model_base64": BASE64_STANDARD.encode(model), "inputs": inputs}).to_string()
}

async fn infer(model: &[u8], inputs: Value) -> Ran {
    run(Kind::Inference, payload(model, &inputs)).await
}

#[track_caller]
fn expect_fault(ran: &Ran, code: &str, words: &str) {
    let (whose, found, said) = ran.fault();
    assert_eq!((whose, found), ("payload", code), "{said}");
    assert!(said.contains(words), "{said}");
}

#[tokio::test]
async fn a_model_turns_its_inputs_into_named_outputs() {
    let x = json!({"shape": [3, 2], "dtype": "f32", "data": [1, 0, 0, 1, 0.25, -1]});
    let y = json!({"outputs": {"y": {"shape": [3, 1], "dtype": "f32", "data": [2.5, 10.5, -9.0]}}});
    let ran = infer(&linear(), json!({"x": x})).await;
    assert_eq!(ran.json(), y);
    assert_eq!(ran.progress.last(), Some(&1.0));
    assert_eq!(infer(&linear(), json!([x])).await.json(), y);
}

#[tokio::test]
async fn what_json_has_no_number_for_is_a_text_in_both_directions() {
    let divide = Model::default()
        .node(Node::new("Div", &["a", "b"], &["c"]))
        .input("a", FLOAT, &["4"])
        .input("b", FLOAT, &["4"])
        .output("c", FLOAT, &["4"])
        .encode();
    let given = |data: Value| json!({"shape": [4], "dtype": "f32", "data": data});
    let (a, b) = (given(json!([1, -1, 0, "NaN"])), given(json!([0, 0, 0, "Infinity"])));
    let c = infer(&divide, json!({"a": a, "b": b})).await.json()["outputs"]["c"]["data"].clone();
    assert_eq!(c, json!(["Infinity", "-Infinity", "NaN", "NaN"]));
    let (a, b) = (given(json!([1, 1, 1, 0.1])), given(json!(["-Infinity", 3, 1e9, 1])));
    let c = infer(&divide, json!([a, b])).await.json()["outputs"]["c"]["data"].clone();
    assert_eq!(c.to_string(), "[-0.0,0.33333334,1e-9,0.1]");
}

#[tokio::test]
async fn integers_keep_every_digit() {
    let twice = Model::default()
        .node(Node::new("Add", &["n", "n"], &["twice"]))
        .input("n", INT64, &["2"])
        .output("twice", INT64, &["2"])
        .encode();
    let n = json!({"shape": [2], "dtype": "i64", "data": [4_611_686_018_427_387_903_i64, -1]});
    let made = infer(&twice, json!({"n": n})).await.json();
    let twice = json!({"shape": [2], "dtype": "i64", "data": [9_223_372_036_854_775_806_i64, -2]});
    assert_eq!(made["outputs"]["twice"], twice);
}

#[tokio::test]
async fn inputs_that_do_not_fit_the_model_are_named() {
    let x = |shape: Value, dtype: &str, data: Value| json!({"x": {"shape": shape, "dtype": dtype, "data": data}});
    for (inputs, words) in [
        (json!({}), "[\"x\"]"),
        (json!([]), "[\"x\"]"),
        (json!({"z": {"shape": [1], "dtype": "f32", "data": [1]}}), "no input \"z\""),
        (x(json!([1, 2]), "f64", json!([1, 2])), "F32"),
        (x(json!([1, 3]), "f32", json!([1, 2, 3])), "shape"),
        (x(json!([2]), "f32", json!([1, 2])), "shape"),
        (x(json!([1, 2]), "f32", json!([1])), "needs 2"),
        (x(json!([1, 2]), "f32", json!([1, "two"])), "NaN"),
        (x(json!([1, 2]), "i64", json!([1, 2.5])), "cannot be read"),
        (x(json!([1, 2]), "complex", json!([1, 2])), "one of"),
        (x(json!([-1, 2]), "f32", json!([])), "inputs cannot be read"),
        (json!("x"), "inputs cannot be read"),
    ] {
        expect_fault(&infer(&linear(), inputs).await, "invalid", words);
    }
    let huge = x(json!([4_294_967_296_u64, 4_294_967_296_u64]), "f32", json!([]));
    expect_fault(&infer(&linear(), huge).await, "too_large", "numbers");
}

#[tokio::test]
async fn what_is_no_model_is_the_payloads_fault_and_says_why() {
    for (payload, words) in [
        ("", "JSON"),
        ("[]", "model_base64"),
        ("{\"model_base64\": \"!\"}", "base64"),
        ("{\"model_url\": \"https://example.com/m.onnx\"}", "model_url"),
        ("{\"model_base64\": \"////\"}", "no ONNX"),
    ] {
        expect_fault(&run(Kind::Inference, payload).await, "invalid", words);
    }
    let empty = run(Kind::Inference, "{\"model_base64\": \"\"}").await;
    expect_fault(&empty, "unsupported", "graph");
    let large = format!("{{\"model_base64\": \"{}\"}}", "A".repeat((64 << 20) / 3 * 4 + 8));
    expect_fault(&run(Kind::Inference, large).await, "too_large", "64 MiB");
    let foreign = Model::default()
        .node(Node::new("FlyToTheMoon", &["x"], &["y"]))
        .input("x", FLOAT, &["1"])
        .output("y", FLOAT, &["1"])
        .encode();
    let x = json!([{"shape": [1], "dtype": "f32", "data": [1]}]);
    expect_fault(&infer(&foreign, x).await, "unsupported", "FlyToTheMoon");
}

#[tokio::test]
async fn a_model_cannot_read_a_file_of_the_host() {
    let outside = Model::default()
        .outside("w", &[1], "/etc/hostname")
        .node(Node::new("Add", &["w", "w"], &["y"]))
        .output("y", FLOAT, &["1"])
        .encode();
    expect_fault(&infer(&outside, json!([])).await, "unsupported", "in the model itself");
}

/// A tensor of ones whose shape is in the model.
fn filled(shape: &[i64]) -> Model {
    Model::default().integers("shape", &[shape.len() as i64], shape).node(Node::new(
        "ConstantOfShape",
        &["shape"],
        &["a0"],
    ))
}

#[tokio::test]
async fn a_model_that_asks_for_all_memory_ends_alone() {
    let bomb = filled(&[1 << 20, 1 << 20]).output("a0", FLOAT, &[]).encode();
    expect_fault(&infer(&bomb, json!([])).await, "out_of_memory", "MiB");
}

#[tokio::test]
async fn more_output_than_is_taken_is_the_payloads_fault() {
    let flood = filled(&[5000, 5000]).output("a0", FLOAT, &[]).encode();
    expect_fault(&infer(&flood, json!([])).await, "output_limit", "reduce");
}

#[tokio::test]
async fn a_model_that_takes_too_long_ends_alone() {
    let mut long = filled(&[1024, 1024]);
    for at in 0..2000 {
        let (from, to) = (format!("a{at}"), format!("a{}", at + 1));
        long = long.node(Node::new("MatMul", &[&from, "a0"], &[&to]));
    }
    let long = long.output("a2000", FLOAT, &[]).encode();
    let limits = Limits { wall: Duration::from_secs(1), ..Kind::Inference.limits() };
    let ran = run_within(Kind::Inference, payload(&long, &json!([])).as_bytes(), &limits).await;
    expect_fault(&ran, "time_limit", "1 seconds");
}

#[tokio::test]
async fn a_damaged_model_never_harms_the_runner() {
    let (model, x) = (linear(), json!([{"shape": [1, 2], "dtype": "f32", "data": [1, 2]}]));
    let mut chance = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..40 {
        let mut damaged = model.clone();
        for _ in 0..3 {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = (chance >> 33) as usize % damaged.len();
            damaged[at] = (chance >> 20) as u8;
        }
        let ran = infer(&damaged, x.clone()).await;
        if ran.outcome.is_err() {
            // A panic of the engine counts as a crash, and stays in its process.
            assert_eq!(ran.fault().0, "payload", "{:?} {damaged:?}", ran.fault());
        }
    }
}
