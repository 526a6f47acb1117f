//! Downloads over a line that breaks, from stores that keep to the rules and from some that do not.

use std::io::Read;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const JOB: &str = "0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001";
const BYTES: usize = 200_000;
/// Where the first answer breaks off.
const CUT: usize = 120_000;

fn result(seed: u8) -> Vec<u8> {
    (0..BYTES).map(|at| seed.wrapping_add((at % 251) as u8)).collect()
}

/// A hub and its store in one: every question for a result gets a link of its own, and `file` answers
/// the link's n-th use, given the range that was asked for.
struct Store {
    hub: Hub,
    /// The range of each question to the store; None where all was asked for.
    asked: Arc<Mutex<Vec<Option<usize>>>>,
}

async fn store(file: impl Fn(usize, Option<usize>) -> Vec<u8> + Send + 'static) -> Store {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    let hub = Hub::new(url.parse().unwrap()).unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    tokio::spawn(async move {
        loop {
            let (mut line, _) = socket.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(line.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
            let mut asked = seen.lock().unwrap().len();
            let answer = if head.starts_with(&format!("get /render/{JOB}/result ")) {
                let place = format!("{url}/link/{asked}");
                format!("HTTP/1.1 302 Found\r\nlocation: {place}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                    .into_bytes()
            } else {
                assert!(head.starts_with(&format!("get /link/{asked} ")), "an old link: {head}");
                let range = head.lines().find_map(|line| line.strip_prefix("range: bytes="));
                let range = range.map(|it| it.trim_end_matches('-').parse().unwrap());
                assert_eq!(range.is_some(), head.contains("\r\nif-range: \""), "{head}");
                seen.lock().unwrap().push(range);
                asked += 1;
                file(asked, range)
            };
            line.write_all(&answer).await.unwrap();
            line.shutdown().await.unwrap();
        }
    });
    Store { hub, asked }
}

