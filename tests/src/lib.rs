//! Contracts, journeys, races and walks over the whole system. Here: what several of them need.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};

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

/// Four ports in a row that nobody has: a chain also needs the one after its own.
///
/// They lie below the range that the system gives to outgoing connections. There a port is taken for a minute after
/// each connection that a test made before, and by whoever connects between the choice and the use.
///
/// # Panics
/// If there are none.
pub fn free_ports() -> [u16; 4] {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 1_000).expect("below 1,000");
    for _ in 0..1_000 {
        let turn = (start * 7 + NEXT.fetch_add(1, Ordering::Relaxed)) % 2_500;
        let base = 20_000 + turn * 4;
        let four = [base, base + 1, base + 2, base + 3];
        if four.iter().all(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()) {
            return four;
        }
    }
    panic!("no four ports in a row are free");
}
