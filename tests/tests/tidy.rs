//! The tree keeps its manners: what every file must begin with and what none may hold. Reads text
//! only and knows no crate of ours.

use std::fs;
use std::path::{Path, PathBuf};

const LINES_MAX: usize = 400;
/// Text that a person wrote. Recorded answers and lock files are not held to it.
const WRITTEN: &[&str] = &["rs", "toml", "yaml", "md", "sh", "py", "js", "ts", "json"];
/// Rooms where money is counted, so that a float beside it is a mistake.
const MONEY_ROOMS: &[&str] =
    &["shared/domain", "shared/app", "shared/billing", "shared/store", "shared/chain"];
const MONEY_WORDS: &[&str] =
    &["lamport", "price", "credit", "amount", "balance", "fee", "payout", "refund"];
/// Rooms that are told the time and lent their chance, so that a test can choose both.
const TOLD_ROOMS: &[&str] = &["shared/domain", "shared/app", "shared/billing", "shared/wire"];
/// Where the edges, and nobody else, ask for both at once.
const TOLD_BY: &str = "shared/app/src/call.rs";
const CLOCKS_AND_DICE: &[&str] = &[
    "SystemTime::now",
    "Instant::now",
    "Timestamp::now",
    "Utc::now",
    "rand::rng()",
    "thread_rng",
    "rand::random",
    "OsRng",
    "Uuid::now_v7",
    "Uuid::new_v4",
];
/// Names that say nothing about what a file holds.
const EMPTY_NAMES: &[&str] =
    &["utils", "util", "helpers", "helper", "manager", "service", "common", "misc"];

struct File {
    /// Relative to the root, with forward slashes.
    path: String,
    text: String,
}

impl File {
    fn is(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|it| it == extension)
    }

    /// In a folder or file that only tests compile.
    fn is_test(&self) -> bool {
        let stem = self.path.trim_end_matches(".rs");
        self.path.contains("/tests/") || stem.ends_with("tests") || stem.ends_with("testing")
    }

    /// Lines with their numbers, up to the first module of tests.
    fn shipped(&self) -> impl Iterator<Item = (usize, &str)> {
        let shipped = self.text.lines().take_while(|line| !line.starts_with("#[cfg(test)]"));
        shipped.enumerate().map(|(index, line)| (index + 1, line)).filter(|_| !self.is_test())
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace").into()
}

/// Every written file, without what .gitignore and git itself keep apart.
fn files() -> Vec<File> {
    let root = root();
    let ignored = fs::read_to_string(root.join(".gitignore")).expect(".gitignore");
    let ignored: Vec<&str> = ignored.lines().map(|line| line.trim_matches('/')).collect();
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder can be listed") {
            let path = entry.expect("an entry can be read").path();
            let name =
                path.file_name().expect("an entry has a name").to_string_lossy().into_owned();
            let link = path.is_symlink();
            if name == ".git" || link || ignored.contains(&name.as_str()) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|it| WRITTEN.iter().any(|written| it == *written))
            {
                let text =
                    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
                let path = path
                    .strip_prefix(&root)
                    .expect("below the root")
                    .to_string_lossy()
                    .into_owned();
                found.push(File { path, text });
            }
        }
    }
    assert!(found.len() > 50, "the tree was not found at {}", root.display());
    found
}

fn rust() -> impl Iterator<Item = File> {
    files().into_iter().filter(|file| file.is("rs"))
}

/// Fails with every offence at once, so that one run is enough to mend them.
fn nothing(found: Vec<String>, rule: &str) {
    assert!(found.is_empty(), "{rule}:\n  {}\n", found.join("\n  "));
}

/// This file spells what it forbids.
fn is_this_file(file: &File) -> bool {
    file.path.ends_with(file!().rsplit('/').next().expect("a path has a last part"))
}

#[test]
fn each_source_begins_by_saying_what_it_knows() {
    let silent = rust().filter(|file| !file.text.starts_with("//! "));
    nothing(
        silent.map(|file| file.path).collect(),
        "the first line says what the file knows, after //!",
    );
}

#[test]
fn no_source_outgrows_a_reader() {
    let lines = |file: &File| file.text.lines().count();
    let long = rust().filter(|file| lines(file) > LINES_MAX);
    let found = long.map(|file| format!("{}: {} lines", file.path, lines(&file)));
    nothing(found.collect(), "a file has about 300 lines, and never more than 400");
}

#[test]
fn nothing_is_left_for_later_or_left_out() {
    let words = ["todo!", "unimplemented!", "dbg!", "TODO", "FIXME", "XXX", "#[ignore"];
    let mut found = Vec::new();
    for file in rust().filter(|file| !is_this_file(file)) {
        for (index, line) in file.text.lines().enumerate() {
            if let Some(word) = words.iter().find(|word| line.contains(*word)) {
                found.push(format!("{}:{}: {word}", file.path, index + 1));
            }
        }
    }
    nothing(found, "unfinished work is an issue, not a mark in the code, and no test is skipped");
}

