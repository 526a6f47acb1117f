//! Who may import whom, and which crates from outside stand behind which door. Reads `cargo metadata`
//! and `deny.toml`; knows nothing of what the code does with what it imports.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// One room of the workspace: its folder, the rooms it may import, and the reason in words.
struct Room {
    folder: &'static str,
    imports: &'static [&'static str],
    why: &'static str,
}

const fn room(folder: &'static str, imports: &'static [&'static str], why: &'static str) -> Room {
    Room { folder, imports, why }
}

const FACE: &[&str] = &["http", "app", "domain", "wire"];
const FACE_WHY: &str = "a face owns vocabulary: it reaches the tables and the chain through app alone, \
                        and never reaches another face";

/// The whole rule, rooms that are still to be built included. A room may import what stands in its
/// row and nothing else of ours. Dev-dependencies are free: a test may use anything.
const ROOMS: &[Room] = &[
    room(
        "shared/domain",
        &[],
        "domain is pure: it imports nothing of ours, does no I/O, reads no clock",
    ),
    room("shared/wire", &["domain"], "wire holds messages; both ends of a socket share it"),
    room("shared/blend", &["domain"], "blend reads bytes of strangers' files and must stay small"),
    room(
        "shared/picture",
        &["domain"],
        "picture reads bytes of strangers' files and must stay small",
    ),
    room(
        "shared/store",
        &["domain"],
        "store keeps what it is given; what it means is app's business",
    ),
    room("shared/chain", &["domain"], "chain moves lamports; what they are for is app's business"),
    room("shared/billing", &["domain"], "billing moves money; what it is for is app's business"),
    room(
        "shared/outbound",
        &["domain"],
        "outbound is the guarded way out of the platform; the rule of what may be dialled is domain's, \
         because those who take an endpoint hold it, too",
    ),
    room(
        "shared/app",
        &["domain", "blend", "store", "chain", "billing"],
        "app is the use cases, with no HTTP in it",
    ),
    room(
        "shared/http",
        &["app", "domain"],
        "http is extractors and errors for the faces; data reach it through app",
    ),
    room("functions/creator", FACE, FACE_WHY),
    room("functions/market", FACE, FACE_WHY),
    room("functions/studio", FACE, FACE_WHY),
    room("functions/pipeline", FACE, FACE_WHY),
    room("functions/edge", &["http"], "edge answers what no face owns, so it needs no data at all"),
    room(
        "functions/workers",
        &["app", "domain", "picture", "outbound"],
        "workers carry out what app decides; tables and chain are reached through app",
    ),
    room(
        "infra/relay",
        &["app", "domain", "http", "wire", "outbound", "market", "creator", "edge", "docs"],
        "the relay is a courier: what it carries was decided in app and stored by app; what it takes in \
         for a face it refuses in that face's words; it has room for the pages that no function has",
    ),
    room(
        "infra/docs",
        &["edge"],
        "docs shows the contracts, and of them what the edge knows to be served",
    ),
    room(
        "infra/devcloud",
        &[],
        "devcloud stands in for AWS: it must be as foreign to us as AWS is",
    ),
    room(
        "infra/localnet",
        &[],
        "localnet stands in for Solana: it must be as foreign to us as Solana is",
    ),
    room("infra/local", EVERYTHING, "local puts the whole system in one process"),
    room(
        "clients/node",
        &["wire", "domain", "blend", "picture", "outbound"],
        "a node is somebody else's machine: it sees messages, never our tables or keys",
    ),
    room(
        "clients/cli",
        &["node", "wire", "domain", "blend", "chain"],
        "the command line is a client of the public API, with a wallet of its own",
    ),
    room("tests", EVERYTHING, "tests may look at anything"),
];
const EVERYTHING: &[&str] = &["*"];

/// Crates from outside that only certain rooms may name: prefix, rooms, reason.
const DOORS: &[(&str, &[&str], &str)] = &[
    ("aws-", &["store"], "only store sees the AWS SDK, so one seam counts and limits every call"),
    (
        "solana-",
        &["chain", "localnet"],
        "only chain sees Solana, so one seam guards every transaction",
    ),
    (
        "spl-",
        &["chain", "localnet"],
        "only chain sees Solana, so one seam guards every transaction",
    ),
    ("litesvm", &["localnet"], "the embedded chain never reaches a Lambda"),
    ("dynoxide", &["devcloud"], "the embedded database never reaches a Lambda"),
    ("s3s", &["devcloud"], "the embedded object store never reaches a Lambda"),
    ("async-stripe", &["billing"], "Stripe is heavy to build and stays in one crate"),
    (
        "reqwest",
        &["outbound", "chain", "billing", "node", "cli", "local"],
        "the service dials strangers' addresses through outbound alone, behind its guard",
    ),
];

/// Rooms that must stay free of I/O, clocks and chance, and the crates that would bring them in.
const PURE: &[&str] = &["domain", "wire"];
const IMPURE: &[&str] = &["tokio", "axum", "hyper", "tower", "rand", "getrandom", "tempfile"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace").into()
}

/// What cargo resolved for Linux, the one platform that is built here.
fn metadata(root: &Path, resolve: bool) -> Metadata {
    let mut command = MetadataCommand::new();
    command.manifest_path(root.join("Cargo.toml"));
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    command.other_options(vec!["--filter-platform".into(), platform]);
    if !resolve {
        command.no_deps();
    }
    command.exec().expect("cargo metadata reads the workspace")
}

fn name_of(folder: &str) -> &str {
    folder.rsplit('/').next().expect("a split has at least one part")
}

fn row(name: &str) -> Option<&'static Room> {
    ROOMS.iter().find(|room| name_of(room.folder) == name)
}

