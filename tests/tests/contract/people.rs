//! Those who use the market: a provider with its wallet and socket, a client with money, and the scene.

use ed25519_dalek::{Signer as _, SigningKey};
use framefair_chain::{Signer, wallet};
use framefair_domain::money::{LAMPORTS_PER_SOL, Lamports};
use framefair_wire::market::{FromProvider, ToProvider};
use futures::{SinkExt, StreamExt};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::stage::{Answer, Hub};

pub(crate) struct Seller {
    key: SigningKey,
    pub(crate) wallet: String,
    pub(crate) id: String,
}

pub(crate) fn pricing() -> Value {
    json!({ "pricePerFrame": 0.001, "pricePerSecond": 0.0001, "pricePerGb": 0.01,
        "minimumPrice": 0.005, "currency": "SOL" })
}

pub(crate) fn spec(features: &[&str]) -> Value {
    json!({ "gpus": [{ "name": "NVIDIA RTX 4090", "vram": 24, "cudaCores": 16384 }], "gpuCount": 1,
        "totalVram": 24, "maxFileSize": 500, "supportedFormats": [".blend", ".obj"],
        "blenderVersion": "4.2.1", "renderEngines": ["cycles"], "features": features, "unknown": [1] })
}

pub(crate) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.expect("after 1970").as_millis()).expect("it fits")
}

impl Seller {
    /// A wallet; its seed names it.
    pub(crate) fn new(seed: u8) -> Seller {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let wallet = bs58::encode(key.verifying_key().to_bytes()).into_string();
        Seller { key, wallet, id: String::new() }
    }

    pub(crate) fn sign(&self, text: &str) -> String {
        bs58::encode(self.key.sign(text.as_bytes()).to_bytes()).into_string()
    }

    pub(crate) fn registration(&self, name: &str, features: &[&str]) -> Value {
        json!({ "name": name, "wallet": self.wallet, "endpoint": "https://render.example.com",
            "spec": spec(features), "pricing": pricing(), "unknown": { "member": true },
            "signature": self.sign(&format!("register:{}:{name}", self.wallet)) })
    }

    pub(crate) async fn register(mut self, hub: &Hub, features: &[&str]) -> Seller {
        let request =
            hub.ask("POST", "/provider/register").json(&self.registration("Oak", features));
        let answer = hub.call("providerRegister", request).await.is(200).json();
        self.id = answer["data"]["providerId"].as_str().expect("an id").to_owned();
        self
    }

    pub(crate) async fn set(&self, hub: &Hub, status: &str) -> Answer {
        let signature = self.sign(&format!("status:{}:{status}", self.id));
        let body = json!({ "providerId": self.id, "status": status, "signature": signature });
        hub.call("providerStatus", hub.ask("PUT", "/provider/status").json(&body)).await
    }

    /// Sets prices by their raw text, which is what is signed.
    pub(crate) async fn ask(&self, hub: &Hub, raw: &str) -> Answer {
        let signature = self.sign(&format!("pricing:{}:{raw}", self.id));
        let id = &self.id;
        let body = format!(r#"{{"providerId":"{id}","pricing":{raw},"signature":"{signature}"}}"#);
        hub.call("providerPricing", hub.ask("PUT", "/provider/pricing").body(body)).await
    }

    pub(crate) async fn connect(&self, hub: &Hub, path: &str) -> Socket {
        let url = format!("ws://{}{path}", hub.machine.hub);
        let (stream, _) = tokio_tungstenite::connect_async(url).await.expect("a socket");
        let mut socket = Socket(stream);
        let timestamp = now_ms();
        let signature = self.sign(&format!("ws:{}:{timestamp}", self.id));
        let provider_id = self.id.parse().expect("an id");
        socket.say(&FromProvider::Auth { provider_id, timestamp, signature }).await;
        assert_eq!(socket.hear().await, ToProvider::Authenticated);
        socket
    }

    pub(crate) async fn hand_in(
        &self,
        hub: &Hub,
        job: &str,
        signature: &str,
        file: &[u8],
    ) -> Answer {
        let part = Part::bytes(file.to_vec()).file_name("result.png");
        let form = Form::new().part("result", part).text("providerId", self.id.clone());
        let form = form.text("renderTime", "12.50").text("signature", signature.to_owned());
        let request = hub.ask("POST", &format!("/provider/job/{job}/complete")).multipart(form);
        hub.call("providerComplete", request).await
    }

    pub(crate) async fn complete(&self, hub: &Hub, job: &str, file: &[u8]) -> Answer {
        self.hand_in(hub, job, &self.sign(&format!("complete:{job}:12.50")), file).await
    }
}

/// Tries to open a socket with these words; the code that it is closed with, or none if it stands.
pub(crate) async fn knock(hub: &Hub, id: &str, timestamp: i64, signature: &str) -> Option<u16> {
    knock_at(hub.machine.hub, id, timestamp, signature).await
}

pub(crate) async fn knock_at(
    relay: std::net::SocketAddr,
    id: &str,
    timestamp: i64,
    signature: &str,
) -> Option<u16> {
    let url = format!("ws://{relay}/ws");
    let (stream, _) = tokio_tungstenite::connect_async(url).await.expect("a socket");
    let mut socket = Socket(stream);
    let (provider_id, signature) = (id.parse().expect("an id"), signature.to_owned());
    socket.say(&FromProvider::Auth { provider_id, timestamp, signature }).await;
    loop {
        match socket.0.next().await.expect("an answer").expect("a frame") {
            Message::Text(text) => match serde_json::from_str(&text).expect("a known frame") {
                ToProvider::Error { error } => assert!(!error.is_empty()),
                other => {
                    assert_eq!(other, ToProvider::Authenticated);
                    return None;
                }
            },
            Message::Close(why) => return why.map(|why| why.code.into()),
            _ => {}
        }
    }
}

/// A provider's end of `/ws`.
pub(crate) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    pub(crate) async fn say(&mut self, frame: &FromProvider) {
        let text = serde_json::to_string(frame).expect("a frame is JSON");
        self.0.send(Message::text(text)).await.expect("the socket stands");
    }