#[test]
fn the_tree_stands_alone() {
    // Where this clone lies, and whose home it lies in, on the machine at hand.
    let home = std::env::var("HOME").unwrap_or_default();
    let here = [root().display().to_string(), home].map(|path| format!("{path}/"));
    let here = here.iter().map(String::as_str).filter(|path| path.len() > 1);
    let outside: Vec<&str> = here.chain(["../shared/specs", "../shared/scenes"]).collect();
    // Notes that lie outside the tree: a reader of a clone cannot follow them.
    let notes = ["DESIGN.md", "STYLE.md", "VERSIONS.md", "RENDERING.md", "SOLANA.md", "AWS.md"];
    let mut found = Vec::new();
    for file in files().iter().filter(|file| !is_this_file(file)) {
        for (index, line) in file.text.lines().enumerate() {
            let mut words = outside.iter().chain(&notes);
            if let Some(word) = words.find(|word| line.contains(**word)) {
                found.push(format!("{}:{}: {word}", file.path, index + 1));
            }
        }
    }
    nothing(found, "a clone works on any machine and cites only what it holds");
}

#[test]
fn money_is_never_a_float() {
    let mut found = Vec::new();
    for file in rust().filter(|file| in_rooms(file, MONEY_ROOMS)) {
        for (number, line) in file.shipped() {
            let code = line.split("//").next().unwrap_or(line).to_lowercase();
            let float = code.contains("f64") || code.contains("f32");
            if float && MONEY_WORDS.iter().any(|word| code.contains(word)) {
                found.push(format!("{}:{number}: {}", file.path, line.trim()));
            }
        }
    }
    nothing(found, "money is an integer and is parsed from text");
}

#[test]
fn the_core_is_told_the_time_and_lent_its_chance() {
    let mut found = Vec::new();
    for file in rust().filter(|file| in_rooms(file, TOLD_ROOMS) && file.path != TOLD_BY) {
        for (number, line) in file.shipped() {
            let code = line.split("//").next().unwrap_or(line);
            if let Some(call) = CLOCKS_AND_DICE.iter().find(|call| code.contains(*call)) {
                found.push(format!("{}:{number}: {call}", file.path));
            }
        }
    }
    nothing(found, "now and entropy are arguments, given by the edges");
}

fn in_rooms(file: &File, rooms: &[&str]) -> bool {
    rooms.iter().any(|room| file.path.starts_with(&format!("{room}/src/")))
}

#[test]
fn names_say_what_is_inside() {
    let mut found = Vec::new();
    for file in rust() {
        let path = file.path.trim_end_matches(".rs");
        found.extend(
            path.split('/')
                .filter(|part| EMPTY_NAMES.contains(part))
                .map(|part| format!("{}: {part}", file.path)),
        );
    }
    nothing(found, "a name is a noun of the field");
}

#[test]
fn each_test_is_named_by_a_sentence() {
    let mut found = Vec::new();
    for file in rust().filter(|file| !is_this_file(file)) {
        let mut marked = false;
        for line in file.text.lines().map(str::trim) {
            marked |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
            let Some(name) = line.split("fn ").nth(1).and_then(|rest| rest.split('(').next())
            else {
                continue;
            };
            if marked && (name.matches('_').count() < 2 || name.starts_with("test_")) {
                found.push(format!("{}: {name}", file.path));
            }
            marked = false;
        }
    }
    nothing(found, "a test's name is the sentence that it proves");
}

#[test]
fn each_crate_says_what_it_is_and_keeps_the_lints_of_the_workspace() {
    let manifests = files().into_iter().filter(|file| file.path.ends_with("/Cargo.toml"));
    let mut found = Vec::new();
    for file in manifests {
        let manifest: toml::Value =
            toml::from_str(&file.text).unwrap_or_else(|error| panic!("{}: {error}", file.path));
        let package = &manifest["package"];
        let inherited = |key: &str| package.get(key).and_then(|it| it.get("workspace")).is_some();
        if package.get("description").and_then(|it| it.as_str()).is_none_or(|it| it.len() < 20) {
            found.push(format!("{}: no description", file.path));
        }
        if !inherited("license") || !inherited("rust-version") || !inherited("edition") {
            found.push(format!(
                "{}: licence, edition and rust-version are the workspace's",
                file.path
            ));
        }
        if manifest.get("lints").and_then(|it| it.get("workspace")).is_none() {
            found.push(format!("{}: [lints] workspace = true is missing", file.path));
        }
    }
    nothing(found, "a crate introduces itself");
}

#[test]
fn decisions_are_numbered_without_gaps_and_fit_a_page() {
    let mut pages: Vec<File> =
        files().into_iter().filter(|file| file.path.starts_with("infra/decisions/")).collect();
    pages.sort_by(|one, other| one.path.cmp(&other.path));
    for (index, page) in pages.iter().enumerate() {
        let number = format!("infra/decisions/{:04}-", index + 1);
        assert!(page.path.starts_with(&number), "{} should begin with {number}", page.path);
        assert!(page.text.lines().count() <= 60, "{} is longer than a page", page.path);
    }
    assert!(!pages.is_empty(), "infra/decisions is empty");
}
