//! template.yaml against the contracts, the events and AWS's own rules. Knows what is declared, not
//! what the functions do when they are called.

mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_yaml_ng::Value;
use tree::{EDGE, FACES, events, operations, root, yaml};

/// What queues and schedules wake.
const WORKERS: &[&str] = &[
    "workers-dispatch",
    "workers-verify",
    "workers-payouts",
    "workers-sweeper",
    "workers-watcher",
    "workers-anchoring",
];

/// Queues that the relays drain, which are no functions.
const RELAYED: &[&str] = &["PushQueue"];

struct Function {
    /// Name of the resource in the template.
    name: String,
    handler: String,
    resource: Value,
    properties: Value,
}

impl Function {
    /// Method and path of every HTTP event. The default route has neither.
    fn routes(&self) -> BTreeSet<(String, String)> {
        let events = self.properties["Events"].as_mapping().expect("a function has events");
        let http = events.values().filter(|event| event["Type"] == "HttpApi");
        http.map(|event| {
            let text =
                |key: &str| event["Properties"][key].as_str().unwrap_or("$default").to_owned();
            (text("Method"), text("Path"))
        })
        .collect()
    }

    /// Its own statements, with the tags of CloudFormation's short forms taken off.
    fn statements(&self) -> Vec<(BTreeSet<String>, BTreeSet<String>)> {
        let policies = self.properties["Policies"].as_sequence().cloned().unwrap_or_default();
        let statements = policies.iter().filter_map(|policy| policy["Statement"].as_sequence());
        statements.flatten().map(|it| (words(&it["Action"]), words(&it["Resource"]))).collect()
    }

    fn may(&self, action: &str, resource: &str) -> bool {
        let fits = |(actions, resources): &(BTreeSet<String>, BTreeSet<String>)| {
            actions.contains(action) && resources.iter().any(|it| it.contains(resource))
        };
        self.statements().iter().any(fits)
    }
}

/// One text or a list of texts, tagged or not, as a set.
fn words(value: &Value) -> BTreeSet<String> {
    match value {
        Value::String(text) => BTreeSet::from([text.clone()]),
        Value::Tagged(tagged) => words(&tagged.value),
        Value::Sequence(list) => list.iter().flat_map(words).collect(),
        _ => BTreeSet::new(),
    }
}

fn resources(kind: &str) -> Vec<(String, Value)> {
    let template = yaml("template.yaml");
    let resources = template["Resources"].as_mapping().expect("a template has resources").clone();
    let named = resources
        .into_iter()
        .map(|(name, value)| (name.as_str().unwrap_or_default().to_owned(), value));
    named.filter(|(_, resource)| resource["Type"] == kind).collect()
}

fn functions() -> Vec<Function> {
    let functions = resources("AWS::Serverless::Function").into_iter();
    functions
        .map(|(name, resource)| Function {
            handler: resource["Properties"]["Handler"].as_str().expect("a handler").to_owned(),
            properties: resource["Properties"].clone(),
            name,
            resource,
        })
        .collect()
}

/// Every handler that must exist, by the contracts and by the two lists that no contract holds.
fn expected() -> BTreeSet<String> {
    let listed = EDGE.iter().chain(WORKERS).map(ToString::to_string);
    listed.chain(operations().into_iter().map(|operation| operation.handler)).collect()
}

#[test]
fn the_contracts_the_template_and_the_events_name_the_same_operations() {
    let template: Vec<String> = functions().into_iter().map(|it| it.handler).collect();
    let declared: BTreeSet<String> = template.iter().cloned().collect();
    assert_eq!(template.len(), declared.len(), "two functions serve one operation");
    assert_eq!(declared, expected(), "left template.yaml, right the contracts");

    let folders = FACES.iter().chain(&["edge", "workers"]);
    let examples: BTreeSet<String> =
        folders.flat_map(|folder| events(folder)).map(|(name, _)| name).collect();
    assert_eq!(examples, expected(), "left events/, right the contracts");
}

