//! Scenes and bodies that no client of good will sends: each is a 400 in the envelope, small or large,
//! and leaves nothing behind.

use std::time::Duration;

use futures::stream;
use reqwest::Body;
use reqwest::multipart::{Form, Part};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::people::{Seller, blend};
use crate::stage::{Hub, until};

/// More than a request may carry by itself.
const LARGE: usize = 6_000_000;

async fn stage() -> Hub {
    let hub = Hub::start().await;
    let seller = Seller::new(1).register(&hub, &["frames"]).await;
    seller.set(&hub, "online").await.is(200);
    hub
}

fn form(file: Part) -> Form {
    Form::new().part("file", file).text("clientWallet", Seller::new(9).wallet)
}

fn files(hub: &Hub) -> usize {
    std::fs::read_dir(hub.data().join("cloud/s3/framefair")).expect("the store").count()
}

async fn nothing_stays(hub: &Hub) {
    until("the store is empty", || async { (files(hub) == 0).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scenes_that_are_none_are_refused_whatever_their_size() {
    let hub = stage().await;
    let whole = blend(LARGE);
    let mut deep = b"BLENDER-v304REND".to_vec();
    deep.extend(u32::MAX.to_le_bytes());
    let zip = [b"PK\x03\x04".to_vec(), vec![0; 100]].concat();
    let cases: Vec<(&str, &str, Vec<u8>)> = vec![
        ("truncated", "a.blend", blend(0)[..40].to_vec()),
        ("empty", "a.blend", Vec::new()),
        ("a picture", "a.blend", b"\x89PNG\r\n\x1a\n".to_vec()),
        ("noise", "a.blend", vec![7; 100_000]),
        ("a block longer than the file", "a.blend", deep),
        ("a zip", "a.blend", zip),
        ("a gzip bomb", "a.blend", bomb()),
        ("a wrong extension", "a.exe", blend(0)),
        ("no extension", "scene", blend(0)),
        ("large noise", "a.blend", vec![7; LARGE]),
        ("a large file of another kind", "a.glb", whole.clone()),
        ("a large one with a wrong extension", "a.exe", whole),
    ];
    for (what, name, bytes) in cases {
        let part = Part::bytes(bytes).file_name(name);
        let answer =
            hub.call("renderSubmit", hub.ask("POST", "/render").multipart(form(part))).await;
        assert_eq!(answer.status, 400, "{what}: {}", String::from_utf8_lossy(&answer.bytes));
        answer.error();
    }
    nothing_stays(&hub).await;
    hub.stop().await;
}

/// Two gigabytes of zeroes as gzip, behind no header that a scene has.
fn bomb() -> Vec<u8> {
    use std::io::Write;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let zeroes = vec![0; 1 << 20];
    for _ in 0..256 {
        gzip.write_all(&zeroes).expect("memory");
    }
    gzip.finish().expect("memory")
}

#[tokio::test(flavor = "multi_thread")]
async fn file_names_lead_nowhere() {
    let hub = stage().await;
    for name in [
        "../../../etc/passwd.blend",
        "..\\..\\windows.blend",
        "/abs/olute.blend",
        ".hidden.blend",
        "a;b=c.blend",
        "name with \"quotes\".blend",
        "über größe.blend",
        &format!("{}.blend", "x".repeat(200)),
    ] {
        for size in [0, LARGE] {
            let part = Part::bytes(blend(size)).file_name(name.to_owned());
            let request = hub.ask("POST", "/render").multipart(form(part));
            let answer = hub.call("renderSubmit", request).await.is(402).json();
            let job = answer["payment"]["jobId"].as_str().expect("an id").to_owned();
            let request = hub.ask("GET", &format!("/render/{job}"));
            let shown = hub.call("renderStatus", request).await.is(200).json();
            let shown = shown["data"]["fileName"].as_str().expect("a name").to_owned();
            let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            assert!(shown.len() <= 100 && shown.chars().all(plain), "{name}: {shown}");
            assert!(!shown.starts_with('.') && shown.ends_with(".blend"), "{name}: {shown}");
        }
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_form_is_held_to_the_same_rules_as_a_small_one() {
    let hub = stage().await;
    let wallet = Seller::new(9).wallet;
    let file = || Part::bytes(blend(LARGE)).file_name("a.blend");
    let cases = [
        ("no wallet", Form::new().part("file", file())),
        ("a bad wallet", Form::new().part("file", file()).text("clientWallet", "x")),
        ("two files", form(file()).part("file", file())),
        ("bad settings", form(file()).text("settings", r#"{"samples":0}"#)),
        ("two settings", form(file()).text("settings", "{}").text("settings", "{}")),
        ("a long text", form(file()).text("settings", "x".repeat(70_000))),
        ("text that is none", form(file()).part("settings", Part::bytes(vec![0xff, 0xfe]))),
        ("an upload besides", form(file()).text("uploadId", crate::walk::NOBODY)),
        ("no file part", Form::new().text("clientWallet", wallet.clone()).part("other", file())),
        ("many texts", (0..40).fold(form(file()), |form, n| form.text(format!("p{n}"), ""))),
    ];
    for (what, form) in cases {
        let answer = hub.call("renderSubmit", hub.ask("POST", "/render").multipart(form)).await;
        assert_eq!(answer.status, 400, "{what}: {}", String::from_utf8_lossy(&answer.bytes));
        answer.error();
    }
    nothing_stays(&hub).await;
    // And what is right goes through, with a member that nobody knows and the hash of the stream.
    let request = hub.ask("POST", "/hub/render").multipart(form(file()).text("unknown", "1"));
    let payment = hub.call("renderSubmit", request).await.is(402).json()["payment"].clone();
    let request = hub.ask("GET", &format!("/render/{}", payment["jobId"].as_str().expect("an id")));
    let shown = hub.call("renderStatus", request).await.is(200).json()["data"].clone();
    let sha256 = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(blend(LARGE)));
    assert_eq!((&shown["fileHash"], &shown["fileSize"]), (&json!(sha256), &json!(LARGE)));
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_long_is_refused_before_it_has_come() {
    let hub = stage().await;
    // Declared: not a byte of the file is sent.
    let mut socket = TcpStream::connect(hub.machine.hub).await.expect("the hub listens");
    let head = "POST /render HTTP/1.1\r\nhost: h\r\ncontent-type: multipart/form-data; boundary=x\r\n\
        content-length: 99999999999\r\n\r\n";
    socket.write_all(head.as_bytes()).await.expect("it is sent");
    let mut answer = String::new();
    let read = tokio::time::timeout(Duration::from_secs(60), socket.read_to_string(&mut answer));
    read.await.expect("it is answered at once").expect("text");
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("larger than 2048 MiB"), "{answer}");

    // JSON, chunked, without an end.
    let endless = stream::iter((0..200).map(|_| Ok::<_, std::io::Error>(vec![b' '; 64 << 10])));
    let request = hub.ask("POST", "/render/pay").body(Body::wrap_stream(endless));
    if let Ok(answer) = request.send().await {
        assert_eq!(answer.status(), 400);
    }
    // A form that is no form, in more bytes than one request may carry.
    let request = hub.ask("POST", "/render").header("content-type", "text/plain");
    let answer = hub.raw(request.body(vec![b'x'; LARGE])).await;
    assert_eq!(answer.status, 400, "{}", answer.error());
    nothing_stays(&hub).await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_cut_in_the_middle_leaves_nothing() {
    let hub = stage().await;
    for cut_after in [1_000_usize, 5_500_000, 11_000_000] {
        let mut socket = TcpStream::connect(hub.machine.hub).await.expect("the hub listens");
        let head = "POST /render HTTP/1.1\r\nhost: h\r\ncontent-type: multipart/form-data; boundary=x\r\n\
            content-length: 20000000\r\n\r\n--x\r\nContent-Disposition: form-data; name=\"file\"; \
            filename=\"a.blend\"\r\n\r\n";
        socket.write_all(head.as_bytes()).await.expect("it is sent");
        socket.write_all(&blend(20_000_000)[..cut_after]).await.expect("it is sent");
        if cut_after > 10_000_000 {
            until("a part is in the store", || async { (files(&hub) > 0).then_some(()) }).await;
        }
        drop(socket);
        nothing_stays(&hub).await;
    }
    // Its place in the quota is free again a moment later: all five gibibytes are to be had.
    for _ in 0..3 {
        let body = json!({ "filename": "a.blend", "size": (5_u64 << 30) / 3 });
        until("there is room", || async {
            let asked = hub.ask("POST", "/uploads").json(&body);
            (hub.call("uploadCreate", asked).await.status == 201).then_some(())
        })
        .await;
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_trickles_is_cut_off() {
    let hub = stage().await;
    let mut socket = TcpStream::connect(hub.machine.hub).await.expect("the hub listens");
    let head = "POST /render HTTP/1.1\r\nhost: h\r\ncontent-type: multipart/form-data; boundary=x\r\n\
        content-length: 6000000\r\n\r\n--x\r\n";
    socket.write_all(head.as_bytes()).await.expect("it is sent");
    let mut answer = String::new();
    let read = tokio::time::timeout(Duration::from_secs(100), socket.read_to_string(&mut answer));
    read.await.expect("nobody waits for ever").expect("text");
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    hub.stop().await;
}
