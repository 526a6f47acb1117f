//! What a module may ask of its host: WASI preview 1 as seen from a machine without files and network.
//! Knows arguments, environment, three streams, clocks and chance; nothing in it reaches the host.
//!
//! Ours, because the crates that offer it bring a file system along, which would then have to be closed
//! again. Addresses come from the module and are checked on each use; errors are WASI's numbers.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wasmi::errors::HostError;
use wasmi::{Caller, Error, Extern, FuncType, Linker, StoreLimits, Val, ValType};

const MODULE: &str = "wasi_snapshot_preview1";
/// The program's own name, which commands expect before their arguments.
const NAME: &str = "module";

const OK: i32 = 0;
const BAD_FD: i32 = 8;
const BAD_ADDRESS: i32 = 21;
const INVALID: i32 = 28;
const NO_SEEK: i32 = 70;
const RIGHT_TO_READ: u64 = 1 << 1;
const RIGHT_TO_WRITE: u64 = 1 << 6;
const SUBSCRIPTIONS_MAX: u32 = 1024;

/// A stream was written to beyond its bound.
#[derive(Debug)]
pub(super) struct Overflow(pub(super) &'static str);

impl std::fmt::Display for Overflow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "too much on {}", self.0)
    }
}

impl HostError for Overflow {}

/// What one module is given, and what it said.
pub(super) struct Guest {
    args: Vec<Vec<u8>>,
    env: Vec<Vec<u8>>,
    stdin: Vec<u8>,
    stdin_read: usize,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    chance: u64,
    started: Instant,
    limits: StoreLimits,
}

impl Guest {
    /// `seed` is the payload's, so that a payload meets the same chance on every node.
    pub(super) fn new(
        args: &[String],
        env: &[String],
        stdin: &[u8],
        seed: [u8; 32],
        limits: StoreLimits,
    ) -> Self {
        let ended = |word: &str| [word.as_bytes(), b"\0"].concat();
        let [a, b, c, d, e, f, g, h, ..] = seed;
        Self {
            args: std::iter::once(NAME).chain(args.iter().map(String::as_str)).map(ended).collect(),
            env: env.iter().map(|word| ended(word)).collect(),
            stdin: stdin.to_vec(),
            stdin_read: 0,
            stdout: Vec::new(),
            stderr: Vec::new(),
            chance: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            started: Instant::now(),
            limits,
        }
    }

    pub(super) fn limits(&mut self) -> &mut StoreLimits {
        &mut self.limits
    }

    pub(super) fn into_output(self) -> (Vec<u8>, Vec<u8>) {
        (self.stdout, self.stderr)
    }

    /// The end of what it printed, for whoever looks for the cause.
    pub(super) fn last_words(&self) -> String {
        let said = if self.stderr.is_empty() { &self.stdout } else { &self.stderr };
        let from = said.len().saturating_sub(4096);
        String::from_utf8_lossy(said.get(from..).unwrap_or_default()).into_owned()
    }

    /// SplitMix64: even, but no secret.
    fn roll(&mut self) -> u64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.chance ^ (self.chance >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn now(&self, clock: i32) -> Result<u64, i32> {
        let since = match clock {
            0 => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            1..=3 => self.started.elapsed(),
            _ => return Err(INVALID),
        };
        Ok(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }
}

/// The module's memory, with every address checked.
struct Memory<'a>(&'a mut [u8]);

impl Memory<'_> {
    fn slice(&mut self, at: u32, length: u32) -> Result<&mut [u8], i32> {
        let (at, length) = (at as usize, length as usize);
        let end = at.checked_add(length).ok_or(BAD_ADDRESS)?;
        self.0.get_mut(at..end).ok_or(BAD_ADDRESS)
    }

    fn write(&mut self, at: u32, bytes: &[u8]) -> Result<(), i32> {
        let length = u32::try_from(bytes.len()).map_err(|_| BAD_ADDRESS)?;
        self.slice(at, length)?.copy_from_slice(bytes);
        Ok(())
    }

