//! A provider that speaks the node protocol and does what it likes. Registers like any other; renders nothing.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ed25519_dalek::{Signer, SigningKey};
use framefair_domain::id::ProviderId;
use framefair_domain::signing::{self, Once};
use framefair_domain::time::Timestamp;
use framefair_domain::wallet::{TxSignature, Wallet};
use framefair_wire::market::{Assignment, Attempt, Fault, FromProvider, Outcome, ToProvider};
use futures::{SinkExt, StreamExt};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::place::Place;
use crate::process::PATIENCE;

/// Where the hub wants a frame, and how.
#[derive(Clone, Debug)]
pub(crate) struct Granted {
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
}

pub(crate) struct Rogue {
    pub(crate) id: ProviderId,
    hub: String,
    key: SigningKey,
    wallet: Wallet,
    socket: WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>,
    /// What came while something else was waited for.
    heard: VecDeque<ToProvider>,
    client: Client,
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    Timestamp(i64::try_from(since.as_millis()).expect("before the year 292 million"))
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

impl Rogue {
    /// Registers under the wallet of that name at the prices of a plain node, and goes online.
    pub(crate) async fn appear(place: &Place, name: &str) -> Rogue {
        let file = std::fs::read_to_string(place.wallet(name)).expect("a wallet's file");
        let bytes: Vec<u8> = serde_json::from_str(&file).expect("a list of bytes");
        let key = SigningKey::from_bytes(&bytes[..32].try_into().expect("32 bytes"));
        let wallet = bs58::encode(key.verifying_key().to_bytes()).into_string();
        let wallet: Wallet = wallet.parse().expect("a key is an address");
        let (hub, client) = (place.hub_url(), crate::place::http());
        let spec = json!({
            "gpus": [], "gpuCount": 0, "totalVram": 0, "maxFileSize": 100,
            "supportedFormats": [".blend"], "blenderVersion": "9.9.9",
            "renderEngines": ["cycles", "eevee"], "features": ["frames", "relay"],
        });
        let pricing = json!({
            "pricePerFrame": 0.001, "pricePerSecond": 0.0001, "pricePerGb": 0.01,
            "minimumPrice": 0.005, "currency": "SOL",
        });
        let body = json!({
            "name": name, "wallet": wallet, "endpoint": hub, "spec": spec, "pricing": pricing,
        });
        let text = signing::register(&wallet, name);
        let answer =
            call(&client, &key, Method::POST, format!("{hub}/provider/register"), body, text);
        let id = answer.await["data"]["providerId"].as_str().and_then(|id| id.parse().ok());
        let id: ProviderId = id.expect("an id");
        let (socket, _) = connect_async(format!("ws{}/ws", hub.trim_start_matches("http")))
            .await
            .expect("the hub takes sockets");
        let heard = VecDeque::new();
        let mut rogue = Rogue { id, hub, key, wallet, socket, heard, client };
        rogue.authenticate().await;
        rogue
    }

    async fn authenticate(&mut self) {
        let timestamp = now();
        let text = signing::socket(self.id, timestamp);
        let signature = sign(&self.key, &text);
        let auth = FromProvider::Auth { provider_id: self.id, timestamp: timestamp.0, signature };
        self.say(auth).await;
        assert_eq!(self.hear().await, ToProvider::Authenticated);
        let body = json!({ "providerId": self.id, "status": "online" });
        let url = format!("{}/provider/status", self.hub);
        let text = signing::status(self.id, "online");
        call(&self.client, &self.key, Method::PUT, url, body, text).await;
        self.say(FromProvider::Ready { slots: 1 }).await;
    }

    pub(crate) fn wallet(&self) -> Wallet {
        self.wallet
    }

    pub(crate) async fn say(&mut self, frame: FromProvider) {
        let text = serde_json::to_string(&frame).expect("plain data");
        self.socket.send(Message::Text(text.into())).await.expect("the hub listens");
    }

