//! Files in parts: begun, cut, gone on with, completed, and used once, by whoever holds the token and by
//! nobody else.

use framefair_app::sweep::Reach;
use framefair_app::{Call, sweep};
use framefair_chain::Signer;
use framefair_domain::time::{HOUR_MS, Timestamp};
use framefair_store::keys;
use framefair_store::rows::UploadRow;
use reqwest::RequestBuilder;
use reqwest::multipart::Form;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::people::{Seller, blend, now_ms, still};
use crate::stage::{Answer, Hub};
use crate::walk::NOBODY;

const PART: usize = 16 << 20;

/// A client in the middle of an upload.
pub(crate) struct Uploading<'a> {
    hub: &'a Hub,
    bytes: Vec<u8>,
    pub(crate) id: String,
    pub(crate) token: String,
}

fn declared(bytes: &[u8]) -> Vec<Value> {
    let parts = bytes.chunks(PART).zip(1..);
    let hash = |part: &[u8]| hex::encode(Sha256::digest(part));
    parts.map(|(part, number)| json!({ "number": number, "sha256": hash(part) })).collect()
}

impl<'a> Uploading<'a> {
    /// Begins with the first so many parts declared; says the hub's answer too.
    pub(crate) async fn begin(
        hub: &'a Hub,
        bytes: Vec<u8>,
        purpose: &str,
        first: usize,
    ) -> (Uploading<'a>, Value) {
        let parts = &declared(&bytes)[..first];
        let body = json!({ "filename": "../odd name.blend", "size": bytes.len(),
            "purpose": purpose, "parts": parts, "unknown": 1 });
        let begun = hub.call("uploadCreate", hub.ask("POST", "/uploads").json(&body)).await.is(201);
        let begun = begun.json()["data"].clone();
        let text = |name: &str| begun[name].as_str().expect("text").to_owned();
        let (id, token) = (text("uploadId"), text("uploadToken"));
        (Uploading { hub, bytes, id, token }, begun)
    }

    pub(crate) async fn put(&self, link: &Value, part: &[u8]) -> u16 {
        let mut put = self.hub.http.put(link["url"].as_str().expect("a link"));
        let headers = link["headers"].as_object().expect("headers").iter();
        // The true length is sent, not the one that was promised.
        for (name, value) in headers.filter(|(name, _)| *name != "content-length") {
            put = put.header(name, value.as_str().expect("text"));
        }
        self.hub.raw(put.body(part.to_vec())).await.status
    }

    fn part(&self, link: &Value) -> &[u8] {
        let number = link["number"].as_u64().expect("a number") as usize;
        self.bytes.chunks(PART).nth(number - 1).expect("a part")
    }

    pub(crate) fn ask(&self, what: &str) -> RequestBuilder {
        self.hub.ask("POST", &format!("/uploads/{}/{what}", self.id))
    }

    pub(crate) async fn parts(&self) -> Value {
        let body = json!({ "parts": declared(&self.bytes) });
        let asked = self.ask("parts").header("x-upload-token", &self.token).json(&body);
        self.hub.call("uploadParts", asked).await.is(200).json()["data"].clone()
    }

    pub(crate) async fn complete(&self) -> Answer {
        let asked = self.ask("complete").header("x-upload-token", &self.token);
        self.hub.call("uploadComplete", asked.json(&json!({ "parts": [] }))).await
    }

    /// Puts whatever is not there, and completes it.
    pub(crate) async fn finish(&self) -> Value {
        let links = self.parts().await["parts"].as_array().expect("links").clone();
        for link in &links {
            assert_eq!(self.put(link, self.part(link)).await, 200, "{link}");
        }
        self.complete().await.is(200).json()["data"].clone()
    }

    /// Sends it as the scene of a job, with this token.
    pub(crate) fn order(&self, wallet: &str, token: Option<&str>) -> RequestBuilder {
        let form = Form::new().text("clientWallet", wallet.to_owned());
        let form = form.text("settings", still().to_string()).text("uploadId", self.id.clone());
        let request = self.hub.ask("POST", "/render").multipart(form);
        match token {
            Some(token) => request.header("x-upload-token", token),
            None => request,
        }
    }
}

