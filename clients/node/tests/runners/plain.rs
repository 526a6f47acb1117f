//! Payloads that need no sandbox: echoes and benchmarks.

use std::time::{Duration, Instant};

use framefair_node::runners::{Kind, benchmark_checksum};
use tokio_util::sync::CancellationToken;

use crate::support::{run, run_on, runners};

#[test]
fn a_kind_is_known_by_its_job_type() {
    for kind in Kind::ALL {
        assert_eq!(Kind::from_word(kind.word()), Some(*kind));
    }
    assert_eq!(Kind::from_word("render"), None);
}

#[tokio::test]
async fn an_echo_is_the_payload_byte_for_byte() {
    let ran = run(Kind::Echo, "{\"b\": 1,  \"a\": [\"\\u00e9\"]}").await;
    assert_eq!(ran.result, b"{\"b\": 1,  \"a\": [\"\\u00e9\"]}");
    assert_eq!(ran.json()["a"][0], "\u{e9}");
    for bytes in [&b""[..], b"hello", b"\0\xff\xfe"] {
        let ran = run(Kind::Echo, bytes).await;
        assert_eq!(ran.result, bytes);
        assert_eq!(ran.outcome.unwrap().content_type, "application/octet-stream");
    }
}

#[tokio::test]
async fn ten_mebibytes_are_echoed() {
    let payload: Vec<u8> = (0..10u32 << 20).map(|at| (at ^ (at >> 11)) as u8).collect();
    assert!(run(Kind::Echo, &payload).await.result == payload);
}

#[tokio::test]
async fn more_than_an_echo_takes_is_the_payloads_fault() {
    let ran = run(Kind::Echo, vec![b' '; (64 << 20) + 1]).await;
    let (whose, code, words) = ran.fault();
    assert_eq!((whose, code), ("payload", "too_large"));
    assert!(words.contains("65536 KiB"), "{words}");
}

#[tokio::test]
async fn a_payload_that_is_gone_is_the_nodes_fault() {
    let work = tempfile::tempdir().unwrap();
    let gone = work.path().join("payload");
    for kind in Kind::ALL {
        let stop = CancellationToken::new();
        let ran = runners().run(*kind, &gone, work.path(), &kind.limits(), |_| {}, stop).await;
        assert_eq!(ran.unwrap_err().code(), "machine");
    }
}

#[tokio::test]
async fn a_benchmark_says_how_fast_and_proves_what_it_did() {
    let ran = run(Kind::CpuBenchmark, "{\"seconds\": 1, \"threads\": 2}").await;
    let report = ran.json();
    let number = |key: &str| report[key].as_u64().unwrap_or_else(|| panic!("{key}: {report}"));
    assert_eq!(number("threads"), 2);
    assert!((1000..10_000).contains(&number("duration_ms")), "{report}");
    assert!(number("ops_per_second") > 0 && number("operations") > 0, "{report}");
    assert!(!report["cpu"].as_str().unwrap().is_empty());
    assert_eq!(report["checksum"], benchmark_checksum(number("operations")));
    assert_eq!(ran.progress.last(), Some(&1.0));
    assert!(ran.progress.len() > 3, "{:?}", ran.progress);
}

#[test]
fn every_further_unit_changes_the_checksum_and_none_ever_has_another() {
    assert_eq!(benchmark_checksum(0), "0".repeat(64));
    let first: Vec<String> = (0..4).map(benchmark_checksum).collect();
    assert!((1..4).all(|at| !first[..at].contains(&first[at])), "{first:?}");
    // Held fast: a claim made on one machine is checked on another, years later.
    assert_eq!(first[2], "120215646112b742d8855c7d29cc2081643a213e32ccbdfb4a64158486fb9172");
}

#[tokio::test]
async fn a_benchmark_that_cannot_be_had_is_the_payloads_fault() {
    for payload in ["{\"seconds\": 31}", "{\"threads\": 0}", "{\"seconds\": []}"] {
        let ran = run(Kind::CpuBenchmark, payload).await;
        assert_eq!(ran.fault().1, "invalid", "{payload}");
        assert_eq!(std::fs::read_dir(&ran.work).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn a_cancelled_benchmark_ends_at_once() {
    let kind = Kind::CpuBenchmark;
    let (stop, asked) = (CancellationToken::new(), Instant::now());
    let cancel = stop.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(200)).await;
        cancel.cancel();
    });
    let ran = run_on(&runners(), kind, b"{\"seconds\": 30}", &kind.limits(), stop).await;
    assert_eq!(ran.fault().1, "cancelled");
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
}

#[tokio::test]
async fn no_bytes_harm_a_runner() {
    let nested = ["[".repeat(200_000), "{\"a\":".repeat(200_000)];
    let mut payloads: Vec<Vec<u8>> = nested.map(Into::into).into();
    payloads.extend([&b"\0asm"[..], b"\xff\xfe", b"null", b"0", b"{}", b"[{}]"].map(Vec::from));
    payloads.push(
        b"{\"model_base64\": \"\", \"inputs\": ".iter().copied().chain(vec![b'['; 9999]).collect(),
    );
    payloads.push((0..4096u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect());
    for kind in [Kind::Generic, Kind::Inference] {
        for payload in &payloads {
            let (whose, code, said) = run(kind, payload).await.fault();
            assert!(whose == "payload" && code != "crash", "{kind:?}: {code} {said}");
        }
    }
}
