//! One walk through the whole contract on one hub: whatever it documents is brought about. What cannot
//! be without a broken chain or with limits off is listed, and tested beside.

use framefair_chain::Signer;
use reqwest::header::HOST;
use serde_json::{Value, json};

use crate::people::{
    Seller, blend, buyer, claim, now_ms, order, paid, pricing, quote, still, transfer,
};
use crate::stage::Hub;
use crate::{uploads, work};

pub(crate) const NOBODY: &str = "0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001";

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_answer_is_given_by_the_live_hub() {
    let hub = Hub::start().await;
    public(&hub).await;
    let seller = providers(&hub).await;
    let client = buyer(&hub, 101).await;
    submissions(&hub, &client, &seller).await;
    payments(&hub, &client, &seller).await;
    uploads::walk(&hub, &client).await;
    work::finished(&hub, &client).await;
    // It would be asked, too, whether the scene is at fault.
    seller.set(&hub, "offline").await.is(200);
    work::failed(&hub, &client).await;
    let unseen = hub.unseen();
    let elsewhere = |(id, status): &(String, u16)| {
        // Limits are off here, see rates.rs; the chain is up, see hostile.rs.
        *status == 429 || (id == "renderPay" && *status == 500)
    };
    let forgotten: Vec<_> = unseen.iter().filter(|answer| !elsewhere(answer)).collect();
    assert!(forgotten.is_empty(), "documented, and not brought about: {forgotten:?}");
    hub.stop().await;
}

async fn public(hub: &Hub) {
    for request in
        [hub.ask("GET", "/hub/health"), hub.ask("GET", "/health").header(HOST, "hub.example.com")]
    {
        let health = hub.call("health", request).await.is(200).json();
        assert_eq!(
            (&health["status"], &health["service"]),
            (&json!("ok"), &json!("framefair-hub"))
        );
    }
    let health = hub.raw(hub.ask("GET", "/health")).await.is(200).json();
    assert_eq!((&health["status"], &health["service"]), (&json!("healthy"), &json!("framefair")));

    for path in ["/stats", "/hub/stats"] {
        let stats = hub.call("stats", hub.ask("GET", path)).await.is(200);
        assert_eq!(stats.header("access-control-allow-origin"), "*");
        assert_eq!(stats.json()["data"]["totalProviders"], 0);
    }
    let list = hub.call("providersList", hub.ask("GET", "/providers")).await.is(200).json();
    assert_eq!(list["data"], json!({ "providers": [], "total": 0 }));
    for query in ["status=asleep", "status=", "status=online&status=busy"] {
        let request = hub.ask("GET", &format!("/providers?{query}"));
        hub.call("providersList", request).await.is(400).error();
    }
    for id in [NOBODY, "7", "%2e%2e"] {
        let request = hub.ask("GET", &format!("/providers/{id}"));
        assert_eq!(hub.call("providerGet", request).await.is(404).error(), "Not found");
    }
    let wallet = Seller::new(9).wallet;
    let form = order(blend(0), &[("clientWallet", wallet)]);
    let answer = hub.call("renderSubmit", hub.ask("POST", "/render").multipart(form)).await.is(503);
    assert!(answer.error().starts_with("No providers available"), "{}", answer.error());
}