/// Every offence against the two tables, each as a sentence that says what to do.
fn offences(root: &Path, metadata: &Metadata) -> Vec<String> {
    let mut found = Vec::new();
    for package in metadata.workspace_packages() {
        let folder = package.manifest_path.parent().expect("a manifest lies in a folder");
        let folder = folder.strip_prefix(root).map_or("", |folder| folder.as_str());
        let name = package.name.strip_prefix("framefair-").unwrap_or("");
        match row(name) {
            Some(room) if room.folder == folder => found.extend(offences_of(package, name, room)),
            _ => found.push(format!(
                "`{}` in {folder} has no row in ROOMS: a package is named framefair-ROOM after its \
                 folder, and its row says what it may import",
                package.name
            )),
        }
    }
    found
}

fn offences_of(package: &Package, name: &str, room: &Room) -> Vec<String> {
    let shipped = package.dependencies.iter().filter(|it| it.kind != DependencyKind::Development);
    shipped
        .filter_map(|dependency| match dependency.name.strip_prefix("framefair-") {
            Some(other) => edge(name, other, room),
            None => door(name, &dependency.name),
        })
        .collect()
}

fn edge(from: &str, to: &str, room: &Room) -> Option<String> {
    let stand_in = ["devcloud", "localnet"].contains(&to);
    if room.imports == EVERYTHING || (room.imports.contains(&to) && !stand_in) {
        return None;
    }
    Some(format!(
        "{} may not import {}: {}. It may import {:?}. Move the code, or change the rule on purpose: \
         its row in ROOMS and a page in infra/decisions",
        room.folder,
        row(to).map_or(to, |room| room.folder),
        room.why,
        room.imports,
    ))
    .filter(|_| from != to)
}

fn door(room: &str, outside: &str) -> Option<String> {
    if room == "tests" {
        return None;
    }
    if PURE.contains(&room) && IMPURE.contains(&outside) {
        return Some(format!(
            "{room} may not use {outside}: it is pure; now and chance are arguments"
        ));
    }
    let (_, rooms, why) = DOORS.iter().find(|(prefix, _, _)| outside.starts_with(prefix))?;
    let allowed = rooms.contains(&room);
    (!allowed).then(|| format!("{room} may not use {outside}: {why}. Rooms that may: {rooms:?}"))
}