fn answer(status: &str, headers: &str, promised: usize, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {promised}\r\n{headers}connection: close\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

fn whole(etag: &str, file: &[u8]) -> Vec<u8> {
    answer("200 OK", &format!("etag: {etag}\r\n"), file.len(), file)
}

/// All is promised, and the line breaks at [`CUT`].
fn cut(etag: &str, file: &[u8]) -> Vec<u8> {
    answer("200 OK", &format!("etag: {etag}\r\n"), file.len(), &file[..CUT])
}

fn rest(etag: &str, file: &[u8], from: usize) -> Vec<u8> {
    let range = format!("content-range: bytes {from}-{}/{}\r\n", file.len() - 1, file.len());
    let headers = format!("etag: {etag}\r\n{range}");
    answer("206 Partial Content", &headers, file.len() - from, &file[from..])
}

impl Store {
    /// Downloads with as many tries as it takes, and answers what came.
    async fn bring(&self) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let mut part = part(folder.path());
        let screen = Screen::new(false);
        for _ in 0..5 {
            match part.download(&self.hub, JOB.parse().unwrap(), None, &screen).await {
                Ok(()) => {
                    let mut bytes = Vec::new();
                    part.file().unwrap().read_to_end(&mut bytes).unwrap();
                    return bytes;
                }
                Err(Broken::Hub(error)) => assert!(error.may_pass(), "{error}"),
                Err(other) => panic!("{other:?}"),
            }
        }
        panic!("five tries were not enough: {:?}", self.asked());
    }

    fn asked(&self) -> Vec<Option<usize>> {
        self.asked.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn a_download_that_breaks_goes_on_where_it_was() {
    let file = result(1);
    let store = store({
        let file = file.clone();
        move |_, range| match range {
            None => cut("\"one\"", &file),
            Some(from) => rest("\"one\"", &file, from),
        }
    })
    .await;
    assert!(store.bring().await == file);
    assert_eq!(store.asked(), [None, Some(CUT)]);
}

#[tokio::test]
async fn a_line_that_breaks_again_and_again_brings_the_file_piece_by_piece() {
    let file = result(1);
    let store = store({
        let file = file.clone();
        move |_, range| {
            let mut answer = match range {
                None => cut("\"one\"", &file),
                Some(from) => rest("\"one\"", &file, from),
            };
            // Sixty thousand bytes a time are what the line lets through.
            let body = answer.windows(4).position(|it| it == b"\r\n\r\n").unwrap() + 4;
            answer.truncate(body + 60_000);
            answer
        }
    })
    .await;
    assert!(store.bring().await == file);
    assert_eq!(store.asked(), [None, Some(60_000), Some(120_000), Some(180_000)]);
}

#[tokio::test]
async fn a_store_that_ignores_ranges_is_read_from_the_start() {
    let file = result(1);
    let store = store({
        let file = file.clone();
        move |nth, _| if nth == 1 { cut("\"one\"", &file) } else { whole("\"one\"", &file) }
    })
    .await;
    assert!(store.bring().await == file);
    assert_eq!(store.asked(), [None, Some(CUT)]);
}

#[tokio::test]
async fn parts_of_two_files_are_never_mixed() {
    let (old, new) = (result(1), result(2));
    // What a store says when the file has changed: all of it, a refusal, or, against the rules, a part
    // of the new one, which its tag, its length or its place gives away.
    type Lie = fn(&[u8], usize) -> Vec<u8>;
    let lies: [(&str, Lie); 7] = [
        ("anew", |new, _| whole("\"two\"", new)),
        ("refused", |_, _| answer("412 Precondition Failed", "", 0, b"")),
        ("past the end", |_, _| answer("416 Range Not Satisfiable", "", 0, b"")),
        ("another tag", |new, from| rest("\"two\"", new, from)),
        ("no tag", |new, from| {
            let range = format!("content-range: bytes {from}-{}/{BYTES}\r\n", BYTES - 1);
            answer("206 Partial Content", &range, BYTES - from, &new[from..])
        }),
        ("another length", |new, from| rest("\"one\"", &new[..BYTES - 1], from)),
        ("another place", |new, from| rest("\"one\"", new, from - 1)),
    ];
    for (name, lie) in lies {
        let store = store({
            let (old, new) = (old.clone(), new.clone());
            move |nth, range| match (nth, range) {
                (1, _) => cut("\"one\"", &old),
                (_, Some(from)) => lie(&new, from),
                (_, None) => whole("\"two\"", &new),
            }
        })
        .await;
        assert!(store.bring().await == new, "{name}");
    }
}

#[tokio::test]
async fn without_a_strong_tag_nothing_is_continued() {
    for etag in ["W/\"one\"", "\"\"", "one"] {
        let (old, new) = (result(1), result(2));
        let store = store({
            let new = new.clone();
            move |nth, range| {
                assert_eq!(range, None, "{etag}");
                if nth == 1 { cut(etag, &old) } else { whole(etag, &new) }
            }
        })
        .await;
        assert!(store.bring().await == new, "{etag}");
    }
}

/// Made safe in steps that fit the test.
fn part(folder: &Path) -> Part {
    Part { safe_every: 50_000, ..Part::open(folder, JOB.parse().unwrap()).unwrap() }
}

/// A first run whose line breaks, and which then ends; `between` happens before the second one.
async fn two_runs(between: impl Fn(&Path)) -> Vec<Option<usize>> {
    let file = result(1);
    let store = store({
        let file = file.clone();
        move |nth, range| match (nth, range) {
            (1, _) => cut("\"one\"", &file),
            (_, Some(from)) => rest("\"one\"", &file, from),
            (_, None) => whole("\"one\"", &file),
        }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let (job, screen) = (JOB.parse().unwrap(), Screen::new(false));
    let mut first = part(folder.path());
    first.download(&store.hub, job, None, &screen).await.unwrap_err();
    drop(first);
    between(folder.path());
    let mut second = part(folder.path());
    second.download(&store.hub, job, None, &screen).await.unwrap();
    let mut bytes = Vec::new();
    second.file().unwrap().read_to_end(&mut bytes).unwrap();
    assert!(bytes == file);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing stays");
    store.asked()
}

#[tokio::test]
async fn a_later_run_goes_on_with_what_is_safe_on_disk() {
    let asked = two_runs(|_| {}).await;
    assert!(matches!(asked[..], [None, Some(100_000..=CUT)]), "{asked:?}");
}

#[tokio::test]
async fn what_an_earlier_run_left_is_used_only_where_it_can_be_trusted() {
    let note = |text: &'static str| {
        move |folder: &Path| fs::write(folder.join(format!("{JOB}.part.note")), text).unwrap()
    };
    let shorter = |folder: &Path| {
        let part = OpenOptions::new().write(true).open(folder.join(format!("{JOB}.part")));
        part.unwrap().set_len(70_000).unwrap();
    };
    assert_eq!(two_runs(note("{")).await, [None, None]);
    assert_eq!(two_runs(note(r#"{"etag":"W/\"one\"","total":1,"safe":1}"#)).await, [None, None]);
    assert_eq!(two_runs(shorter).await, [None, None]);
}

#[tokio::test]
async fn two_programs_do_not_write_to_one_part() {
    let file = result(1);
    let store = store({
        let file = file.clone();
        move |_, _| whole("\"one\"", &file)
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let (mut one, mut other) = (part(folder.path()), part(folder.path()));
    for part in [&mut one, &mut other] {
        let job = JOB.parse().unwrap();
        part.download(&store.hub, job, None, &Screen::new(false)).await.unwrap();
    }
    for part in [one, other] {
        let mut bytes = Vec::new();
        part.file().unwrap().read_to_end(&mut bytes).unwrap();
        assert!(bytes == file);
    }
}

#[tokio::test]
async fn a_link_that_expired_is_asked_for_anew() {
    let file = result(1);
    let store = store({
        let file = file.clone();
        move |nth, range| match (nth, range) {
            (1, _) => cut("\"one\"", &file),
            (2, _) => answer("403 Forbidden", "", 0, b""),
            (_, Some(from)) => rest("\"one\"", &file, from),
            (_, None) => whole("\"one\"", &file),
        }
    })
    .await;
    assert!(store.bring().await == file);
    assert_eq!(store.asked(), [None, Some(CUT), Some(CUT)], "what had come was kept");
}

#[test]
fn a_content_range_is_read_or_refused() {
    assert_eq!(content_range("bytes 5-9/10"), Some((5, 9, 10)));
    for odd in ["", "bytes */10", "bytes 5-9/*", "bytes 5/10", "items 5-9/10", "bytes 5-9-9/10"] {
        assert_eq!(content_range(odd), None, "{odd}");
    }
}