/// Every documented answer of the three operations.
pub(crate) async fn walk(hub: &Hub, client: &Signer) {
    let create = |body: Value| hub.call("uploadCreate", hub.ask("POST", "/uploads").json(&body));
    for bad in [
        json!({}),
        json!({ "filename": "a.blend", "size": 0 }),
        json!({ "filename": "a.blend", "size": -1 }),
        json!({ "filename": "a.blend", "size": (2_u64 << 30) + 1 }),
        json!({ "filename": "a.exe", "size": 5 }),
        json!({ "filename": "x".repeat(300) + ".blend", "size": 5 }),
        json!({ "filename": "a.blend", "size": 5, "purpose": "poem" }),
        json!({ "filename": "a.blend", "size": 5, "sha256": "AB" }),
        json!({ "filename": "a.blend", "size": 5, "parts": [{ "number": 1, "sha256": "AB" }] }),
        json!({ "filename": "a.blend", "size": 5, "parts": [{ "number": 2, "sha256": "0".repeat(64) }] }),
        json!({ "filename": "a.blend", "size": 5, "parts": vec![json!({ "number": 1, "sha256": "0".repeat(64) }); 2] }),
    ] {
        create(bad).await.is(400).error();
    }
    let (upload, begun) = Uploading::begin(hub, blend(PART + 99), "scene", 2).await;
    assert_eq!((&begun["partSize"], &begun["received"]), (&json!(PART), &json!([])));
    let links = begun["parts"].as_array().expect("links").clone();
    assert_eq!(links.len(), 2, "a link for each declared part");

    // Another length, or other bytes, are refused by the store itself.
    let mut other = upload.part(&links[1]).to_vec();
    assert_ne!(upload.put(&links[1], &other[1..]).await, 200);
    other[50] ^= 1;
    assert_ne!(upload.put(&links[1], &other).await, 200);
    assert_eq!(upload.put(&links[0], upload.part(&links[0])).await, 200);
    assert!(upload.complete().await.is(400).error().contains("missing: 2"));
    // This is where the line was cut.
    let left = upload.parts().await;
    assert_eq!((&left["received"], &left["complete"]), (&json!([1]), &json!(false)));
    assert_eq!(left["parts"].as_array().map(Vec::len), Some(1), "only what is not there");
    let twice = json!({ "parts": vec![json!({ "number": 1, "sha256": "0".repeat(64) }); 2] });
    let twice = upload.ask("parts").header("x-upload-token", &upload.token).json(&twice);
    hub.call("uploadParts", twice).await.is(400).error();
    let wallet = client.wallet().to_string();
    let early = upload.order(&wallet, Some(&upload.token));
    hub.call("renderSubmit", early).await.is(400).error();

    strangers(hub, &upload, &wallet).await;
    let stored = upload.finish().await;
    let hashes = upload.bytes.chunks(PART).map(Sha256::digest);
    let tree = hashes.fold(Sha256::new(), |tree, hash| tree.chain_update(hash)).finalize();
    assert_eq!(stored["treeSha256"], hex::encode(tree));
    assert_eq!((&stored["size"], &stored["sha256"]), (&json!(PART + 99), &Value::Null));
    assert_eq!(upload.complete().await.is(200).json()["data"], stored, "the same again");
    assert_eq!(upload.parts().await["complete"], true);
    strangers(hub, &upload, &wallet).await;

    let order = || upload.order(&wallet, Some(&upload.token));
    let payment = hub.call("renderSubmit", order()).await.is(402).json()["payment"].clone();
    let job = payment["jobId"].as_str().expect("an id");
    let shown = hub.call("renderStatus", hub.ask("GET", &format!("/render/{job}"))).await.is(200);
    let shown = shown.json()["data"].clone();
    assert_eq!(
        (&shown["fileSize"], &shown["fileName"]),
        (&json!(PART + 99), &json!("odd_name.blend"))
    );
    assert_eq!(shown["fileHash"], Value::Null, "nobody has read it as a whole");
    assert!(hub.call("renderSubmit", order()).await.is(400).error().contains("another job"));
    let both = Form::new().text("clientWallet", wallet.clone()).text("uploadId", upload.id.clone());
    let file = reqwest::multipart::Part::bytes(blend(0)).file_name("a.blend");
    let both = hub.ask("POST", "/render").multipart(both.part("file", file));
    hub.call("renderSubmit", both.header("x-upload-token", &upload.token)).await.is(400).error();
}