    fn write_u32(&mut self, at: u32, value: usize) -> Result<(), i32> {
        self.write(at, &u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes())
    }

    fn read<const N: usize>(&mut self, at: u32) -> Result<[u8; N], i32> {
        let length = u32::try_from(N).map_err(|_| BAD_ADDRESS)?;
        <[u8; N]>::try_from(&*self.slice(at, length)?).map_err(|_| BAD_ADDRESS)
    }

    /// The `index`th of a list of (address, length) pairs.
    fn pair(&mut self, list: u32, index: u32) -> Result<(u32, u32), i32> {
        let at = index.checked_mul(8).and_then(|by| list.checked_add(by)).ok_or(BAD_ADDRESS)?;
        let [a, b, c, d, e, f, g, h] = self.read(at)?;
        Ok((u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])))
    }
}

/// Runs `work` on the caller's memory and state; gives WASI's number of what went wrong.
fn with(
    caller: &mut Caller<'_, Guest>,
    work: impl FnOnce(&mut Memory<'_>, &mut Guest) -> Result<(), i32>,
) -> i32 {
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else { return BAD_ADDRESS };
    let (bytes, guest) = memory.data_and_store_mut(caller);
    work(&mut Memory(bytes), guest).err().unwrap_or(OK)
}

type Host<'a> = Caller<'a, Guest>;

/// Offers all of preview 1 to a module. What is not in the first three functions is refused by a number,
/// as on a machine that has no such file or socket.
pub(super) fn link(linker: &mut Linker<Guest>) -> Result<(), Error> {
    words(linker)?;
    streams(linker)?;
    rest(linker)?;
    for (name, parameters) in REFUSED {
        let parameters = parameters.bytes().map(|letter| match letter {
            b'I' => ValType::I64,
            _ => ValType::I32,
        });
        let refuse = |_: Host<'_>, _: &[Val], results: &mut [Val]| {
            if let Some(result) = results.first_mut() {
                *result = Val::I32(BAD_FD);
            }
            Ok(())
        };
        linker.func_new(MODULE, name, FuncType::new(parameters, [ValType::I32]), refuse)?;
    }
    Ok(())
}

/// Names and parameters (i: 32 bits, I: 64) of what would need a file, a folder, a socket or a signal.
const REFUSED: &[(&str, &str)] = &[
    ("fd_advise", "iIIi"),
    ("fd_allocate", "iII"),
    ("fd_datasync", "i"),
    ("fd_fdstat_set_rights", "iII"),
    ("fd_filestat_set_size", "iI"),
    ("fd_filestat_set_times", "iIIi"),
    ("fd_pread", "iiiIi"),
    ("fd_prestat_dir_name", "iii"),
    ("fd_prestat_get", "ii"),
    ("fd_pwrite", "iiiIi"),
    ("fd_readdir", "iiiIi"),
    ("fd_renumber", "ii"),
    ("fd_sync", "i"),
    ("path_create_directory", "iii"),
    ("path_filestat_get", "iiiii"),
    ("path_filestat_set_times", "iiiiIIi"),
    ("path_link", "iiiiiii"),
    ("path_open", "iiiiiIIii"),
    ("path_readlink", "iiiiii"),
    ("path_remove_directory", "iii"),
    ("path_rename", "iiiiii"),
    ("path_symlink", "iiiii"),
    ("path_unlink_file", "iii"),
    ("proc_raise", "i"),
    ("sock_accept", "iii"),
    ("sock_recv", "iiiiii"),
    ("sock_send", "iiiii"),
    ("sock_shutdown", "ii"),
];