#[test]
fn rooms_import_only_what_their_row_allows() {
    let root = root();
    let found = offences(&root, &metadata(&root, false));
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn an_edge_that_no_row_allows_is_found_in_the_manifest_and_named() {
    let tree = tempfile::tempdir().expect("a temporary folder");
    let root = tree.path().canonicalize().expect("the folder exists");
    let write = |folder: &str, dependencies: &str| {
        let name = name_of(folder);
        std::fs::create_dir_all(root.join(folder).join("src")).expect("folder");
        std::fs::write(root.join(folder).join("src/lib.rs"), "").expect("source");
        let text =
            format!("[package]\nname = \"framefair-{name}\"\nedition = \"2024\"\n{dependencies}");
        std::fs::write(root.join(folder).join("Cargo.toml"), text).expect("manifest");
    };
    let members =
        ["shared/app", "shared/store", "functions/market", "infra/localnet", "shared/helpers"];
    let workspace = format!("[workspace]\nresolver = \"3\"\nmembers = {members:?}\n");
    std::fs::write(root.join("Cargo.toml"), workspace).expect("workspace");
    write(
        "shared/app",
        "[dependencies]\nframefair-store = { path = \"../store\" }\naws-sdk-s3 = \"1\"\n",
    );
    write("shared/store", "[build-dependencies]\nframefair-app = { path = \"../app\" }\n");
    write(
        "functions/market",
        "[dependencies]\nframefair-app = { path = \"../../shared/app\" }\n\
         framefair-store = { path = \"../../shared/store\", optional = true }\n\
         [dev-dependencies]\nframefair-localnet = { path = \"../../infra/localnet\" }\n",
    );
    write("infra/localnet", "[dependencies]\nsolana-sdk = \"4\"\n");
    write("shared/helpers", "");

    let mut found = offences(&root, &metadata(&root, false));
    found.sort();
    let starts = [
        "`framefair-helpers` in shared/helpers has no row",
        "app may not use aws-sdk-s3: only store",
        "functions/market may not import shared/store: a face owns vocabulary",
        "shared/store may not import shared/app: store keeps",
    ];
    assert_eq!(found.len(), starts.len(), "{found:#?}");
    for (sentence, start) in found.iter().zip(starts) {
        assert!(sentence.starts_with(start), "{sentence}");
    }
}

#[test]
fn each_row_names_rooms_that_have_a_row() {
    for room in ROOMS.iter().filter(|room| room.imports != EVERYTHING) {
        for import in room.imports {
            assert!(row(import).is_some(), "{} imports {import}, which has no row", room.folder);
        }
    }
    for (prefix, rooms, _) in DOORS {
        for room in *rooms {
            assert!(row(room).is_some(), "{prefix} names {room}, which has no row");
        }
    }
}

#[test]
fn every_duplicate_crate_is_explained_in_deny_toml_and_every_explanation_still_applies() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, version) in built() {
        versions.entry(name).or_default().insert(version);
    }
    let mut stale: BTreeSet<String> = entries("bans", "skip").collect();

    let mut unexplained = Vec::new();
    for (name, versions) in versions.iter().filter(|(_, versions)| versions.len() > 1) {
        let ids = versions.iter().map(|version| format!("{name}@{version}"));
        let left: Vec<_> = ids.filter(|id| !stale.remove(id)).collect();
        if left.len() > 1 {
            unexplained.push(left.join(" and "));
        }
    }
    assert!(
        unexplained.is_empty(),
        "built side by side: {unexplained:#?}. Find who asks (cargo tree -i NAME@VERSION), make them \
         agree, or explain all but the newest in deny.toml under bans.skip"
    );
    assert!(stale.is_empty(), "deny.toml explains what is no longer built twice: {stale:#?}");
}

#[test]
fn no_banned_crate_is_built() {
    let banned: BTreeSet<String> = entries("bans", "deny").collect();
    assert!(
        banned.contains("aws-lc-sys"),
        "rustls runs on ring: a second TLS provider stays banned"
    );
    for (name, _) in built() {
        assert!(
            !banned.contains(&name),
            "{name} is banned in deny.toml; cargo tree -i {name} says who asks"
        );
    }
}

#[test]
fn every_licence_is_one_that_deny_toml_allows() {
    let deny = deny();
    let allowed = deny["licenses"]["allow"].as_array().expect("licenses.allow is a list");
    let allowed: BTreeSet<&str> = allowed.iter().filter_map(toml::Value::as_str).collect();

    for package in metadata(&root(), true).packages {
        let name = &package.name;
        let Some(licence) = package.license.as_deref() else {
            let text = package.license_file().and_then(|file| std::fs::read_to_string(file).ok());
            let text = text.unwrap_or_default();
            assert!(text.contains("Apache License"), "{name} comes without a licence that we know");
            continue;
        };
        let terms = spdx::Expression::parse_mode(licence, spdx::ParseMode::LAX)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let fits = terms.evaluate(|term| allowed.contains(term.to_string().as_str()));
        assert!(
            fits,
            "{name} is under {licence}, which licenses.allow in deny.toml does not cover"
        );
    }
}

/// Names of the crates listed in deny.toml, each of which must come with a reason.
fn entries(table: &str, list: &str) -> impl Iterator<Item = String> {
    let entries = deny()[table][list].as_array().expect("a list in deny.toml").clone();
    entries.into_iter().map(|entry| {
        assert!(
            entry["reason"].as_str().is_some_and(|it| !it.is_empty()),
            "{entry:?} needs a reason"
        );
        entry["crate"].as_str().expect("crate = \"name\"").to_owned()
    })
}

/// Name and version of everything built for this platform. `cargo tree` follows features exactly,
/// where the graph of `cargo metadata` also holds optional crates that nobody turned on.
fn built() -> BTreeSet<(String, String)> {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = std::process::Command::new(env!("CARGO"))
        .args(["tree", "--workspace", "--edges", "normal,build,dev", "--prefix", "none"])
        .args(["--format", "{p}", "--target", &target])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("cargo prints text");
    text.lines()
        .filter_map(|line| line.split_once(" v"))
        .map(|(name, rest)| (name.into(), rest.split(' ').next().unwrap_or(rest).into()))
        .collect()
}

fn deny() -> toml::Value {
    let text = std::fs::read_to_string(root().join("deny.toml")).expect("deny.toml is in the tree");
    toml::from_str(&text).expect("deny.toml is TOML")
}
