//! A provider as the documents describe it and published clients are built: it signs the short texts,
//! listens on an endpoint of its own, keeps a socket with a heartbeat, and reports over HTTP.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Multipart, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use ed25519_dalek::{Signer, SigningKey};
use futures::{SinkExt, StreamExt};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use crate::place::Place;
use crate::process::wait_until;

const SCENE_KEPT_MAX: u64 = 16 << 20;

/// How it treats a task that is pushed to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// `{"status":"accepted"}`, and it renders.
    Accepts,
    /// 503 "Already rendering", whatever it does.
    IsBusy,
    /// It renders, but its answer never leaves.
    AcceptsUnheard,
    /// 500.
    Breaks,
}

/// A task as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Pushed {
    pub(crate) job: String,
    pub(crate) file_name: String,
    /// Its first bytes: a large one is not kept.
    pub(crate) scene: Vec<u8>,
    pub(crate) bytes: u64,
    pub(crate) settings: Value,
}

struct Inside {
    manner: Manner,
    rendering: bool,
    pushed: Vec<Pushed>,
    /// Requests to `/render`, those that were turned away included.
    knocks: u32,
    health_asked: u32,
    heard: Vec<Value>,
}

pub(crate) struct Legacy {
    pub(crate) id: String,
    hub: String,
    key: SigningKey,
    inside: Arc<Mutex<Inside>>,
    serving: JoinHandle<()>,
    listening: JoinHandle<()>,
}

fn spec() -> Value {
    json!({ "gpus": [{ "name": "NVIDIA RTX 4090", "vram": 24 }], "gpuCount": 1, "totalVram": 24,
        "maxFileSize": 500, "supportedFormats": [".blend"], "blenderVersion": "9.9.9",
        "renderEngines": ["cycles", "eevee"] })
}

fn pricing() -> Value {
    json!({ "pricePerFrame": 0.001, "pricePerSecond": 0.0001, "pricePerGb": 0.01,
        "minimumPrice": 0.005, "currency": "SOL" })
}

impl Legacy {
    /// Starts its server, registers under the wallet of that name, opens its socket, goes online.
    pub(crate) async fn appear(place: &Place, name: &str) -> Legacy {
        let file = std::fs::read_to_string(place.wallet(name)).expect("a wallet's file");
        let bytes: Vec<u8> = serde_json::from_str(&file).expect("a list of bytes");
        let key = SigningKey::from_bytes(&bytes[..32].try_into().expect("32 bytes"));
        let inside = Arc::new(Mutex::new(Inside {
            manner: Manner::Accepts,
            rendering: false,
            pushed: Vec::new(),
            knocks: 0,
            health_asked: 0,
            heard: Vec::new(),
        }));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let at: SocketAddr = listener.local_addr().expect("an address");
        let serving = tokio::spawn(serve(listener, inside.clone()));
        let hub = place.hub_url();
        let wallet = bs58::encode(key.verifying_key().to_bytes()).into_string();
        let body = json!({
            "name": name, "wallet": wallet, "endpoint": format!("http://{at}"), "spec": spec(),
            "pricing": pricing(), "signature": sign(&key, &format!("register:{wallet}:{name}")),
        });
        let request = crate::place::http().post(format!("{hub}/provider/register")).json(&body);
        let answer = request.send().await.expect("the hub answers");
        assert!(answer.status().is_success(), "{:?}", answer.text().await);
        let answer: Value = answer.json().await.expect("JSON");
        let id = answer["data"]["providerId"].as_str().expect("an id").to_owned();
        let listening = tokio::spawn(listen(hub.clone(), id.clone(), key.clone(), inside.clone()));
        let legacy = Legacy { id, hub, key, inside, serving, listening };
        legacy.set("online").await;
        legacy
    }

    pub(crate) async fn set(&self, status: &str) {
        let signature = self.sign(&format!("status:{}:{status}", self.id));
        let body = json!({ "providerId": self.id, "status": status, "signature": signature });
        let request = crate::place::http().put(format!("{}/provider/status", self.hub)).json(&body);
        assert!(request.send().await.expect("the hub answers").status().is_success());
    }

    fn sign(&self, text: &str) -> String {
        sign(&self.key, text)
    }