/// Arguments and environment: lists of words that end with a zero byte.
fn words(linker: &mut Linker<Guest>) -> Result<(), Error> {
    fn sizes(memory: &mut Memory<'_>, words: &[Vec<u8>], at: [u32; 2]) -> Result<(), i32> {
        memory.write_u32(at[0], words.len())?;
        memory.write_u32(at[1], words.iter().map(Vec::len).sum())
    }
    fn get(memory: &mut Memory<'_>, words: &[Vec<u8>], at: [u32; 2]) -> Result<(), i32> {
        let [mut list, mut text] = at;
        for word in words {
            memory.write(list, &text.to_le_bytes())?;
            memory.write(text, word)?;
            list = list.checked_add(4).ok_or(BAD_ADDRESS)?;
            let length = u32::try_from(word.len()).map_err(|_| BAD_ADDRESS)?;
            text = text.checked_add(length).ok_or(BAD_ADDRESS)?;
        }
        Ok(())
    }
    linker.func_wrap(MODULE, "args_sizes_get", |mut host: Host<'_>, count: u32, bytes: u32| {
        with(&mut host, |memory, guest| sizes(memory, &guest.args, [count, bytes]))
    })?;
    linker.func_wrap(MODULE, "args_get", |mut host: Host<'_>, list: u32, text: u32| {
        with(&mut host, |memory, guest| get(memory, &guest.args, [list, text]))
    })?;
    linker.func_wrap(
        MODULE,
        "environ_sizes_get",
        |mut host: Host<'_>, count: u32, bytes: u32| {
            with(&mut host, |memory, guest| sizes(memory, &guest.env, [count, bytes]))
        },
    )?;
    linker.func_wrap(MODULE, "environ_get", |mut host: Host<'_>, list: u32, text: u32| {
        with(&mut host, |memory, guest| get(memory, &guest.env, [list, text]))
    })?;
    Ok(())
}

/// Standard input, output and error, the only three descriptors there are.
fn streams(linker: &mut Linker<Guest>) -> Result<(), Error> {
    type Four<'a> = (Host<'a>, u32, u32, u32, u32);
    fn read((mut host, fd, list, count, done): Four<'_>) -> i32 {
        with(&mut host, |memory, guest| {
            if fd != 0 {
                return Err(BAD_FD);
            }
            let before = guest.stdin_read;
            for index in 0..count {
                let left = guest.stdin.get(guest.stdin_read..).unwrap_or_default();
                let (at, room) = memory.pair(list, index)?;
                let taken = left.get(..room as usize).unwrap_or(left);
                memory.write(at, taken)?;
                guest.stdin_read += taken.len();
                if taken.len() < room as usize {
                    break;
                }
            }
            memory.write_u32(done, guest.stdin_read - before)
        })
    }
    fn write((mut host, fd, list, count, done): Four<'_>) -> Result<i32, Error> {
        let mut full = None;
        let number = with(&mut host, |memory, guest| {
            let (stream, bytes_max, name) = match fd {
                1 => (&mut guest.stdout, super::STDOUT_BYTES_MAX, "stdout"),
                2 => (&mut guest.stderr, super::STDERR_BYTES_MAX, "stderr"),
                _ => return Err(BAD_FD),
            };
            let before = stream.len();
            for index in 0..count {
                let (at, length) = memory.pair(list, index)?;
                let bytes = memory.slice(at, length)?;
                if stream.len() + bytes.len() > bytes_max {
                    full = Some(name);
                    return Ok(());
                }
                stream.extend_from_slice(bytes);
            }
            memory.write_u32(done, stream.len() - before)
        });
        full.map_or(Ok(number), |name| Err(Error::host(Overflow(name))))
    }
    linker.func_wrap(MODULE, "fd_read", |h: Host<'_>, fd: u32, list: u32, n: u32, done: u32| {
        read((h, fd, list, n, done))
    })?;
    linker.func_wrap(
        MODULE,
        "fd_write",
        |h: Host<'_>, fd: u32, list: u32, n: u32, done: u32| write((h, fd, list, n, done)),
    )?;
    let known = |fd: u32, answer: i32| if fd <= 2 { answer } else { BAD_FD };
    linker.func_wrap(MODULE, "fd_close", move |fd: u32| known(fd, OK))?;
    linker.func_wrap(MODULE, "fd_fdstat_set_flags", move |fd: u32, _: u32| known(fd, OK))?;
    linker
        .func_wrap(MODULE, "fd_seek", move |fd: u32, _: u64, _: u32, _: u32| known(fd, NO_SEEK))?;
    linker.func_wrap(MODULE, "fd_tell", move |fd: u32, _: u32| known(fd, NO_SEEK))?;
    // Of no known file type: to a library that means a pipe, so that it buffers whole blocks.
    linker.func_wrap(MODULE, "fd_fdstat_get", |mut host: Host<'_>, fd: u32, at: u32| {
        with(&mut host, |memory, _| {
            let rights = match fd {
                0 => RIGHT_TO_READ,
                1 | 2 => RIGHT_TO_WRITE,
                _ => return Err(BAD_FD),
            };
            let mut stat = [0; 24];
            stat[8..16].copy_from_slice(&rights.to_le_bytes());
            memory.write(at, &stat)
        })
    })?;
    linker.func_wrap(MODULE, "fd_filestat_get", |mut host: Host<'_>, fd: u32, at: u32| {
        with(&mut host, |memory, _| if fd <= 2 { memory.write(at, &[0; 64]) } else { Err(BAD_FD) })
    })?;
    Ok(())
}