#[test]
fn each_function_answers_the_route_of_its_operation_and_no_other() {
    let by_handler: BTreeMap<String, Function> =
        functions().into_iter().map(|it| (it.handler.clone(), it)).collect();
    for operation in operations() {
        let mut routes = by_handler[&operation.handler].routes();
        let own = (operation.method, operation.path);
        assert!(routes.remove(&own), "{} lacks {own:?}", operation.handler);
        if operation.handler == "edge-health" {
            // The front strips /hub from every other path, but health answers differently under it.
            assert!(
                routes.remove(&("GET".into(), "/hub/health".into())),
                "health lacks /hub/health"
            );
        }
        assert!(routes.is_empty(), "{} also answers {routes:?}", operation.handler);
    }
    let default = ("$default".to_owned(), "$default".to_owned());
    assert_eq!(by_handler["edge-unknown"].routes(), BTreeSet::from([default]));
    let preflight = ("OPTIONS".to_owned(), "/{proxy+}".to_owned());
    assert_eq!(by_handler["edge-preflight"].routes(), BTreeSet::from([preflight]));
}

#[test]
fn functions_are_named_after_their_operation_and_share_the_binary_of_their_face() {
    for function in functions() {
        let (face, operation) = function.handler.split_once('-').expect("face-operation");
        let title = |text: &str| text[..1].to_uppercase() + &text[1..];
        assert_eq!(function.name, title(face) + &title(operation));

        let metadata = &function.resource["Metadata"];
        assert_eq!(metadata["BuildMethod"], "rust-cargolambda", "{}", function.name);
        assert_eq!(metadata["BuildProperties"]["Binary"], face, "{}", function.name);
        let manifest = std::fs::read_to_string(root().join(format!("functions/{face}/Cargo.toml")));
        let binary = format!("[[bin]]\nname = \"{face}\"\n");
        assert!(
            manifest.expect("a face has a folder").contains(&binary),
            "{face} builds no such binary"
        );
    }
}

#[test]
fn each_function_has_a_role_of_its_own_that_names_what_it_may_touch() {
    for function in functions() {
        assert!(function.properties["Role"].is_null(), "{} borrows a role", function.name);
        for (actions, resources) in function.statements() {
            assert!(
                !actions.is_empty() && !resources.is_empty(),
                "{}: an empty statement",
                function.name
            );
            for action in actions {
                assert!(!action.contains('*'), "{} may {action}", function.name);
                assert_ne!(action, "dynamodb:Scan", "{}: no Scan, ever", function.name);
            }
            assert!(!resources.contains("*"), "{} may touch everything", function.name);
        }
    }
}

#[test]
fn keys_are_read_where_they_sign_and_only_verify_writes_results() {
    let who = |action: &str, resource: &str| -> Vec<String> {
        functions().into_iter().filter(|it| it.may(action, resource)).map(|it| it.handler).collect()
    };
    assert_eq!(who("secretsmanager:GetSecretValue", "KeysSecret"), ["workers-payouts"]);
    assert_eq!(who("secretsmanager:GetSecretValue", "AnchorSecret"), ["workers-anchoring"]);
    let makers = ["creator-login", "creator-nodeRegister", "creator-refresh", "creator-register"];
    let mut signing = who("secretsmanager:GetSecretValue", "TokenSecret");
    signing.sort();
    assert_eq!(signing, makers, "who reads the key of the tokens");
    assert_eq!(who("secretsmanager:GetSecretValue", "StripeSecret"), ["creator-creditCheckout"]);
    let webhook = who("secretsmanager:GetSecretValue", "StripeWebhookSecrets");
    assert_eq!(webhook, ["creator-stripeWebhook"]);
    let knows = |it: &Function| !it.properties["Environment"]["Variables"]["KEYS_SECRET"].is_null();
    let knowing: Vec<String> = functions().into_iter().filter(knows).map(|it| it.handler).collect();
    assert_eq!(knowing, ["workers-payouts"]);
    assert_eq!(who("s3:PutObject", "/results/"), ["workers-verify"]);
    assert_eq!(who("s3:GetObject", "/staging/"), ["market-providerComplete", "workers-verify"]);
}

