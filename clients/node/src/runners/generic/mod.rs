//! A WebAssembly command and what it is given, run to its end in wasmi. Knows the payload's form and
//! the limits; what the module may ask of its host is in `wasi`.
//!
//! An interpreter, because it is small, needs no code of its own to be executable, and counts fuel the
//! same on every machine.

mod wasi;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wasmi::errors::{ErrorKind, MemoryError};
use wasmi::{Config, Engine, Error, Linker, Module, Store, StoreLimitsBuilder, TrapCode};

use super::fault::{Fault, PayloadReason};
use wasi::{Guest, Overflow};

/// A module's linear memory.
pub(super) const MEMORY_MIB: u64 = 256;
const PAYLOAD_BYTES_MAX: u64 = 96 << 20;
const STDOUT_BYTES_MAX: usize = 16 << 20;
const STDERR_BYTES_MAX: usize = 64 << 10;
const TABLE_ELEMENTS_MAX: usize = 1_000_000;
const WORDS_MAX: usize = 1024;
const WORD_BYTES_MAX: usize = 1 << 20;
const CALLS_MAX: usize = 10_000;
const STACK_BYTES_MAX: usize = 8 << 20;
/// Roughly an instruction each.
const FUEL_DEFAULT: u64 = 10_000_000_000;
const FUEL_MAX: u64 = 100_000_000_000;
const WASM_MAGIC: &[u8] = b"\0asm";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload<'a> {
    #[serde(borrow)]
    module_base64: Cow<'a, str>,
    /// Without the program's own name.
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(borrow)]
    stdin: Option<Cow<'a, str>>,
    #[serde(borrow)]
    stdin_base64: Option<Cow<'a, str>>,
    fuel: Option<u64>,
}

/// What the payload asks for, decoded.
struct Order {
    module: Vec<u8>,
    args: Vec<String>,
    env: Vec<String>,
    stdin: Vec<u8>,
    fuel: u64,
}

#[derive(Serialize)]
struct Report {
    exit_code: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    stdout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stdout_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stderr: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stderr_base64: Option<String>,
    fuel_used: u64,
}

pub(super) fn run(payload: &Path, result: &mut impl Write) -> Result<(), Fault> {
    let payload = super::read(payload, PAYLOAD_BYTES_MAX)?;
    let seed = Sha256::digest(&payload).into();
    let order = Order::parse(payload)?;
    let report = execute(&order, seed)?;
    serde_json::to_writer(result, &report)
        .map_err(|error| Fault::machine("the result could not be written", error))
}

impl Order {
    fn parse(payload: Vec<u8>) -> Result<Self, Fault> {
        if payload.starts_with(WASM_MAGIC) {
            let (args, env, stdin) = (Vec::new(), Vec::new(), Vec::new());
            return Ok(Self { module: payload, args, env, stdin, fuel: FUEL_DEFAULT });
        }
        let asked: Payload<'_> = serde_json::from_slice(&payload).map_err(|error| {
            Fault::invalid(format!(
                "the payload of a generic job cannot be read: {error}. It is a WebAssembly module, \
                 or JSON like {{\"module_base64\": \"AGFzbQ...\", \"args\": [\"a\"], \
                 \"stdin\": \"text\", \"fuel\": {FUEL_DEFAULT}}}"
            ))
        })?;
        let stdin = match (&asked.stdin, &asked.stdin_base64) {
            (Some(_), Some(_)) => {
                return Err(Fault::invalid("the payload has stdin and stdin_base64: give one"));
            }
            (Some(text), None) => text.as_bytes().to_vec(),
            (None, Some(text)) => decode("stdin_base64", text)?,
            (None, None) => Vec::new(),
        };
        let fuel = asked.fuel.unwrap_or(FUEL_DEFAULT);
        if !(1..=FUEL_MAX).contains(&fuel) {
            return Err(Fault::invalid(format!(
                "{fuel} units of fuel are not to be had: ask for 1 to {FUEL_MAX}"
            )));
        }
        let module = decode("module_base64", &asked.module_base64)?;
        let env: Vec<_> = asked.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        check("args", &asked.args)?;
        check("env", &env)?;
        if asked.env.keys().any(|name| name.is_empty() || name.contains('=')) {
            return Err(Fault::invalid("a name in env is empty or has an = in it: rename it"));
        }
        Ok(Self { module, args: asked.args, env, stdin, fuel })
    }
}

fn decode(field: &str, text: &str) -> Result<Vec<u8>, Fault> {
    let text = text.trim_ascii();
    BASE64_STANDARD.decode(text).map_err(|error| {
        Fault::invalid(format!("{field} is not base64: {error}. Use the standard alphabet, padded"))
    })
}

fn check(field: &str, words: &[String]) -> Result<(), Fault> {
    let bytes: usize = words.iter().map(|word| word.len() + 1).sum();
    if words.len() > WORDS_MAX || bytes > WORD_BYTES_MAX {
        let message = format!(
            "{field} has more than {WORDS_MAX} entries or {WORD_BYTES_MAX} bytes: send them as stdin"
        );
        return Err(Fault::payload(PayloadReason::TooLarge, message));
    }
    if words.iter().any(|word| word.contains('\0')) {
        return Err(Fault::invalid(format!("{field} has a zero byte in it: remove it")));
    }
    Ok(())
}