/// Time, chance, waiting and the end.
fn rest(linker: &mut Linker<Guest>) -> Result<(), Error> {
    linker.func_wrap(MODULE, "clock_res_get", |mut host: Host<'_>, clock: i32, at: u32| {
        with(&mut host, |memory, guest| {
            guest.now(clock).and_then(|_| memory.write(at, &1u64.to_le_bytes()))
        })
    })?;
    linker.func_wrap(
        MODULE,
        "clock_time_get",
        |mut host: Host<'_>, clock: i32, _: u64, at: u32| {
            with(&mut host, |memory, guest| memory.write(at, &guest.now(clock)?.to_le_bytes()))
        },
    )?;
    linker.func_wrap(MODULE, "random_get", |mut host: Host<'_>, at: u32, length: u32| {
        with(&mut host, |memory, guest| {
            for chunk in memory.slice(at, length)?.chunks_mut(8) {
                chunk.copy_from_slice(&guest.roll().to_le_bytes()[..chunk.len()]);
            }
            Ok(())
        })
    })?;
    linker.func_wrap(
        MODULE,
        "poll_oneoff",
        |mut host: Host<'_>, i: u32, o: u32, n: u32, done: u32| {
            with(&mut host, |memory, guest| poll(memory, guest, [i, o, n, done]))
        },
    )?;
    linker.func_wrap(MODULE, "sched_yield", || OK)?;
    linker.func_wrap(MODULE, "proc_exit", |code: i32| -> Result<(), Error> {
        Err(Error::i32_exit(code))
    })?;
    Ok(())
}

/// Waits for the first of several clocks; a stream is always ready. How long that takes in all is
/// bounded from outside.
fn poll(memory: &mut Memory<'_>, guest: &Guest, at: [u32; 4]) -> Result<(), i32> {
    let [subscriptions, events, count, done] = at;
    if count == 0 || count > SUBSCRIPTIONS_MAX {
        return Err(INVALID);
    }
    let mut first: Option<(u64, [u8; 32])> = None;
    for index in 0..count {
        let from = subscriptions.checked_add(index * 48).ok_or(BAD_ADDRESS)?;
        let asked: [u8; 48] = memory.read(from)?;
        let number = |at: usize| -> [u8; 8] { std::array::from_fn(|by| asked[at + by]) };
        let wait = match asked[8] {
            0 => {
                let until = u64::from_le_bytes(number(24));
                let clock = i32::from(asked[16]);
                let absolute = asked[40] & 1 == 1;
                if absolute { until.saturating_sub(guest.now(clock)?) } else { until }
            }
            1 | 2 => 0,
            _ => return Err(INVALID),
        };
        if first.as_ref().is_none_or(|(least, _)| wait < *least) {
            let mut event = [0; 32];
            event[..8].copy_from_slice(&number(0));
            event[10] = asked[8];
            first = Some((wait, event));
        }
    }
    let (wait, event) = first.ok_or(INVALID)?;
    std::thread::sleep(Duration::from_nanos(wait));
    memory.write(events, &event)?;
    memory.write_u32(done, 1)
}