#[test]
fn a_message_stays_hidden_while_its_function_may_run_and_ends_in_a_dead_letter_queue() {
    let queues: BTreeMap<String, Value> = resources("AWS::SQS::Queue").into_iter().collect();
    let mut drained = 0;
    for function in functions() {
        let events = function.properties["Events"].as_mapping().expect("a function has events");
        for event in events.values().filter(|event| event["Type"] == "SQS") {
            let arn = words(&event["Properties"]["Queue"]).pop_first().expect("a queue");
            let queue = &queues[arn.trim_end_matches(".Arn")]["Properties"];
            let timeout =
                function.properties["Timeout"].as_u64().expect("a worker says its timeout");
            assert!(queue["VisibilityTimeout"].as_u64() >= Some(6 * timeout), "{arn}");
            let dead =
                words(&queue["RedrivePolicy"]["deadLetterTargetArn"]).pop_first().expect("redrive");
            assert!(queues.contains_key(dead.trim_end_matches(".Arn")), "{arn}");
            let answers = words(&event["Properties"]["FunctionResponseTypes"]);
            assert!(
                answers.contains("ReportBatchItemFailures"),
                "{arn}: one bad message repeats ten"
            );
            drained += 1;
        }
    }
    for name in RELAYED {
        let dead = words(&queues[*name]["Properties"]["RedrivePolicy"]["deadLetterTargetArn"]);
        let dead = dead.first().expect("redrive").trim_end_matches(".Arn").to_owned();
        assert!(queues.contains_key(&dead), "{name}");
    }
    // A relay drains the queue of the slot that it holds; all of them share one for what is dead.
    let slots = relay_slots();
    for slot in 0..slots {
        let queue = &queues[&format!("Relay{slot}Queue")]["Properties"];
        let name = words(&queue["QueueName"]).pop_first().expect("a name");
        assert_eq!(name, format!("${{AWS::StackName}}-relay-{slot}"));
        let dead = words(&queue["RedrivePolicy"]["deadLetterTargetArn"]).pop_first();
        assert_eq!(dead.expect("redrive"), "RelayDead.Arn");
    }
    assert_eq!(
        (drained + RELAYED.len()) * 2 + slots + 1,
        queues.len(),
        "a queue that nobody drains"
    );
}

/// How many slots a relay is told of.
#[test]
fn an_alarm_looks_at_every_dead_letter_queue() {
    let dead = resources("AWS::SQS::Queue").into_iter().map(|(name, _)| name);
    let dead: BTreeSet<String> = dead.filter(|name| name.ends_with("Dead")).collect();
    let watched: BTreeSet<String> = resources("AWS::CloudWatch::Alarm")
        .iter()
        .flat_map(|(_, alarm)| words(&alarm["Properties"]["Dimensions"][0]["Value"]))
        .map(|queue| queue.trim_end_matches(".QueueName").to_owned())
        .collect();
    assert_eq!(watched, dead);
}

fn relay_slots() -> usize {
    let (_, task) = resources("AWS::ECS::TaskDefinition").pop().expect("a relay");
    let variables = &task["Properties"]["ContainerDefinitions"][0]["Environment"];
    let variables = variables.as_sequence().expect("an environment");
    let slots = variables.iter().find(|it| it["Name"] == "RELAY_SLOTS").expect("RELAY_SLOTS");
    slots["Value"].as_str().and_then(|value| value.parse().ok()).expect("a number")
}

