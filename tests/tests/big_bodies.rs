//! A scene of a gibibyte goes through the one-machine hub, a real process, and the kernel says how much
//! memory that took.

use std::fs;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ed25519_dalek::{Signer as _, SigningKey};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const GIB: u64 = 1 << 30;
const NOBODY: &str = "0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001";
/// What the process may grow by, store, table and chain included.
const GROWTH_KIB_MAX: u64 = 32 * 1024;
/// A debug build on a busy machine hashes a gibibyte several times.
const PATIENCE: Duration = Duration::from_secs(600);
const WARM_UP: u64 = 24 << 20;

/// Killed with its value.
struct Hub {
    process: Child,
    url: String,
}

impl Drop for Hub {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Hub {
    fn start(data: &std::path::Path) -> Hub {
        let mut process = Command::new(framefair_tests::program("framefair-local"))
            .arg("--data")
            .arg(data)
            .args(["--port", "0", "--rpc-port", "0", "--aws-port", "0", "--no-rate-limits"])
            .env("RUST_LOG", "warn")
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the hub starts");
        let mut lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        let said = lines.find_map(|line| Some(line.ok()?.strip_prefix("hub     ")?.to_owned()));
        let url = said.expect("it says where it listens");
        lines.find(|line| line.as_ref().is_ok_and(|line| line.starts_with("ready")));
        // Nobody reads on, and nothing more is said.
        std::mem::forget(lines);
        Hub { process, url }
    }

    /// A line of the kernel's account of the process, in KiB.
    fn kib(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.expect("the process lives");
        let line = status.lines().find(|line| line.starts_with(name)).expect("a line of that name");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
    }

    /// Makes the highest mark begin anew.
    fn forget_peak(&self) {
        let refs = format!("/proc/{}/clear_refs", self.process.id());
        fs::write(refs, "5").expect("the mark can be reset");
    }
}

/// A .blend file of this size, most of it a hole. Its head is whole; the rest is one long block.
fn scene(size: u64) -> fs::File {
    let block = |code: &[u8; 4], length: u32| {
        [&code[..], &length.to_le_bytes(), &[0; 8], &[0; 4], &1_u32.to_le_bytes()].concat()
    };
    let mut head = b"BLENDER-v304".to_vec();
    head.extend(block(b"REND", 72));
    head.extend([1_u32.to_le_bytes(), 8_u32.to_le_bytes()].concat());
    head.extend(b"Scene".iter().copied().chain([0; 59]));
    let end = [block(b"DNA1", 8), b"SDNANAME".to_vec(), block(b"ENDB", 0)].concat();
    let rest = size - (head.len() + 24 + end.len()) as u64;
    head.extend(block(b"DATA", u32::try_from(rest).expect("below 4 GiB")));
    let mut file = tempfile::tempfile_in(env!("CARGO_TARGET_TMPDIR")).expect("a file");
    file.write_all(&head).expect("it can be written");
    file.set_len(size - end.len() as u64).expect("it can be grown");
    file.seek(SeekFrom::End(0)).expect("it has an end");
    file.write_all(&end).expect("it can be written");
    file.rewind().expect("it has a beginning");
    file
}

fn sha256(mut file: &fs::File) -> String {
    let (mut hash, mut chunk) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        let read = file.read(&mut chunk).expect("it can be read");
        if read == 0 {
            file.rewind().expect("it has a beginning");
            return hex::encode(hash.finalize());
        }
        hash.update(&chunk[..read]);
    }
}

