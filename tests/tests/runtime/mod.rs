//! The Lambda service as a function sees it: its Runtime API, and the environment that the template
//! gives it. Runs the real binaries; knows nothing of what they answer.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::mpsc;

use crate::tree::yaml;

/// A loaded machine may need long to start twenty debug binaries.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);

/// What a function gave back: its answer, or what it reported as an error.
pub(crate) type Answer = Result<Value, Value>;

#[derive(Clone)]
struct Service {
    event: Arc<Mutex<Option<Value>>>,
    answers: mpsc::Sender<Answer>,
}

/// Hands out the one event; who asks again waits until it is stopped.
async fn next(State(service): State<Service>) -> Response {
    let event = service.event.lock().expect("nobody panics while holding it").take();
    let Some(event) = event else {
        std::future::pending::<()>().await;
        unreachable!("pending never ends")
    };
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd"),
        ("lambda-runtime-deadline-ms", "4102444800000"),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:123456789012:function:f"),
        ("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700"),
        ("content-type", "application/json"),
    ] {
        headers.insert(name, value.parse().expect("a header"));
    }
    (headers, event.to_string()).into_response()
}

async fn answered(State(service): State<Service>, body: String) -> Response {
    let answer = serde_json::from_str(&body).map_err(|_| Value::String(body));
    drop(service.answers.send(answer).await);
    (axum::http::StatusCode::ACCEPTED, r#"{"status":"OK"}"#).into_response()
}

async fn erred(State(service): State<Service>, _: Option<Path<String>>, body: String) -> Response {
    let error = serde_json::from_str(&body).unwrap_or(Value::String(body));
    drop(service.answers.send(Err(error)).await);
    (axum::http::StatusCode::ACCEPTED, r#"{"status":"OK"}"#).into_response()
}

/// Starts the binary of `handler` as Lambda would, gives it `event`, and waits for the answer.
pub(crate) async fn invoke(handler: &str, event: Value, given: &Given) -> Answer {
    let (answers, mut answer) = mpsc::channel(4);
    let service = Service { event: Arc::new(Mutex::new(Some(event))), answers };
    let router = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(answered))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(erred))
        .route("/2018-06-01/runtime/init/error", post(erred))
        .with_state(service);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });

    let (face, _) = handler.split_once('-').expect("face-operation");
    let mut function = Command::new(framefair_tests::program(face))
        .env_clear()
        .envs(environment(handler, given))
        .env("_HANDLER", handler)
        .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
        .env("AWS_LAMBDA_FUNCTION_NAME", handler)
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_LOG_GROUP_NAME", "logs")
        .env("AWS_LAMBDA_LOG_STREAM_NAME", "log")
        .stdout(Stdio::inherit())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("{handler} does not start: {error}"));
    let answer = tokio::time::timeout(ANSWER_WITHIN, async {
        tokio::select! {
            answer = answer.recv() => Some(answer.expect("the service still runs")),
            _ = function.wait() => None,
        }
    })
    .await;
    drop(function.start_kill());
    serving.abort();
    match answer {
        Ok(Some(answer)) => answer,
        unanswered => {
            let said = function.wait_with_output().await.map(|output| output.stderr);
            let said = String::from_utf8_lossy(&said.unwrap_or_default()).into_owned();
            let why = if unanswered.is_ok() { "ended" } else { "did not answer in time" };
            panic!("{handler} {why}; it said:\n{said}");
        }
    }
}

/// What stands behind the names that the template gives its functions.
#[derive(Debug)]
pub(crate) struct Given {
    /// By the name of the variable.
    pub(crate) values: BTreeMap<&'static str, String>,
    /// What Lambda itself or the emulator sets.
    pub(crate) platform: BTreeMap<&'static str, String>,
}

/// The variables that the template gives to the function, filled in. One that is not given here
/// fails, and so does a function that needs one which the template does not give.
fn environment(handler: &str, given: &Given) -> BTreeMap<String, String> {
    let template = yaml("template.yaml");
    let functions = template["Resources"].as_mapping().expect("a template has resources");
    let function = functions.values().find(|it| it["Properties"]["Handler"] == handler);
    let function = function.unwrap_or_else(|| panic!("no function is {handler}"));
    let own = &function["Properties"]["Environment"]["Variables"];
    let all = &template["Globals"]["Function"]["Environment"]["Variables"];
    let names = [all, own].into_iter().filter_map(|variables| variables.as_mapping()).flatten();
    let filled = names.filter_map(|(name, _)| name.as_str()).map(|name| {
        let value = given.values.get(name);
        (name.to_owned(), value.unwrap_or_else(|| panic!("{name} stands for nothing")).clone())
    });
    let platform = given.platform.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    filled.chain(platform).collect()
}

/// Secrets by their names, as Secrets Manager answers; where it listens. The embedded cloud keeps none.
pub(crate) async fn secrets(known: BTreeMap<&'static str, String>) -> String {
    let answer = move |body: String| async move {
        let asked: Value = serde_json::from_str(&body).expect("a request");
        let id = asked["SecretId"].as_str().expect("a name");
        match known.get(id) {
            Some(text) => {
                let found = serde_json::json!({ "Name": id, "SecretString": text });
                (axum::http::StatusCode::OK, axum::Json(found))
            }
            None => {
                let missing = serde_json::json!({ "__type": "ResourceNotFoundException" });
                (axum::http::StatusCode::BAD_REQUEST, axum::Json(missing))
            }
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let router = axum::Router::new().route("/", axum::routing::post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}