/// Registration, status and prices, each with what it refuses. Ends with one provider online.
async fn providers(hub: &Hub) -> Seller {
    let register = |body: Value| async move {
        hub.call("providerRegister", hub.ask("POST", "/provider/register").json(&body)).await
    };
    let seller = Seller::new(1).register(hub, &["frames"]).await;
    let again = register(seller.registration("Oak", &["frames"])).await.is(200).json();
    assert_eq!(again["data"]["providerId"], seller.id, "one provider per wallet");
    for (pointer, bad) in [
        ("/name", json!("")),
        ("/name", json!("x".repeat(101))),
        ("/wallet", json!("0OIl")),
        ("/wallet", json!("111")),
        ("/endpoint", json!("ftp://example.com")),
        ("/endpoint", json!("https://user:pass@example.com")),
        ("/spec/gpuCount", json!(-1)),
        ("/spec/maxFileSize", json!("500")),
        ("/pricing/currency", json!("USD")),
        ("/pricing/pricePerFrame", json!(-0.1)),
        ("/pricing/pricePerFrame", json!(1001)),
        ("/pricing", json!(null)),
        ("/timestamp", json!(1)),
    ] {
        let mut body = seller.registration("Oak", &[]);
        body["timestamp"] = Value::Null;
        *body.pointer_mut(pointer).expect("a member") = bad.clone();
        let answer = register(body).await;
        // A half nonce and a foreign text are faults of the signature.
        let status = if pointer == "/timestamp" { 401 } else { 400 };
        assert_eq!(answer.status, status, "{pointer} {bad}: {}", answer.error());
    }
    let mut forged = seller.registration("Oak", &[]);
    forged["name"] = json!("Another");
    assert_eq!(register(forged).await.is(401).error(), "Invalid signature");

    for status in ["online", "busy", "maintenance", "offline", "online"] {
        assert_eq!(seller.set(hub, status).await.is(200).json()["data"]["status"], status);
        let one = hub.ask("GET", &format!("/providers/{}", seller.id));
        let one = hub.call("providerGet", one).await.is(200).json();
        assert_eq!(one["data"]["status"], status);
        let list = hub.ask("GET", &format!("/hub/providers?status={status}&unknown=1"));
        let list = hub.call("providersList", list).await.is(200).json();
        assert_eq!(
            (&list["data"]["total"], &list["data"]["providers"][0]),
            (&json!(1), &one["data"])
        );
    }
    seller.set(hub, "asleep").await.is(400).error();
    let put = |path: &'static str, body: Value| hub.ask("PUT", path).json(&body);
    let stranger = Seller::new(2);
    let signature = stranger.sign(&format!("status:{}:offline", seller.id));
    let body = json!({ "providerId": seller.id, "status": "offline", "signature": signature });
    hub.call("providerStatus", put("/provider/status", body)).await.is(401).error();
    let body = json!({ "providerId": NOBODY, "status": "offline", "signature": signature });
    hub.call("providerStatus", put("/provider/status", body)).await.is(404).error();

    // Signed over the raw text, blanks and all.
    let raw = r#"{ "pricePerFrame":0.0010,"pricePerSecond" : 0.0001, "pricePerGb":0.010,
        "minimumPrice":0.005,"currency":"SOL","unknown":[] }"#;
    seller.ask(hub, raw).await.is(200);
    seller.ask(hub, &pricing().to_string()).await.is(200);
    seller.ask(hub, r#"{"pricePerFrame":1}"#).await.is(400).error();
    // As programs write small numbers by themselves.
    seller.ask(hub, &raw.replace("0.0010", "1e-7")).await.is(200);
    seller.ask(hub, &raw.replace("0.0010", "-1")).await.is(400).error();
    let body = json!({ "providerId": seller.id, "pricing": pricing(), "signature": signature });
    hub.call("providerPricing", put("/provider/pricing", body)).await.is(401).error();
    let body = json!({ "providerId": NOBODY, "pricing": pricing(), "signature": signature });
    hub.call("providerPricing", put("/provider/pricing", body)).await.is(404).error();
    seller
}

