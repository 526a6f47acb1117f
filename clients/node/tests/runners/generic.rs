//! Modules, written here as text, that behave in every way a module can.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use framefair_node::limits::Limits;
use framefair_node::runners::{Kind, Runners};
use framefair_node::sandbox::Sandbox;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::{Ran, run, run_on, run_within, runners};

/// A command whose `_start` is `body`, with the common imports and some text at 64.
fn module(body: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write"
                (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_read"
                (func $read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "args_sizes_get"
                (func $args_sizes (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "args_get"
                (func $args (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "environ_sizes_get"
                (func $env_sizes (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "environ_get"
                (func $env (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "random_get"
                (func $random (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "path_open"
                (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_prestat_get"
                (func $prestat (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "poll_oneoff"
                (func $poll (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 2)
            (data (i32.const 64) "hello from inside\n/etc/passwd")
            ;; Writes (address, length) to a descriptor.
            (func $say (param $fd i32) (param $at i32) (param $length i32)
                (i32.store (i32.const 0) (local.get $at))
                (i32.store (i32.const 4) (local.get $length))
                (if (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))
                    (then unreachable)))
            (func (export "_start") {body}))"#
    );
    wat::parse_str(text).unwrap()
}

fn with(module: &[u8], mut more: Value) -> String {
    more["module_base64"] = BASE64_STANDARD.encode(module).into();
    more.to_string()
}

#[track_caller]
fn expect_fault(ran: &Ran, code: &str, words: &str) {
    let (whose, found, said) = ran.fault();
    assert_eq!((whose, found), ("payload", code), "{said}");
    assert!(said.contains(words), "{said}");
}

#[tokio::test]
async fn a_bare_module_runs_and_what_it_prints_is_the_result() {
    let hello = module("(call $say (i32.const 1) (i32.const 64) (i32.const 18))");
    let report = run(Kind::Generic, hello).await.json();
    assert_eq!(report["stdout"], "hello from inside\n");
    assert_eq!((&report["stderr"], &report["exit_code"]), (&json!(""), &json!(0)));
    assert!((10..1000).contains(&report["fuel_used"].as_u64().unwrap()), "{report}");
}

#[tokio::test]
async fn arguments_environment_and_input_reach_the_module() {
    let tell = "
        (drop (call $args_sizes (i32.const 16) (i32.const 20)))
        (drop (call $args (i32.const 1024) (i32.const 2048)))
        (call $say (i32.const 1) (i32.const 2048) (i32.load (i32.const 20)))
        (drop (call $env_sizes (i32.const 16) (i32.const 20)))
        (drop (call $env (i32.const 1024) (i32.const 4096)))
        (call $say (i32.const 1) (i32.const 4096) (i32.load (i32.const 20)))
        (i32.store (i32.const 24) (i32.const 8192))
        (i32.store (i32.const 28) (i32.const 3))
        (i32.store (i32.const 32) (i32.const 9000))
        (i32.store (i32.const 36) (i32.const 100))
        (drop (call $read (i32.const 0) (i32.const 24) (i32.const 2) (i32.const 16)))
        (call $say (i32.const 1) (i32.const 8192) (i32.const 3))
        (call $say (i32.const 2) (i32.const 9000) (i32.sub (i32.load (i32.const 16)) (i32.const 3)))";
    let given = json!({"args": ["one", "\u{e9}"], "env": {"B": "2", "A": "1"}, "stdin": "abcdef"});
    let report = run(Kind::Generic, with(&module(tell), given)).await.json();
    assert_eq!(report["stdout"], "module\0one\0\u{e9}\0A=1\0B=2\0abc");
    assert_eq!(report["stderr"], "def");
    let raw = json!({"stdin_base64": "/wD+ZGVm", "args": ["x"]});
    let report = run(Kind::Generic, with(&module(tell), raw)).await.json();
    assert_eq!(report["stdout"], Value::Null);
    let stdout = BASE64_STANDARD.decode(report["stdout_base64"].as_str().unwrap()).unwrap();
    assert_eq!(stdout, b"module\0x\0\xff\0\xfe");
}

#[tokio::test]
async fn chance_is_the_payloads_own_and_time_passes_while_it_sleeps() {
    // Sleeps for 50 ms by the monotonic clock, then prints 16 random bytes.
    let roll = "
        (i32.store8 (i32.const 520) (i32.const 0))
        (i32.store (i32.const 528) (i32.const 1))
        (i64.store (i32.const 536) (i64.const 50000000))
        (if (call $poll (i32.const 512) (i32.const 600) (i32.const 1) (i32.const 700))
            (then unreachable))
        (drop (call $random (i32.const 1024) (i32.const 16)))
        (call $say (i32.const 1) (i32.const 1024) (i32.const 16))";
    let started = Instant::now();
    let first = run(Kind::Generic, module(roll)).await.json();
    assert!(started.elapsed() > Duration::from_millis(50));
    assert_eq!(run(Kind::Generic, module(roll)).await.json(), first);
    let other = run(Kind::Generic, with(&module(roll), json!({}))).await.json();
    assert_ne!(other["stdout_base64"], first["stdout_base64"]);
}

#[tokio::test]
async fn there_is_no_file_and_no_folder() {
    let try_both = "(local $refused i32)
        (local.set $refused (call $prestat (i32.const 3) (i32.const 16)))
        (if (i32.ne (local.get $refused) (i32.const 8)) (then unreachable))
        (local.set $refused (call $open (i32.const 3) (i32.const 0) (i32.const 82) (i32.const 11)
            (i32.const 0) (i64.const -1) (i64.const -1) (i32.const 0) (i32.const 16)))
        (if (i32.ne (local.get $refused) (i32.const 8)) (then unreachable))";
    assert_eq!(run(Kind::Generic, module(try_both)).await.json()["exit_code"], 0);
}

#[tokio::test]
async fn what_cannot_be_run_is_the_payloads_fault_and_says_why() {
    let library = wat::parse_str("(module (func (export \"add\")))").unwrap();
    expect_fault(&run(Kind::Generic, library).await, "invalid", "_start");
    let foreign = "(module (import \"env\" \"gpu\" (func)) (func (export \"_start\")))";
    let foreign = run(Kind::Generic, wat::parse_str(foreign).unwrap()).await;
    expect_fault(&foreign, "unsupported", "wasi_snapshot_preview1");
    expect_fault(&run(Kind::Generic, b"\0asm\x01\0\0\0\x99").await, "invalid", "WebAssembly");
    for (payload, words) in [
        ("", "JSON"),
        ("print('hello')", "module_base64"),
        ("{\"module_base64\": \"!\"}", "base64"),
        ("{\"module_url\": \"https://example.com/a.wasm\"}", "module_url"),
        ("{\"module_base64\": \"\", \"fuel\": 0}", "fuel"),
        ("{\"module_base64\": \"\", \"stdin\": \"\", \"stdin_base64\": \"\"}", "give one"),
        ("{\"module_base64\": \"\", \"args\": [\"a\\u0000b\"]}", "zero byte"),
        ("{\"module_base64\": \"\", \"env\": {\"A=B\": \"\"}}", "rename"),
    ] {
        expect_fault(&run(Kind::Generic, payload).await, "invalid", words);
    }
    let many = with(b"", json!({"args": vec!["a"; 2000]}));
    expect_fault(&run(Kind::Generic, many).await, "too_large", "stdin");
}

#[tokio::test]
async fn every_bad_end_of_a_module_has_its_reason() {
    let end = async |body: &str, code: &str, words: &str| {
        expect_fault(&run(Kind::Generic, module(body)).await, code, words);
    };
    end("unreachable", "trap", "unreachable").await;
    end("(drop (i32.load (i32.const -1)))", "trap", "out of bounds").await;
    end("(drop (i32.div_s (i32.const 1) (i32.const 0)))", "trap", "zero").await;
    end("(call $exit (i32.const 3))", "exit_code", "exit code 3").await;
    let words =
        "(call $say (i32.const 2) (i32.const 64) (i32.const 18)) (call $exit (i32.const 1))";
    end(words, "exit_code", "hello from inside").await;
    end("(drop (memory.grow (i32.const 5000)))", "out_of_memory", "256 MiB").await;
    end(
        "(loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))",
        "out_of_memory",
        "",
    )
    .await;
    // An address beyond the memory is an error that the module hears of, not an end.
    let good = "(if (i32.ne (call $random (i32.const -8) (i32.const 64)) (i32.const 21))
        (then unreachable)) (call $exit (i32.const 0))";
    assert_eq!(run(Kind::Generic, module(good)).await.json()["exit_code"], 0);
}

#[tokio::test]
async fn a_recursion_without_end_is_a_trap() {
    let text = "(module (func $deep (export \"_start\") (call $deep) (call $deep)))";
    expect_fault(&run(Kind::Generic, wat::parse_str(text).unwrap()).await, "trap", "stack");
}

#[tokio::test]
async fn a_flood_of_output_ends_the_module() {
    let flood = |fd: u32| {
        format!("(loop (call $say (i32.const {fd}) (i32.const 0) (i32.const 65536)) (br 0))")
    };
    expect_fault(&run(Kind::Generic, module(&flood(1))).await, "output_limit", "16384 KiB");
    expect_fault(&run(Kind::Generic, module(&flood(2))).await, "output_limit", "64 KiB");
    let just = "(local $n i32) (memory.fill (i32.const 0) (i32.const 97) (i32.const 65536)) (loop
        (call $say (i32.const 1) (i32.const 0) (i32.const 65536))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if 0 (i32.lt_u (local.get $n) (i32.const 256))))";
    let report = run(Kind::Generic, module(just)).await.json();
    assert_eq!(report["stdout"].as_str().unwrap().len(), 16 << 20);
}

#[tokio::test]
async fn an_endless_loop_ends_with_its_fuel_or_its_time() {
    let endless = module("(loop (br 0))");
    let fuel = with(&endless, json!({"fuel": 100_000}));
    expect_fault(&run(Kind::Generic, fuel).await, "out_of_fuel", "fuel");
    let limits = Kind::Generic.limits();
    let brief = Limits { wall: Duration::from_millis(700), ..limits.clone() };
    let started = Instant::now();
    expect_fault(&run_within(Kind::Generic, &endless, &brief).await, "time_limit", "seconds");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    let busy = Limits { cpu_seconds: 1, ..limits };
    let ran = run_within(Kind::Generic, &endless, &busy).await;
    expect_fault(&ran, "time_limit", "of the processor");
}

#[tokio::test]
async fn a_cancelled_module_leaves_no_process_and_no_result() {
    let stop = CancellationToken::new();
    let cancel = stop.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        cancel.cancel();
    });
    let (endless, limits) = (module("(loop (br 0))"), Kind::Generic.limits());
    let ran = run_on(&runners(), Kind::Generic, &endless, &limits, stop).await;
    assert_eq!(ran.fault().1, "cancelled");
    assert!(!ran.work.join("result").exists());
    let work = ran.work.display().to_string();
    let of_ours = |process: &std::fs::DirEntry| {
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&work)
    };
    assert_eq!(std::fs::read_dir("/proc").unwrap().flatten().filter(of_ours).count(), 0);
}

#[tokio::test]
async fn a_process_that_may_not_use_enough_memory_is_told_from_a_broken_node() {
    let hungry = module("(drop (memory.grow (i32.const 4000)))");
    // Twice what the engine needs to start, and far from what the module would need.
    let limits = Limits { memory_bytes: 360 << 20, ..Kind::Generic.limits() };
    expect_fault(&run_within(Kind::Generic, &hungry, &limits).await, "out_of_memory", "memory");
}

#[tokio::test]
async fn without_a_sandbox_the_result_is_the_same() {
    let hello = module("(call $say (i32.const 1) (i32.const 64) (i32.const 18))");
    let open = Runners { sandbox: Sandbox::None, ..runners() };
    let (kind, limits) = (Kind::Generic, Kind::Generic.limits());
    let outside = run_on(&open, kind, &hello, &limits, CancellationToken::new()).await;
    assert_eq!(outside.json(), run(kind, hello).await.json());
}

#[tokio::test]
async fn a_program_that_is_gone_is_the_nodes_fault() {
    let mut gone = runners();
    gone.program.path = "/nowhere/framefair".into();
    let (kind, limits) = (Kind::Generic, Kind::Generic.limits());
    let ran = run_on(&gone, kind, b"", &limits, CancellationToken::new()).await;
    assert_eq!(ran.fault().0, "node");
    assert_eq!(ran.fault().1, "sandbox");
}

#[tokio::test]
async fn a_damaged_module_never_harms_the_runner() {
    let hello = module("(call $say (i32.const 1) (i32.const 64) (i32.const 18))");
    let mut chance = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..40 {
        let mut damaged = hello.clone();
        for _ in 0..2 {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = (chance >> 33) as usize % damaged.len();
            damaged[at] = (chance >> 20) as u8;
        }
        let ran = run(Kind::Generic, with(&damaged, json!({"fuel": 1_000_000}))).await;
        if ran.outcome.is_err() {
            let (whose, code, said) = ran.fault();
            assert!(whose == "payload" && code != "crash", "{code} {said} {damaged:?}");
        }
    }
}