async fn online(hub: &Hub, http: &reqwest::Client) {
    let key = SigningKey::from_bytes(&[1; 32]);
    let wallet = bs58::encode(key.verifying_key().to_bytes()).into_string();
    let sign = |text: String| bs58::encode(key.sign(text.as_bytes()).to_bytes()).into_string();
    let spec = json!({ "gpus": [], "gpuCount": 0, "totalVram": 0, "maxFileSize": 4096,
        "supportedFormats": [".blend"], "blenderVersion": "4.2.1", "renderEngines": ["cycles"] });
    let pricing = json!({ "pricePerFrame": 0.001, "pricePerSecond": 0.0001, "pricePerGb": 0.01,
        "minimumPrice": 0.005, "currency": "SOL" });
    let body = json!({ "name": "Oak", "wallet": wallet, "endpoint": "https://render.example.com",
        "spec": spec, "pricing": pricing, "signature": sign(format!("register:{wallet}:Oak")) });
    let url = |path: &str| format!("{}{path}", hub.url);
    let said = http.post(url("/provider/register")).json(&body).send().await.expect("an answer");
    let said: Value = said.json().await.expect("JSON");
    let id = said["data"]["providerId"].as_str().unwrap_or_else(|| panic!("{said}")).to_owned();
    let signature = sign(format!("status:{id}:online"));
    let body = json!({ "providerId": id, "status": "online", "signature": signature });
    let said = http.put(url("/provider/status")).json(&body).send().await.expect("an answer");
    assert_eq!(said.status(), 200);
}

async fn submit(hub: &Hub, http: &reqwest::Client, size: u64) -> Value {
    let file = scene(size);
    let sha256 = sha256(&file);
    let part = Part::stream_with_length(tokio::fs::File::from_std(file), size).file_name("a.blend");
    let wallet = bs58::encode(SigningKey::from_bytes(&[9; 32]).verifying_key().to_bytes());
    let form = Form::new().part("file", part).text("clientWallet", wallet.into_string());
    let sent = http.post(format!("{}/render", hub.url)).multipart(form).send().await;
    let answer = sent.expect("an answer");
    assert_eq!(answer.status(), 402, "{:?}", answer.text().await);
    let quote: Value = answer.json().await.expect("JSON");
    let id = quote["payment"]["jobId"].as_str().expect("an id").to_owned();
    let job = http.get(format!("{}/render/{id}", hub.url)).send().await.expect("an answer");
    let job: Value = job.json().await.expect("JSON");
    assert_eq!(job["data"]["fileHash"], sha256, "the hash of the stream is the scene's");
    assert_eq!(job["data"]["fileSize"], size);
    job
}

/// A result for a job that there is not: that is seen behind the ingest, once all of it has come in.
async fn hand_in(hub: &Hub, http: &reqwest::Client, size: u64) {
    let file = tokio::fs::File::from_std(scene(size));
    let form = Form::new().part("result", Part::stream_with_length(file, size).file_name("a.zip"));
    let form = form.text("signature", bs58::encode([1; 64]).into_string());
    let form = form.text("providerId", NOBODY).text("renderTime", "1");
    let url = format!("{}/provider/job/{NOBODY}/complete", hub.url);
    let answer = http.post(url).multipart(form).send().await.expect("an answer");
    assert_eq!(answer.status(), 404, "{:?}", answer.text().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gibibyte_through_the_hub_takes_at_most_thirty_two_mebibytes_of_its_memory() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let hub = Hub::start(&folder.path().join("data"));
    let http = reqwest::Client::builder().timeout(PATIENCE).build().expect("a client");
    online(&hub, &http).await;
    // Once before the count: what is used for the first time stays, whatever its size.
    submit(&hub, &http, WARM_UP).await;
    hand_in(&hub, &http, WARM_UP).await;
    hub.forget_peak();
    let (before, begun) = (hub.kib("VmRSS:"), std::time::Instant::now());
    submit(&hub, &http, GIB).await;
    hand_in(&hub, &http, GIB).await;
    let (peak, after) = (hub.kib("VmHWM:"), hub.kib("VmRSS:"));
    let seconds = begun.elapsed().as_secs_f32();
    println!("1 GiB twice in {seconds:.1} s: {before} KiB before, {peak} at most, {after} after");
    let growth = peak.saturating_sub(before);
    assert!(growth <= GROWTH_KIB_MAX, "it grew by {growth} KiB, from {before} to {peak}");
}