    async fn hear(&mut self) -> ToProvider {
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.socket.next()).await;
            match frame.expect("the hub says something").expect("the socket stands") {
                Ok(Message::Text(text)) => {
                    return serde_json::from_str(&text).expect("a frame of the protocol");
                }
                Ok(Message::Close(why)) => panic!("the hub closed the socket: {why:?}"),
                Ok(_) => {}
                Err(error) => panic!("the socket broke: {error}"),
            }
        }
    }

    /// The first frame that `wanted` wants; others are kept for later.
    pub(crate) async fn hear_of<T>(&mut self, wanted: impl Fn(&ToProvider) -> Option<T>) -> T {
        if let Some(at) = self.heard.iter().position(|frame| wanted(frame).is_some()) {
            let frame = self.heard.remove(at).expect("it was just found");
            return wanted(&frame).expect("it was just wanted");
        }
        loop {
            let frame = self.hear().await;
            match wanted(&frame) {
                Some(found) => return found,
                None => self.heard.push_back(frame),
            }
        }
    }

    /// Whether nothing that `unwanted` matches comes for a while.
    pub(crate) async fn hears_none(&mut self, unwanted: impl Fn(&ToProvider) -> bool) -> bool {
        let quiet = Duration::from_secs(2);
        while let Ok(frame) = tokio::time::timeout(quiet, self.hear()).await {
            self.heard.push_back(frame);
        }
        !self.heard.iter().any(unwanted)
    }

    /// The next task, accepted.
    pub(crate) async fn take(&mut self) -> Assignment {
        let assignment = self
            .hear_of(|frame| match frame {
                ToProvider::Assign(assignment) => Some((**assignment).clone()),
                _ => None,
            })
            .await;
        self.say(FromProvider::Accepted(assignment.attempt)).await;
        assignment
    }

    /// A place for these bytes; none if the hub says that the lease is gone.
    pub(crate) async fn ask(&mut self, of: Attempt, frame: i32, bytes: &[u8]) -> Option<Granted> {
        let (size, sha256) = (bytes.len() as u64, sha256(bytes));
        self.say(FromProvider::WantPut { attempt: of, frame, size, sha256 }).await;
        self.hear_of(move |said| match said {
            ToProvider::GrantPut { attempt, frame: of_frame, url, headers }
                if *attempt == of && *of_frame == frame =>
            {
                Some(Some(Granted { url: url.clone(), headers: headers.clone() }))
            }
            ToProvider::Stop(attempt) if *attempt == of => Some(None),
            _ => None,
        })
        .await
    }

    pub(crate) async fn put(&self, granted: &Granted, bytes: &[u8]) -> StatusCode {
        let mut put = self.client.put(&granted.url).body(bytes.to_vec());
        for (name, value) in &granted.headers {
            if !name.eq_ignore_ascii_case("host") && !name.eq_ignore_ascii_case("content-length") {
                put = put.header(name, value);
            }
        }
        put.send().await.expect("the store answers").status()
    }

    /// Any request to the store, with nothing signed by the hub for it.
    pub(crate) async fn force(&self, method: Method, url: &str, bytes: &[u8]) -> StatusCode {
        let asked = self.client.request(method, url).body(bytes.to_vec()).send().await;
        asked.expect("the store answers").status()
    }

    pub(crate) async fn say_done(&mut self, attempt: Attempt) {
        self.say(FromProvider::Done { attempt, render_ms: 5 }).await;
    }

    pub(crate) async fn say_failed(&mut self, attempt: Attempt, fault: Fault) -> Outcome {
        self.say(FromProvider::Failed { attempt, fault, error: "so it says".into() }).await;
        self.outcome(attempt).await
    }

    pub(crate) async fn outcome(&mut self, of: Attempt) -> Outcome {
        self.hear_of(move |frame| match frame {
            ToProvider::Settled { attempt, outcome } if *attempt == of => Some(*outcome),
            _ => None,
        })
        .await
    }

    /// Hands in `bytes` as every frame of the task.
    pub(crate) async fn deliver(&mut self, task: &Assignment, bytes: &[u8]) -> Outcome {
        let mut frames = Vec::new();
        for frame in &task.frames {
            let granted = self.ask(task.attempt, *frame, bytes).await.expect("the lease is ours");
            assert!(self.put(&granted, bytes).await.is_success());
            frames.push((*frame, bytes));
        }
        self.say_done(task.attempt).await;
        self.outcome(task.attempt).await
    }
}

fn sign(key: &SigningKey, text: &str) -> String {
    TxSignature(key.sign(text.as_bytes()).to_bytes()).to_string()
}

async fn call(
    client: &Client,
    key: &SigningKey,
    method: Method,
    url: String,
    mut body: Value,
    short: String,
) -> Value {
    let nonce = uuid::Uuid::new_v4().simple().to_string();
    let once = Once { timestamp: now(), nonce };
    body["signature"] = sign(key, &signing::text(short, Some(&once))).into();
    body["timestamp"] = once.timestamp.0.into();
    body["nonce"] = once.nonce.into();
    let answer = client.request(method, url).json(&body).send().await.expect("the hub answers");
    let status = answer.status();
    let answer: Value = answer.json().await.expect("JSON");
    assert!(status.is_success(), "{status} {answer}");
    answer
}
