//! One surface, said in six places: what the routers serve, what their OpenAPI says, the contract, the
//! template, the examples in events/ and what the edge knows of it. Calls nothing.

#[allow(dead_code, reason = "each test file uses its own part of the tree")]
mod tree;

use std::collections::BTreeSet;

use framefair_http::surface::Surface;
use framefair_workers::lambda::Worker;
use serde_json::Value;
use tree::{FACES, events, operations, yaml};
use utoipa_axum::router::OpenApiRouter;

const SURFACES: &[Surface] = &[framefair_creator::SURFACE, framefair_market::SURFACE];

/// Handler, method and path of an operation.
type Route = (String, String, String);

/// What an OpenAPI document says, under the name of who serves it.
fn of_document(face: &str, document: &impl serde::Serialize) -> BTreeSet<Route> {
    let document = serde_json::to_value(document).expect("a document is JSON");
    let paths = document["paths"].as_object().expect("a document has paths").iter();
    paths
        .flat_map(|(path, item)| {
            let members = item.as_object().expect("a path has methods").iter();
            let methods =
                members.filter(|(name, _)| *name != "parameters" && !name.starts_with("x-"));
            methods.map(move |(method, operation)| {
                let id = operation["operationId"].as_str().expect("an operation has a name");
                (format!("{face}-{id}"), method.to_uppercase(), path.clone())
            })
        })
        .collect()
}

/// What each router serves alone, as its Lambda does, and what all of them say together.
fn of_routers() -> (BTreeSet<Route>, BTreeSet<Route>) {
    let mut alone = BTreeSet::new();
    for face in SURFACES {
        for (name, route) in (face.operations)() {
            let own = of_document(face.name, &OpenApiRouter::new().routes(route()).into_openapi());
            let handler = format!("{}-{name}", face.name);
            assert!(own.len() == 1 && own.iter().all(|(it, _, _)| *it == handler), "{own:?}");
            alone.extend(own);
        }
    }
    for (name, route) in framefair_edge::operations() {
        let own = of_document("edge", &OpenApiRouter::new().routes(route()).into_openapi());
        assert!(own.iter().all(|(handler, _, _)| *handler == format!("edge-{name}")), "{own:?}");
        alone.extend(own);
    }
    let mut together = of_document("edge", &framefair_edge::edge().1);
    for face in SURFACES {
        together.extend(of_document(face.name, &face.document()));
    }
    (alone, together)
}

fn of_contract() -> BTreeSet<Route> {
    operations().into_iter().map(|it| (it.handler, it.method, it.path)).collect()
}

/// The first HTTP route of each function; health has a second one, under the hub's prefix.
fn of_template() -> BTreeSet<Route> {
    let template = yaml("template.yaml");
    let resources = template["Resources"].as_mapping().expect("a template has resources");
    let functions = resources.values().filter(|it| it["Type"] == "AWS::Serverless::Function");
    functions
        .filter_map(|function| {
            let handler = function["Properties"]["Handler"].as_str()?.to_owned();
            let http = &function["Properties"]["Events"]["Http"]["Properties"];
            let text = |key: &str| http[key].as_str().map(str::to_owned);
            Some((handler, text("Method")?, text("Path")?))
        })
        .filter(|(_, method, _)| method != "OPTIONS")
        .collect()
}

fn of_events() -> BTreeSet<Route> {
    let all = FACES.iter().chain(&["edge"]).flat_map(|folder| events(folder));
    all.filter_map(|(handler, event): (String, Value)| {
        let (method, path) = event["routeKey"].as_str()?.split_once(' ')?;
        Some((handler, method.to_owned(), path.to_owned()))
    })
    .filter(|(_, method, _)| method != "OPTIONS")
    .collect()
}

#[test]
fn routers_documents_contract_template_and_events_show_one_surface() {
    let (alone, together) = of_routers();
    assert!(alone.len() >= 14, "{alone:?}");
    assert_eq!(alone, together, "left each operation alone, right the whole face");
    assert_eq!(alone, of_contract(), "left the routers, right the contract");
    assert_eq!(alone, of_template(), "left the routers, right template.yaml");
    assert_eq!(alone, of_events(), "left the routers, right events/");
}

/// Whoever serves it: the document names each operation once, as the contract does.
#[test]
fn the_document_that_is_served_describes_every_operation_and_no_other() {
    let bare = |routes: BTreeSet<Route>| -> Vec<Route> {
        let bare = |(handler, method, path): Route| {
            let (_, id) = handler.split_once('-').expect("face-operation");
            (id.to_owned(), method, path)
        };
        let mut routes: Vec<Route> = routes.into_iter().map(bare).collect();
        routes.sort();
        routes
    };
    let served = bare(of_document("any", &framefair_docs::document()));
    assert_eq!(served, bare(of_routers().0), "left /openapi.json, right the routers");
}

#[test]
fn the_edge_knows_the_verbs_of_every_path_and_of_no_other() {
    let known: BTreeSet<(String, String)> = framefair_edge::KNOWN
        .iter()
        .flat_map(|(path, verbs)| {
            verbs.split(", ").map(|verb| (verb.to_owned(), (*path).to_owned()))
        })
        .collect();
    let pages = framefair_docs::PATHS.iter().map(|path| ("GET".to_owned(), (*path).to_owned()));
    let routed = of_template().into_iter().map(|(_, method, path)| (method, path));
    let routed = routed.chain(pages).collect();
    assert_eq!(known, routed, "left functions/edge, right template.yaml and the pages");
}

#[test]
fn every_function_names_an_operation_that_its_binary_serves() {
    let template = yaml("template.yaml");
    let resources = template["Resources"].as_mapping().expect("a template has resources");
    let handlers = resources.values().filter_map(|it| it["Properties"]["Handler"].as_str());
    let mut named = 0;
    for handler in handlers {
        let (face, name) = handler.split_once('-').expect("face-operation");
        let served = match face {
            "edge" => framefair_edge::operation(name).is_some(),
            "workers" => Worker::from_handler(handler).is_some(),
            _ => SURFACES
                .iter()
                .filter(|surface| surface.name == face)
                .any(|surface| (surface.operations)().iter().any(|(known, _)| *known == name)),
        };
        assert!(served, "no binary serves {handler}");
        named += 1;
    }
    assert_eq!(named, events_total(), "left the functions, right their examples");
}

fn events_total() -> usize {
    FACES.iter().chain(&["edge", "workers"]).map(|folder| events(folder).len()).sum()
}