    fn inside<T>(&self, with: impl FnOnce(&mut Inside) -> T) -> T {
        with(&mut self.inside.lock().expect("nobody panics while holding it"))
    }

    pub(crate) fn treats(&self, manner: Manner) {
        self.inside(|inside| inside.manner = manner);
    }

    pub(crate) fn says_it_renders(&self, rendering: bool) {
        self.inside(|inside| inside.rendering = rendering);
    }

    pub(crate) fn knocks(&self) -> u32 {
        self.inside(|inside| inside.knocks)
    }

    pub(crate) fn health_asked(&self) -> u32 {
        self.inside(|inside| inside.health_asked)
    }

    /// What came over its socket, less the confirmation.
    pub(crate) fn heard(&self) -> Vec<Value> {
        self.inside(|inside| inside.heard.clone())
    }

    /// Waits for the task that was taken as number `n`, the first being 1.
    pub(crate) fn taken(&self, n: usize) -> Pushed {
        wait_until("a task is pushed", || self.inside(|inside| inside.pushed.get(n - 1).cloned()))
    }

    /// The endpoint and the socket are gone at once.
    pub(crate) fn dies(&self) {
        self.serving.abort();
        self.listening.abort();
    }

    /// Hands in the picture, as the documents say.
    pub(crate) async fn complete(&self, job: &str, picture: &[u8]) -> (StatusCode, Value) {
        let part = Part::bytes(picture.to_vec()).file_name("result.png");
        let part = part.mime_str("image/png").expect("a type");
        let form = Form::new()
            .part("result", part)
            .text("providerId", self.id.clone())
            .text("renderTime", "1.5")
            .text("signature", self.sign(&format!("complete:{job}:1.5")));
        let url = format!("{}/provider/job/{job}/complete", self.hub);
        let answer = crate::place::http().post(url).multipart(form).send().await;
        let answer = answer.expect("the hub answers");
        self.says_it_renders(false);
        (answer.status(), answer.json().await.expect("JSON"))
    }

    /// An unsigned word about this provider, which anybody can say.
    pub(crate) async fn is_said_to_fail(&self, job: &str) -> StatusCode {
        let body = json!({ "providerId": self.id, "error": "out of memory" });
        let url = format!("{}/provider/job/{job}/failed", self.hub);
        let answer = crate::place::http().post(url).json(&body).send().await;
        answer.expect("the hub answers").status()
    }
}

impl Drop for Legacy {
    fn drop(&mut self) {
        self.dies();
    }
}

fn sign(key: &SigningKey, text: &str) -> String {
    bs58::encode(key.sign(text.as_bytes()).to_bytes()).into_string()
}

async fn serve(listener: TcpListener, inside: Arc<Mutex<Inside>>) {
    let router = Router::new()
        .route("/render", post(render))
        .route("/health", get(health))
        .layer(axum::extract::DefaultBodyLimit::disable())
        .with_state(inside);
    axum::serve(listener, router).await.expect("it serves until it is stopped");
}

async fn health(State(inside): State<Arc<Mutex<Inside>>>) -> Json<Value> {
    let mut inside = inside.lock().expect("nobody panics while holding it");
    inside.health_asked += 1;
    Json(
        json!({ "status": "ok", "isRendering": inside.rendering, "spec": spec(), "pricing": pricing() }),
    )
}

