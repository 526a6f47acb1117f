//! Contracts, journeys, races and walks over the whole system. Here: what several of them need.

use std::path::PathBuf;

/// A program of the same build as the test that asks.
///
/// # Panics
/// If it was not built.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own file");
    let built = test.ancestors().nth(2).expect("a test lies in target/debug/deps");
    let program = built.join(name);
    let missing = "first: cargo build --workspace --bins";
    assert!(program.is_file(), "{} is missing; {missing}", program.display());
    program
}
