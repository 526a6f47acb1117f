//! How fast this machine's processor is, in work that anybody can check. Knows nothing of payloads of
//! other kinds.
//!
//! The work is a row of units, each a function of its number alone. Threads take the next number until
//! the time is up and finish what they took, so the units done are always 0 to n, and the checksum of a
//! claim of n units can be computed again anywhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::fault::Fault;
use super::{JSON, Outcome};

const SECONDS_DEFAULT: u32 = 3;
const SECONDS_MAX: u32 = 30;
const THREADS_MAX: u32 = 1024;
const PAYLOAD_BYTES_MAX: u64 = 64 << 10;
const TELL_EVERY: Duration = Duration::from_millis(100);

/// 32 KiB, the size of a common first cache: what is measured is the processor, not its memory.
const WORDS: usize = 4096;
const PASSES: usize = 4;

/// What others put there beside it is theirs.
#[derive(Debug, Default, Deserialize)]
struct Payload {
    seconds: Option<u32>,
    threads: Option<u32>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Order {
    seconds: u32,
    threads: u32,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    /// Units a second, of all threads together.
    ops_per_second: u64,
    operations: u64,
    threads: u32,
    duration_ms: u64,
    checksum: String,
    cpu: &'a str,
}

impl Order {
    pub(super) fn read(payload: &Path, cores: u32) -> Result<Self, Fault> {
        Self::parse(&super::read(payload, PAYLOAD_BYTES_MAX)?, cores)
    }

    /// What is no JSON object asks for nothing special: a benchmark needs no input, and a payload may be any text.
    fn parse(payload: &[u8], cores: u32) -> Result<Self, Fault> {
        let asked: Map<String, Value> = serde_json::from_slice(payload).unwrap_or_default();
        let asked: Payload = Payload::deserialize(asked).map_err(|error| {
            Fault::invalid(format!(
                "the payload of a benchmark cannot be read: {error}. It is JSON like \
                 {{\"seconds\": {SECONDS_DEFAULT}, \"threads\": 4}}, and both may be left out"
            ))
        })?;
        let seconds = asked.seconds.unwrap_or(SECONDS_DEFAULT);
        if !(1..=SECONDS_MAX).contains(&seconds) {
            return Err(Fault::invalid(format!(
                "a benchmark of {seconds} seconds is not to be had: ask for 1 to {SECONDS_MAX}"
            )));
        }
        let threads = asked.threads.unwrap_or(cores);
        if asked.threads.is_some_and(|threads| !(1..=THREADS_MAX).contains(&threads)) {
            return Err(Fault::invalid(format!(
                "a benchmark on {threads} threads is not to be had: ask for 1 to {THREADS_MAX}, \
                 or leave it out to use every core"
            )));
        }
        // More threads than cores would measure the scheduler.
        Ok(Self { seconds, threads: threads.min(cores).max(1) })
    }
}

/// Works for as long as was ordered and writes down how far it came.
pub(super) fn measure(
    order: &Order,
    result: PathBuf,
    progress: &(impl Fn(f32) + Sync),
    stop: &CancellationToken,
) -> Result<Outcome, Fault> {
    let started = Instant::now();
    let whole = Duration::from_secs(order.seconds.into());
    let next = AtomicU64::new(0);
    let sum = Mutex::new([0; 32]);
    let work = || {
        let mut own = [0; 32];
        while started.elapsed() < whole && !stop.is_cancelled() {
            add(&mut own, unit(next.fetch_add(1, Ordering::Relaxed)));
        }
        // A poisoned sum would need a thread that panicked, and then the scope panics, too.
        if let Ok(mut sum) = sum.lock() {
            add(&mut sum, own);
        }
    };
    std::thread::scope(|scope| -> std::io::Result<()> {
        for _ in 0..order.threads {
            let thread = std::thread::Builder::new().name("benchmark".into());
            if let Err(error) = thread.spawn_scoped(scope, work) {
                stop.cancel();
                return Err(error);
            }
        }
        while started.elapsed() < whole && !stop.is_cancelled() {
            progress((started.elapsed().as_secs_f32() / whole.as_secs_f32()).min(1.0));
            std::thread::sleep(TELL_EVERY.min(whole.saturating_sub(started.elapsed())));
        }
        Ok(())
    })
    .map_err(|error| Fault::machine("a thread could not be started", error))?;
    if stop.is_cancelled() {
        return Err(super::cancelled());
    }

    let took = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
    let operations = next.into_inner();
    let report = Report {
        ops_per_second: operations.saturating_mul(1000) / took,
        operations,
        threads: order.threads,
        duration_ms: took,
        checksum: hex::encode(sum.into_inner().unwrap_or_default()),
        cpu: &cpu(),
    };
    let text = serde_json::to_vec(&report)
        .map_err(|error| Fault::machine("the result could not be written", error))?;
    fs::write(&result, text)
        .map_err(|error| Fault::machine("the result could not be written", error))?;
    progress(1.0);
    Ok(Outcome { content_type: JSON, file: result })
}

/// What a benchmark of so many operations must have for its checksum: the units' digests, added bit by
/// bit without carrying, in lower-case hex.
pub fn checksum(operations: u64) -> String {
    let mut sum = [0; 32];
    (0..operations).for_each(|number| add(&mut sum, unit(number)));
    hex::encode(sum)
}

fn add(sum: &mut [u8; 32], digest: [u8; 32]) {
    sum.iter_mut().zip(digest).for_each(|(sum, byte)| *sum ^= byte);
}

/// Fills a block by SplitMix64 from the unit's number, mixes it in passes whose reads depend on what
/// was read before, and digests it.
fn unit(number: u64) -> [u8; 32] {
    let mut state = number;
    let mut block: Vec<u64> = (0..WORDS)
        .map(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        })
        .collect();
    let mut carried = number;
    for _ in 0..PASSES {
        for at in 0..WORDS {
            let other = block[usize::try_from(carried).unwrap_or(0) % WORDS];
            carried = (carried ^ block[at]).rotate_left(23).wrapping_mul(0x9fb2_1c65_1e98_df25);
            block[at] = carried.wrapping_add(other);
        }
    }
    let mut hash = Sha256::new();
    block.iter().for_each(|word| hash.update(word.to_le_bytes()));
    hash.finalize().into()
}

/// The processor's own name for itself.
fn cpu() -> String {
    let all = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = all.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    name.map_or(std::env::consts::ARCH, |(_, name)| name.trim()).chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::Order;

    #[test]
    fn an_order_has_defaults_and_bounds() {
        let order = |payload: &str| Order::parse(payload.as_bytes(), 4);
        for nothing_special in
            ["", " \n", "{}", "{\"limit\": 1000}", "s3://bucket/key", "[3]x", "3"]
        {
            assert_eq!(order(nothing_special).unwrap(), Order { seconds: 3, threads: 4 });
        }
        let asked = order("{\"seconds\": 30, \"threads\": 1}").unwrap();
        assert_eq!(asked, Order { seconds: 30, threads: 1 });
        assert_eq!(order("{\"threads\": 64}").unwrap().threads, 4);
        let refused = [
            "{\"seconds\": 0}",
            "{\"seconds\": 31}",
            "{\"seconds\": 1.5}",
            "{\"threads\": 0}",
            "{\"threads\": 1025}",
            "{\"threads\": -1}",
            "{\"seconds\": \"3\"}",
        ];
        for payload in refused {
            let fault = order(payload).unwrap_err();
            assert_eq!((fault.is_payload(), fault.code()), (true, "invalid"), "{payload}");
        }
    }
}