async fn render(State(inside): State<Arc<Mutex<Inside>>>, mut form: Multipart) -> Response {
    let mut pushed = Pushed {
        job: String::new(),
        file_name: String::new(),
        scene: Vec::new(),
        bytes: 0,
        settings: Value::Null,
    };
    while let Some(mut field) = form.next_field().await.expect("a whole form") {
        match field.name().unwrap_or_default().to_owned().as_str() {
            "file" => {
                pushed.file_name = field.file_name().unwrap_or_default().to_owned();
                while let Some(piece) = field.chunk().await.expect("a whole part") {
                    pushed.bytes += piece.len() as u64;
                    if pushed.bytes <= SCENE_KEPT_MAX {
                        pushed.scene.extend_from_slice(&piece);
                    }
                }
            }
            "jobId" => pushed.job = field.text().await.expect("text"),
            "settings" => {
                let text = field.text().await.expect("text");
                pushed.settings = serde_json::from_str(&text).expect("JSON");
            }
            other => panic!("the documents know no part {other}"),
        }
    }
    let said = {
        let mut inside = inside.lock().expect("nobody panics while holding it");
        inside.knocks += 1;
        let takes = matches!(inside.manner, Manner::Accepts | Manner::AcceptsUnheard);
        if inside.rendering || inside.manner == Manner::IsBusy {
            Some((StatusCode::SERVICE_UNAVAILABLE, json!({ "error": "Already rendering" })))
        } else if pushed.scene.is_empty() {
            Some((StatusCode::BAD_REQUEST, json!({ "error": "No file" })))
        } else if !takes {
            Some((StatusCode::INTERNAL_SERVER_ERROR, json!({ "error": "broken" })))
        } else {
            inside.rendering = true;
            inside.pushed.push(pushed);
            let heard = inside.manner == Manner::Accepts;
            heard.then(|| (StatusCode::OK, json!({ "status": "accepted" })))
        }
    };
    match said {
        Some((status, body)) => (status, Json(body)).into_response(),
        // The connection breaks: a handler that panics is dropped without an answer.
        None => panic!("this provider's answer never leaves"),
    }
}

/// The socket of the documents: it authenticates, says that it lives, and reads what comes.
async fn listen(hub: String, id: String, key: SigningKey, inside: Arc<Mutex<Inside>>) {
    let url = format!("ws{}/ws", hub.trim_start_matches("http"));
    let (mut socket, _) = connect_async(url).await.expect("the hub takes sockets");
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let timestamp = since.expect("after 1970").as_millis() as u64;
    let signature = sign(&key, &format!("ws:{id}:{timestamp}"));
    let auth =
        json!({ "type": "auth", "providerId": id, "timestamp": timestamp, "signature": signature });
    socket.send(Message::text(auth.to_string())).await.expect("the hub listens");
    let mut beat = tokio::time::interval(Duration::from_secs(30));
    loop {
        let frame = tokio::select! {
            _ = beat.tick() => {
                let heartbeat = json!({ "type": "heartbeat" }).to_string();
                if socket.send(Message::text(heartbeat)).await.is_err() {
                    return;
                }
                continue;
            }
            frame = socket.next() => frame,
        };
        let Some(Ok(frame)) = frame else { return };
        if let Message::Text(text) = frame {
            let frame: Value = serde_json::from_str(&text).expect("JSON");
            if frame["type"] != "authenticated" {
                inside.lock().expect("nobody panics while holding it").heard.push(frame);
            }
        }
    }
}

/// Renders the task with real Blender, outside any sandbox of ours: this is another's machine.
pub(crate) fn rendered(place: &Place, pushed: &Pushed) -> Vec<u8> {
    let folder = place.path("legacy-work");
    std::fs::create_dir_all(&folder).expect("a folder");
    let scene = folder.join(&pushed.file_name);
    std::fs::write(&scene, &pushed.scene).expect("a scene");
    let number = |pointer: &str| {
        let found = pushed.settings.pointer(pointer).and_then(Value::as_i64);
        found.unwrap_or_else(|| panic!("no {pointer} in {}", pushed.settings))
    };
    let (width, height) = (number("/resolution/width"), number("/resolution/height"));
    let (frame, samples) = (number("/frames/start"), number("/samples"));
    let set = format!(
        "import bpy; s=bpy.context.scene; r=s.render; r.resolution_x={width}; r.resolution_y={height}; \
         r.resolution_percentage=100; s.cycles.samples={samples}"
    );
    blender(&scene, &set, &folder, frame);
    std::fs::read(folder.join(format!("out_{frame:04}.png"))).expect("Blender wrote the frame")
}

fn blender(scene: &Path, set: &str, folder: &Path, frame: i64) {
    let ran = Command::new("blender")
        .args(["-b", "--factory-startup", "-noaudio", "--python-exit-code", "9"])
        .arg(scene)
        .args(["--python-expr", set, "-E", "CYCLES", "-F", "PNG", "-o"])
        .arg(folder.join("out_####"))
        .args(["-f", &frame.to_string()])
        .output()
        .expect("Blender starts");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}