#[test]
fn new_relays_find_free_slots_while_the_old_ones_still_hold_theirs() {
    let most = &yaml("template.yaml")["Parameters"]["RelayCount"]["MaxValue"];
    let most = usize::try_from(most.as_u64().expect("a number")).expect("a small number");
    assert_eq!(relay_slots(), 2 * most);
    let asked =
        functions().into_iter().find(|it| it.handler == "creator-metrics").expect("metrics");
    let asked = &asked.properties["Environment"]["Variables"]["RELAY_SLOTS"];
    assert_eq!(asked.as_str(), Some(relay_slots().to_string().as_str()), "who adds up all relays");
    let (_, service) = resources("AWS::ECS::Service").pop().expect("a service");
    let deployment = &service["Properties"]["DeploymentConfiguration"];
    assert_eq!(deployment["MinimumHealthyPercent"], 100);
    assert_eq!(deployment["MaximumPercent"], 200);
}

#[test]
fn the_table_has_the_keys_and_the_sparse_indexes_of_the_store() {
    let (_, table) = resources("AWS::DynamoDB::Table").pop().expect("one table");
    let table = &table["Properties"];
    let keys = |value: &Value| -> Vec<String> {
        let schema = value["KeySchema"].as_sequence().expect("a key schema");
        schema.iter().filter_map(|key| key["AttributeName"].as_str()).map(String::from).collect()
    };
    assert_eq!(keys(table), ["PK", "SK"]);
    assert_eq!(table["TimeToLiveSpecification"]["AttributeName"], "expires");
    assert_eq!(table["StreamSpecification"]["StreamViewType"], "NEW_AND_OLD_IMAGES");
    let indexes = table["GlobalSecondaryIndexes"].as_sequence().expect("indexes");
    let found: Vec<_> =
        indexes.iter().map(|it| (it["IndexName"].as_str().expect("a name"), keys(it))).collect();
    let pair = |letter: &str| vec![format!("{letter}PK"), format!("{letter}SK")];
    assert_eq!(found, [("ByOwner", pair("O")), ("ByState", pair("S")), ("ByDue", pair("D"))]);
    for index in indexes {
        assert_eq!(index["Projection"]["ProjectionType"], "KEYS_ONLY", "an index row is a hint");
    }
}

#[test]
fn cfn_lint_finds_nothing_to_say() {
    lint("template.yaml".as_ref());
}

/// What CloudFormation makes of the template at deployment.
fn plain() -> serde_json::Value {
    let output = Command::new(tool("python"))
        .args(["tests/deploy/plain.py", "template.yaml"])
        .current_dir(root())
        .output()
        .expect("Python tools are missing; to install them: infra/local/install.sh test");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{error}\nIf a module is missing: infra/local/install.sh test"
    );
    serde_json::from_slice(&output.stdout).expect("the translator prints JSON")
}

#[test]
fn what_the_template_turns_into_keeps_routes_limits_and_manners() {
    let plain = plain();
    let resources = plain["Resources"].as_object().expect("resources");
    // CloudFormation takes 500; what remains is room for three more faces.
    assert!(resources.len() <= 200, "{} resources", resources.len());

    let paths = resources["Api"]["Properties"]["Body"]["paths"].as_object().expect("paths");
    for operation in operations() {
        let method = operation.method.to_lowercase();
        assert!(paths[&operation.path][&method].is_object(), "{method} {} is lost", operation.path);
    }
    assert!(paths.contains_key("$default"), "unknown routes would get the gateway's own answer");

    let named = |kind: &str| {
        resources.values().any(|it| it["Type"] == kind && it["Properties"]["Name"].is_string())
    };
    assert!(
        !named("AWS::Scheduler::Schedule"),
        "a fixed name keeps a second stack out of the account"
    );

    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("plain.json");
    std::fs::write(&file, plain.to_string()).expect("a file can be written");
    lint(&file);
}

/// A program of .venv, or the system's where a newcomer keeps these tools elsewhere.
fn tool(name: &str) -> PathBuf {
    let installed = root().join(".venv/bin").join(name);
    if installed.exists() { installed } else { name.into() }
}

fn lint(file: &Path) {
    let output = Command::new(tool("cfn-lint"))
        .arg(file)
        .current_dir(root())
        .output()
        .expect("cfn-lint is missing; to install it: infra/local/install.sh test");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
}