fn execute(order: &Order, seed: [u8; 32]) -> Result<Report, Fault> {
    let mut config = Config::default();
    config.consume_fuel(true);
    config.set_max_recursion_depth(CALLS_MAX).set_max_stack_height(STACK_BYTES_MAX);
    let engine = Engine::new(&config);
    let module = Module::new(&engine, &order.module).map_err(|error| {
        Fault::invalid(format!(
            "the module cannot be loaded: {error}. It must be valid WebAssembly, without threads, \
             SIMD or components"
        ))
    })?;
    let limits = StoreLimitsBuilder::new()
        .memory_size(usize::try_from(MEMORY_MIB << 20).unwrap_or(usize::MAX))
        .memories(1)
        .tables(16)
        .table_elements(TABLE_ELEMENTS_MAX)
        .trap_on_grow_failure(true)
        .build();
    let guest = Guest::new(&order.args, &order.env, &order.stdin, seed, limits);
    let mut store = Store::new(&engine, guest);
    store.limiter(|guest| guest.limits());
    let mut linker = Linker::new(&engine);
    wasi::link(&mut linker)
        .and_then(|()| store.set_fuel(order.fuel))
        .map_err(|error| Fault::machine("the engine could not be set up", error))?;

    let ended = call(&linker, &mut store, &module);
    let fuel_used = order.fuel.saturating_sub(store.get_fuel().unwrap_or(0));
    let guest = store.into_data();
    match ended {
        Err(fault) => Err(fault.with_log(guest.last_words())),
        Ok(()) => {
            let (stdout, stderr) = guest.into_output();
            let (stdout, stdout_base64) = text_or_base64(stdout);
            let (stderr, stderr_base64) = text_or_base64(stderr);
            Ok(Report { exit_code: 0, stdout, stdout_base64, stderr, stderr_base64, fuel_used })
        }
    }
}

fn call(linker: &Linker<Guest>, store: &mut Store<Guest>, module: &Module) -> Result<(), Fault> {
    let unlinked = |error: Error| match error.kind() {
        ErrorKind::Linker(_) => Fault::payload(
            PayloadReason::Unsupported,
            format!(
                "the module imports what is not there: {error}. Build it for wasm32-wasip1; only \
                 wasi_snapshot_preview1 is offered"
            ),
        ),
        _ => fault_of(&error),
    };
    let instance = match linker.instantiate_and_start(&mut *store, module) {
        Ok(instance) => instance,
        Err(error) if error.i32_exit_status() == Some(0) => return Ok(()),
        Err(error) => return Err(unlinked(error)),
    };
    let start = instance.get_typed_func::<(), ()>(&mut *store, "_start").map_err(|error| {
        Fault::invalid(format!(
            "the module has no function _start to begin with ({error}): build it as a command, not \
             as a library"
        ))
    })?;
    match start.call(store, ()) {
        Err(error) if error.i32_exit_status() != Some(0) => Err(fault_of(&error)),
        _ => Ok(()),
    }
}

/// Every end but the good one.
fn fault_of(error: &Error) -> Fault {
    if let Some(code) = error.i32_exit_status() {
        let message = format!("the module ended with exit code {code}: see what it printed");
        return Fault::payload(PayloadReason::ExitCode, message);
    }
    if let Some(Overflow(stream)) = error.downcast_ref::<Overflow>() {
        let max = if *stream == "stdout" { STDOUT_BYTES_MAX } else { STDERR_BYTES_MAX } >> 10;
        let message =
            format!("the module wrote more than {max} KiB to {stream}: let it write less");
        return Fault::payload(PayloadReason::OutputLimit, message);
    }
    let starved = matches!(
        error.kind(),
        ErrorKind::Memory(MemoryError::ResourceLimiterDeniedAllocation)
            | ErrorKind::Memory(MemoryError::OutOfSystemMemory)
            | ErrorKind::Table(_)
            | ErrorKind::Instantiation(_)
    );
    match error.as_trap_code() {
        Some(TrapCode::OutOfFuel) => Fault::payload(
            PayloadReason::OutOfFuel,
            format!(
                "the module used up its fuel: see that it ends, or ask for more (fuel, at most \
                 {FUEL_MAX})"
            ),
        ),
        Some(TrapCode::GrowthOperationLimited | TrapCode::OutOfSystemMemory) => starvation(),
        None if starved => starvation(),
        _ => {
            let message =
                format!("the module trapped: {error}. Run it under a debugger of your own");
            Fault::payload(PayloadReason::Trap, message)
        }
    }
}

fn starvation() -> Fault {
    let message = format!(
        "the module asked for more memory than it may have: {MEMORY_MIB} MiB in one memory, \
         {TABLE_ELEMENTS_MAX} elements in a table, or the maximum that it declares itself"
    );
    Fault::payload(PayloadReason::OutOfMemory, message)
}

/// Text stays readable; what is none is not damaged.
fn text_or_base64(bytes: Vec<u8>) -> (Option<String>, Option<String>) {
    match String::from_utf8(bytes) {
        Ok(text) => (Some(text), None),
        Err(error) => (None, Some(BASE64_STANDARD.encode(error.as_bytes()))),
    }
}