/// Who does not hold the token finds nothing, whatever it tries.
async fn strangers(hub: &Hub, upload: &Uploading<'_>, wallet: &str) {
    let (most, last) = upload.token.split_at(upload.token.len() - 1);
    let forged = format!("{most}{}", if last == "0" { "1" } else { "0" });
    for token in [None, Some(""), Some("x"), Some(forged.as_str()), Some(NOBODY)] {
        let asked = |what: &str, body: Value| {
            let asked = upload.ask(what).json(&body);
            token.map_or_else(
                || upload.ask(what).json(&body),
                |token| asked.header("x-upload-token", token),
            )
        };
        let body = json!({ "parts": [] });
        hub.call("uploadParts", asked("parts", body.clone())).await.is(404).error();
        hub.call("uploadComplete", asked("complete", body)).await.is(404).error();
        hub.call("renderSubmit", upload.order(wallet, token)).await.is(404).error();
    }
    let nobody = hub.ask("POST", &format!("/uploads/{NOBODY}/complete"));
    let nobody = nobody.header("x-upload-token", &upload.token).json(&json!({ "parts": [] }));
    hub.call("uploadComplete", nobody).await.is(404).error();
    // A proof is the ingest's to give; from outside it is not even read.
    let proof = format!("{};{};5;00;00;127.0.0.1;{}", now_ms(), upload.id, "0".repeat(64));
    let order = upload.order(wallet, None).header("x-framefair-ingest", proof);
    hub.call("renderSubmit", order).await.is(404).error();
}