    pub(crate) async fn hear(&mut self) -> ToProvider {
        let hearing = async {
            loop {
                match self.0.next().await.expect("the socket stands").expect("a frame") {
                    Message::Text(text) => {
                        return serde_json::from_str(&text).expect("a known frame");
                    }
                    Message::Close(why) => panic!("the hub closed: {why:?}"),
                    _ => {}
                }
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(120), hearing)
            .await
            .expect("a frame comes")
    }

    /// Hears on until the hub closes the socket; with which code it does.
    pub(crate) async fn closed(&mut self) -> Option<u16> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Close(why))) => return why.map(|why| why.code.into()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// Hears on until the task comes.
    pub(crate) async fn assigned(&mut self) -> framefair_wire::market::Assignment {
        loop {
            if let ToProvider::Assign(task) = self.hear().await {
                return *task;
            }
        }
    }
}

/// A client's key, with money on the chain.
pub(crate) async fn buyer(hub: &Hub, seed: u8) -> Signer {
    let signer = Signer::from_secret([seed; 32]).expect("a key");
    let chain = &hub.machine.ctx.chain;
    let lots = Lamports(10 * LAMPORTS_PER_SOL);
    wallet::airdrop(chain, &signer.wallet(), lots).await.expect("the faucet gives");
    signer
}

/// A .blend file of Blender 3.4 with frames 1 to 8, of exactly this size where it can be so small.
pub(crate) fn blend(bytes: usize) -> Vec<u8> {
    let block = |code: &[u8; 4], body: &[u8]| {
        let length = u32::try_from(body.len()).expect("a block below 4 GiB");
        [&code[..], &length.to_le_bytes(), &[0; 8], &[0; 4], &1_u32.to_le_bytes(), body].concat()
    };
    let mut rend = [1_u32.to_le_bytes(), 8_u32.to_le_bytes()].concat();
    rend.extend(b"Scene".iter().copied().chain([0; 59]));
    let start =
        [b"BLENDER-v304".to_vec(), block(b"REND", &rend), block(b"SC\0\0", &[2; 64])].concat();
    let end = [block(b"DNA1", b"SDNANAME"), block(b"ENDB", b"")].concat();
    let rest = bytes.saturating_sub(start.len() + end.len() + 24);
    [start, block(b"DATA", &vec![7; rest]), end].concat()
}

/// Settings of a small still, with a member that nobody knows.
pub(crate) fn still() -> Value {
    json!({ "resolution": { "width": 64, "height": 36 }, "frames": { "start": 1, "end": 1 },
        "engine": "cycles", "samples": 16, "outputFormat": "PNG", "unknown": "ignored" })
}

/// A submission with these text parts beside the scene.
pub(crate) fn order(scene: Vec<u8>, texts: &[(&'static str, String)]) -> Form {
    let scene = Part::bytes(scene).file_name("../odd name.blend");
    let form = Form::new().part("file", scene);
    texts.iter().fold(form, |form, (name, text)| form.text(*name, text.clone()))
}

/// A quote for a small still by this provider.
pub(crate) async fn quote(hub: &Hub, client: &Signer, seller: &Seller) -> Value {
    let texts = [
        ("clientWallet", client.wallet().to_string()),
        ("providerId", seller.id.clone()),
        ("settings", still().to_string()),
        ("unknown", "ignored".to_owned()),
    ];
    let request = hub.ask("POST", "/render").multipart(order(blend(0), &texts));
    hub.call("renderSubmit", request).await.is(402).json()["payment"].clone()
}

/// Sends lamports with a memo; says the transaction's signature.
pub(crate) async fn transfer(
    hub: &Hub,
    from: &Signer,
    to: &str,
    lamports: u64,
    memo: &str,
) -> String {
    let to = to.parse().expect("a wallet");
    let sent = wallet::pay(&hub.machine.ctx.chain, from, &to, Lamports(lamports), memo).await;
    sent.expect("the transfer is confirmed").to_string()
}

pub(crate) async fn claim(hub: &Hub, job: &str, signature: &str) -> Answer {
    let body = json!({ "jobId": job, "txSignature": signature, "unknown": 1 });
    hub.call("renderPay", hub.ask("POST", "/render/pay").json(&body)).await
}

/// Quotes and pays; says the job's id.
pub(crate) async fn paid(hub: &Hub, client: &Signer, seller: &Seller) -> (String, String) {
    let quote = quote(hub, client, seller).await;
    let text = |name: &str| quote[name].as_str().expect("text").to_owned();
    let lamports = text("lamports").parse().expect("a number");
    let signature = transfer(hub, client, &text("payTo"), lamports, &text("memo")).await;
    let answer = claim(hub, &text("jobId"), &signature).await.is(200).json();
    assert_eq!(answer["data"]["status"], "queued");
    (text("jobId"), signature)
}

/// A picture of the ordered size that shows something.
pub(crate) fn picture(lift: u8) -> Vec<u8> {
    let pixel = |x: u32, y: u32| image::Rgb([(x * 3) as u8, (y * 7) as u8, lift]);
    let mut bytes = std::io::Cursor::new(Vec::new());
    let picture = image::RgbImage::from_fn(64, 36, pixel);
    picture.write_to(&mut bytes, image::ImageFormat::Png).expect("a picture can be written");
    bytes.into_inner()
}
