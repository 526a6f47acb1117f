//! The tree as tests read it: contracts and template as YAML, and the operations they declare. Knows
//! no crate of ours, so what it says cannot agree with the code by accident.

use std::path::{Path, PathBuf};

use serde_yaml_ng::Value;

/// Faces that are built. Each has a contract of its name in tests/contracts.
pub(crate) const FACES: &[&str] = &["creator", "market"];

/// What no face owns. `health` stands in the contracts, the other two are rules about all of them.
pub(crate) const EDGE: &[&str] = &["edge-health", "edge-preflight", "edge-unknown"];

/// One operation of a contract.
#[derive(Debug)]
pub(crate) struct Operation {
    /// `face-operationId`: the `Handler` in the template, and `_HANDLER` inside the function.
    pub(crate) handler: String,
    pub(crate) method: String,
    pub(crate) path: String,
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace").into()
}

pub(crate) fn yaml(path: &str) -> Value {
    let text = std::fs::read_to_string(root().join(path))
        .unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_yaml_ng::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every operation of the contracts that is built, each with the name of who serves it.
pub(crate) fn operations() -> Vec<Operation> {
    let mut found = Vec::new();
    for face in FACES {
        let contract = yaml(&format!("tests/contracts/{face}.yaml"));
        for (path, item) in contract["paths"].as_mapping().expect("a contract has paths") {
            for method in ["get", "post", "put", "patch", "delete"] {
                let Some(id) = item[method]["operationId"].as_str() else { continue };
                let owner = if id == "health" { "edge" } else { face };
                found.push(Operation {
                    handler: format!("{owner}-{id}"),
                    method: method.to_uppercase(),
                    path: path.as_str().expect("a path is text").to_owned(),
                });
            }
        }
    }
    found
}

/// The events of one folder below events/, as (`folder-name`, content).
pub(crate) fn events(folder: &str) -> Vec<(String, serde_json::Value)> {
    let path = root().join("events").join(folder);
    let files =
        std::fs::read_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    files
        .map(|entry| entry.expect("a folder can be listed").path())
        .map(|path| {
            let name = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).expect("an event is text");
            let event =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            (format!("{folder}-{name}"), event)
        })
        .collect()
}