/// Somebody who knows the operations and nothing of hashes of parts: they put each part to its url, keep the ETag.
async fn plainly(hub: &Hub, wish: Value, bytes: &[u8], bearer: Option<&str>) -> (String, Answer) {
    let ask = |path: &str| {
        let request = hub.ask("POST", path);
        bearer.map_or_else(|| hub.ask("POST", path), |bearer| request.bearer_auth(bearer))
    };
    let begun = hub.call("uploadCreate", ask("/uploads").json(&wish)).await.is(201).json();
    let text = |name: &str| begun["data"][name].as_str().expect("text").to_owned();
    let (id, token, mut sent) = (text("uploadId"), text("uploadToken"), Vec::new());
    let links = begun["data"]["parts"].as_array().expect("links");
    for (link, part) in links.iter().zip(bytes.chunks(PART)) {
        let put = hub.http.put(link["url"].as_str().expect("a link")).body(part.to_vec());
        let answer = hub.raw(put).await.is(200);
        sent.push(json!({ "number": link["number"], "etag": answer.header("etag") }));
    }
    let complete = ask(&format!("/uploads/{id}/complete")).json(&json!({ "parts": sent }));
    let complete = match bearer {
        Some(_) => complete,
        None => complete.header("x-upload-token", &token),
    };
    (id, hub.call("uploadComplete", complete).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_without_hashes_of_its_parts_is_read_once_when_it_is_complete() {
    let hub = Hub::start().await;
    let bytes = blend(2 * PART + 7);
    let sha256 = hex::encode(Sha256::digest(&bytes));
    let wish =
        |sha256: &str| json!({ "filename": "a.blend", "size": bytes.len(), "sha256": sha256 });
    let (_, stored) = plainly(&hub, wish(&sha256), &bytes, None).await;
    let stored = stored.is(200).json()["data"].clone();
    let hashes = bytes.chunks(PART).map(Sha256::digest);
    let tree = hashes.fold(Sha256::new(), |tree, hash| tree.chain_update(hash)).finalize();
    assert_eq!(
        (&stored["sha256"], &stored["treeSha256"]),
        (&json!(sha256), &json!(hex::encode(tree)))
    );
    let (id, other) = plainly(&hub, wish(&"0".repeat(64)), &bytes, None).await;
    assert!(other.is(400).error().contains(&sha256));
    // What it was is noted, so that nobody has it read again and again; and it is of no use.
    let number = id.parse().expect("an id");
    let row = hub.machine.ctx.store.get::<UploadRow>(&keys::upload(number)).await;
    assert!(row.expect("the table").is_some_and(|row| row.done.is_some()));
    let token = hub.machine.ctx.upload_secret().expect("a secret").token(number);
    let again = hub.ask("POST", &format!("/uploads/{id}/complete")).json(&json!({ "parts": [] }));
    let again = hub.call("uploadComplete", again.header("x-upload-token", &token)).await;
    assert!(again.is(400).error().contains(&sha256));
    let form = Form::new().text("clientWallet", Seller::new(9).wallet).text("uploadId", id);
    let order = hub.ask("POST", "/render").multipart(form).header("x-upload-token", token);
    hub.call("renderSubmit", order).await.is(400).error();
    // One part, exactly full, and no hash at all.
    let full = blend(PART);
    let wish = json!({ "filename": "a.blend", "size": full.len() });
    let stored = plainly(&hub, wish, &full, None).await.1.is(200).json()["data"].clone();
    let tree = hex::encode(Sha256::digest(Sha256::digest(&full)));
    assert_eq!(stored["treeSha256"], tree);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_with_a_bearer_is_of_use_to_that_account_alone() {
    let hub = Hub::start().await;
    let account = async |email: &str| {
        let body = json!({ "email": email, "name": "Somebody", "password": "correct horse" });
        let made = hub.ask("POST", "/api/v1/auth/register").json(&body);
        let made = hub.raw(made).await.is(201).json();
        made["tokens"]["access_token"].as_str().expect("text").to_owned()
    };
    let (ada, eve) = (account("ada@example.com").await, account("eve@example.com").await);
    let wish = json!({ "filename": "model.onnx", "size": 3, "purpose": "asset" });
    let stranger = hub.ask("POST", "/uploads").bearer_auth("x.y.z").json(&wish);
    hub.raw(stranger).await.is(401).error();
    let (id, stored) = plainly(&hub, wish, b"abc", Some(&ada)).await;
    stored.is(200);
    let complete =
        hub.ask("POST", &format!("/uploads/{id}/complete")).json(&json!({ "parts": [] }));
    hub.call("uploadComplete", complete.bearer_auth(&eve)).await.is(404).error();
    let dispatch = async |who: &str| {
        let body = json!({ "job_type": "echo", "payload_ref": format!("upload:{id}") });
        hub.raw(hub.ask("POST", "/api/v1/jobs/dispatch").bearer_auth(who).json(&body)).await
    };
    // There is no node: the payload is looked at before.
    assert_eq!((dispatch(&ada).await.status, dispatch(&eve).await.status), (400, 422));
    hub.stop().await;
}

/// How many files the store has on disk.
fn on_disk(hub: &Hub) -> usize {
    let folder = hub.data().join("cloud/s3/framefair");
    std::fs::read_dir(folder).expect("the store's folder").count()
}

async fn swept(hub: &Hub, at_ms: i64) {
    let mut call = Call::new(Timestamp(at_ms), [7; 32]);
    sweep::sweep(&hub.machine.ctx, &mut call, Reach::Due).await.expect("a sweep");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_uses_is_swept_from_the_table_and_the_disk() {
    let hub = Hub::start().await;
    let seller = Seller::new(1).register(&hub, &[]).await;
    seller.set(&hub, "online").await.is(200);
    let empty = on_disk(&hub);

    let (half, _) = Uploading::begin(&hub, blend(PART + 5), "scene", 0).await;
    let link = half.parts().await["parts"][0].clone();
    assert_eq!(half.put(&link, half.part(&link)).await, 200);
    let (whole, _) = Uploading::begin(&hub, blend(5_000_000), "scene", 0).await;
    whole.finish().await;
    let (result, _) = Uploading::begin(&hub, vec![7; 1_000], "result", 0).await;
    result.finish().await;
    let (used, _) = Uploading::begin(&hub, blend(5_000_000), "scene", 0).await;
    used.finish().await;
    let client = Seller::new(9);
    let order = used.order(&client.wallet, Some(&used.token));
    let quoted = hub.call("renderSubmit", order).await.is(402).json();
    let job = quoted["payment"]["jobId"].as_str().expect("an id").to_owned();
    let (timestamp, nonce) = (now_ms(), "0123456789abcdef");
    let signature = client.sign(&format!("cancel:{job}:{timestamp}:{nonce}"));
    let body = json!({ "signature": signature, "timestamp": timestamp, "nonce": nonce });
    let cancel = hub.ask("POST", &format!("/render/{job}/cancel")).json(&body);
    hub.call("renderCancel", cancel).await.is(200);
    assert_eq!(on_disk(&hub), empty + 4);

    let now = now_ms();
    swept(&hub, now + 24 * HOUR_MS).await;
    assert_eq!(on_disk(&hub), empty + 3, "links may be good for a while after the upload is over");
    for _ in 0..3 {
        swept(&hub, now + 26 * HOUR_MS).await;
    }
    assert_eq!(on_disk(&hub), empty, "nothing is left");
    for upload in [&half, &whole, &result] {
        upload.complete().await.is(404).error();
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_room_for_five_gibibytes_and_gets_it_back() {
    let hub = Hub::start().await;
    let gib = 1_u64 << 30;
    let create = |size: u64| {
        let body = json!({ "filename": "a.blend", "size": size });
        hub.call("uploadCreate", hub.ask("POST", "/uploads").json(&body))
    };
    create(2 * gib).await.is(201);
    create(2 * gib).await.is(201);
    let refused = create(2 * gib).await.is(400);
    assert_eq!(refused.json()["code"], "quota_full");
    create(gib).await.is(201);
    assert_eq!(create(1).await.is(400).json()["code"], "quota_full");
    swept(&hub, now_ms() + 26 * HOUR_MS).await;
    create(2 * gib).await.is(201);
    hub.stop().await;
}