async fn submissions(hub: &Hub, client: &Signer, seller: &Seller) {
    let wallet = client.wallet().to_string();
    let send = |form| hub.call("renderSubmit", hub.ask("POST", "/render").multipart(form));
    let payment = quote(hub, client, seller).await;
    assert_eq!(payment["price"], payment["breakdown"]["total"]);
    assert_eq!(payment["memo"], format!("rayment:{}", payment["jobId"].as_str().expect("text")));
    assert_eq!(payment["payTo"], hub.machine.escrow.to_string());
    let lives = payment["expiresAt"].as_i64().expect("a time") - now_ms();
    assert!((840_000..=900_000).contains(&lives), "{lives}");

    let bare = order(blend(0), &[("clientWallet", wallet.clone())]);
    send(bare).await.is(402);
    let without = |name: &str| {
        let texts = [("clientWallet", wallet.clone()), ("settings", still().to_string())];
        texts.into_iter().filter(|(part, _)| *part != name).collect::<Vec<_>>()
    };
    send(order(blend(0), &without("clientWallet"))).await.is(400).error();
    send(order(Vec::new(), &without(""))).await.is(400).error();
    let no_file = reqwest::multipart::Form::new().text("clientWallet", wallet.clone());
    send(no_file).await.is(400).error();
    for (name, bad, status) in [
        ("clientWallet", "nobody", 400),
        ("settings", "{", 400),
        ("settings", r#"{"frames":{"start":8,"end":1}}"#, 400),
        ("settings", r#"{"frames":{"start":1,"end":100001}}"#, 400),
        ("settings", r#"{"resolution":{"width":0,"height":1}}"#, 400),
        ("settings", r#"{"engine":"povray"}"#, 400),
        ("settings", r#"{"engine":"eevee"}"#, 503),
        ("maxPrice", "1e3", 400),
        ("maxPrice", "0.000001", 503),
        ("providerId", NOBODY, 404),
        ("providerId", "nobody", 404),
    ] {
        let mut texts = without(name);
        texts.push((name, bad.to_owned()));
        let answer = send(order(blend(0), &texts)).await;
        assert_eq!(answer.status, status, "{name} {bad}: {}", answer.error());
    }
    let noise = reqwest::multipart::Part::bytes(vec![9; 100]).file_name("scene.exe");
    let form =
        reqwest::multipart::Form::new().part("file", noise).text("clientWallet", wallet.clone());
    send(form).await.is(400).error();

    private(hub, &without("")).await;

    seller.set(hub, "offline").await.is(200);
    let named = [("clientWallet", wallet.clone()), ("providerId", seller.id.clone())];
    send(order(blend(0), &named)).await.is(503).error();
    seller.set(hub, "online").await.is(200);
    let mut unable = named.to_vec();
    unable.push(("settings", r#"{"engine":"eevee"}"#.to_owned()));
    send(order(blend(0), &unable)).await.is(400).error();
}

/// A private job is missing for whoever does not show its token.
async fn private(hub: &Hub, texts: &[(&'static str, String)]) {
    let ask = |private: &str| {
        let mut texts = texts.to_vec();
        texts.push(("private", private.to_owned()));
        hub.call("renderSubmit", hub.ask("POST", "/render").multipart(order(blend(0), &texts)))
    };
    ask("perhaps").await.is(400).error();
    assert_eq!(ask("false").await.is(402).json()["payment"].get("accessToken"), None);
    let payment = ask("true").await.is(402).json()["payment"].take();
    let (job, token) = (&payment["jobId"], &payment["accessToken"]);
    let (job, token) = (job.as_str().expect("an id"), token.as_str().expect("a token"));
    assert_eq!(token.len(), 64, "{token}");
    for path in [format!("/render/{job}"), format!("/render/{job}/result")] {
        let id = if path.ends_with("result") { "renderResult" } else { "renderStatus" };
        let missing = hub.call(id, hub.ask("GET", &format!("/render/{NOBODY}"))).await.is(404);
        let with = |token: Option<&str>| {
            let request = hub.ask("GET", &path);
            let request = token.map_or(hub.ask("GET", &path), |token| request.bearer_auth(token));
            hub.call(id, request)
        };
        for wrong in [None, Some("x"), Some(&token[1..]), Some(job)] {
            assert_eq!(with(wrong).await.is(404).bytes, missing.bytes, "{wrong:?}");
        }
        let known = if id == "renderResult" { 402 } else { 200 };
        with(Some(token)).await.is(known);
    }
}

async fn payments(hub: &Hub, client: &Signer, seller: &Seller) {
    let status = |job: &str| hub.call("renderStatus", hub.ask("GET", &format!("/render/{job}")));
    let due = quote(hub, client, seller).await;
    let text = |name: &str| due[name].as_str().expect("text").to_owned();
    let (job, pay_to, memo) = (text("jobId"), text("payTo"), text("memo"));
    let lamports: u64 = text("lamports").parse().expect("a number");
    let seen = status(&job).await.is(200).json();
    assert_eq!(seen["data"]["status"], "pending_payment");
    assert_eq!(seen["data"]["paymentStatus"], "pending");
    assert_eq!(seen["data"]["fileName"], "odd_name.blend");
    assert!(seen["data"].get("paymentTx").is_none() && seen["data"].get("startedAt").is_none());

    let never = bs58::encode([7; 64]).into_string();
    claim(hub, NOBODY, &never).await.is(404);
    claim(hub, "7", &never).await.is(404);
    assert_eq!(claim(hub, &job, "abc").await.is(400).json()["code"], "bad_signature");
    assert_eq!(claim(hub, &job, &never).await.is(402).error(), "Payment not found yet");
    let other = buyer(hub, 102).await;
    let elsewhere = Seller::new(200).wallet;
    for (code, from, to, amount, memo) in [
        ("wrong_recipient", client, elsewhere.as_str(), lamports, memo.as_str()),
        ("wrong_payer", &other, pay_to.as_str(), lamports, memo.as_str()),
        ("underpaid", client, pay_to.as_str(), lamports - 1, memo.as_str()),
        ("memo_mismatch", client, pay_to.as_str(), lamports, "rayment:another"),
    ] {
        let signature = transfer(hub, from, to, amount, memo).await;
        let answer = claim(hub, &job, &signature).await.is(400).json();
        let said = answer["code"].as_str().unwrap_or_default().to_owned();
        assert_eq!(said, code, "{answer}");
    }

    let (first, signature) = paid(hub, client, seller).await;
    let seen = status(&first).await.is(200).json();
    assert_eq!(
        (&seen["data"]["status"], &seen["data"]["paymentTx"]),
        (&json!("queued"), &json!(signature))
    );
    assert_eq!(seen["data"]["paymentStatus"], "confirmed");
    let again = claim(hub, &first, &signature).await.is(200).json();
    assert_eq!(again["data"]["message"], "Payment confirmed, render queued");
    assert_eq!(claim(hub, &first, &never).await.is(400).json()["code"], "job_not_payable");
    let second = quote(hub, client, seller).await;
    let second = second["jobId"].as_str().expect("text").to_owned();
    assert_eq!(claim(hub, &second, &signature).await.is(400).json()["code"], "signature_used");

    let result =
        |job: &str| hub.call("renderResult", hub.ask("GET", &format!("/render/{job}/result")));
    result(&second).await.is(402).error();
    result(NOBODY).await.is(404).error();
    assert_eq!(result(&first).await.is(400).error(), "Job is not completed");
    status(NOBODY).await.is(404).error();
    cancel(hub, client, &second).await;
    assert_eq!(status(&second).await.is(200).json()["data"]["status"], "cancelled");
    assert_eq!(claim(hub, &second, &never).await.is(400).json()["code"], "job_not_payable");
}

async fn cancel(hub: &Hub, client: &Signer, job: &str) {
    // The client's key is a test's: its secret is its seed.
    let owner = Seller::new(101);
    assert_eq!(owner.wallet, client.wallet().to_string());
    let send = |who: &Seller, job: &str, nonce: &str| {
        let timestamp = now_ms();
        let signature = who.sign(&format!("cancel:{job}:{timestamp}:{nonce}"));
        let body = json!({ "signature": signature, "timestamp": timestamp, "nonce": nonce });
        hub.call("renderCancel", hub.ask("POST", &format!("/render/{job}/cancel")).json(&body))
    };
    send(&Seller::new(3), job, "0123456789abcdef").await.is(401).error();
    send(&owner, NOBODY, "0123456789abcdef").await.is(404).error();
    let empty = hub.ask("POST", &format!("/render/{job}/cancel")).json(&json!({}));
    hub.call("renderCancel", empty).await.is(400).error();
    for nonce in ["0123456789abcdef", "0123456789abcdeg"] {
        let answer = send(&owner, job, nonce).await.is(200).json();
        assert_eq!(
            answer["data"],
            json!({ "jobId": job, "status": "cancelled", "refundTx": null })
        );
    }
}
