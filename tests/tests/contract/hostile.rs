//! Input that no client of good will sends: each is a 400 in the envelope, and nothing is a 500. And a
//! chain that is gone, which alone is. A table that is gone is no fault of who knocks, either.

use axum::body::Bytes;
use framefair_app::Ctx;
use framefair_chain::{Chain, Config, Seam};
use framefair_http::Api;
use framefair_outbound::{Outbound, Reach};
use framefair_relay::Relay;
use framefair_store::Store;
use futures::{StreamExt, stream};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::people::{Seller, blend, buyer, claim, knock_at, now_ms, order, quote};
use crate::stage::{Answer, Hub};

const JOB: &str = "0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001";

#[tokio::test(flavor = "multi_thread")]
async fn malformed_json_is_a_400_of_the_envelope() {
    let hub = Hub::start().await;
    let deep = "[".repeat(100_000);
    let long = format!(r#"{{"jobId":"{}"}}"#, "x".repeat((1 << 20) + 10));
    let bodies: [&[u8]; 9] = [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\"text\"",
        b"{\"jobId\":1}",
        b"\xff\xfe{}",
        deep.as_bytes(),
        long.as_bytes(),
    ];
    for (id, method, path) in [
        ("renderPay", "POST", "/render/pay".to_owned()),
        ("renderCancel", "POST", format!("/render/{JOB}/cancel")),
        ("providerRegister", "POST", "/provider/register".to_owned()),
        ("providerStatus", "PUT", "/provider/status".to_owned()),
        ("providerPricing", "PUT", "/provider/pricing".to_owned()),
        ("providerFailed", "POST", format!("/provider/job/{JOB}/failed")),
    ] {
        for body in bodies {
            hub.call(id, hub.ask(method, &path).body(body.to_vec())).await.is(400).error();
        }
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_forms_are_a_400_of_the_envelope() {
    let hub = Hub::start().await;
    let part = |name: &str, body: &str| {
        format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{body}\r\n")
    };
    let file = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.blend\"\r\n\r\nBLENDER\r\n";
    let result = file.replace("\"file\"", "\"result\"");
    let form = "multipart/form-data; boundary=x";
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("", Vec::new()),
        ("application/json", b"{}".to_vec()),
        ("multipart/form-data", b"--x--\r\n".to_vec()),
        (form, Vec::new()),
        (form, b"--x--\r\n".to_vec()),
        (form, b"no parts at all".to_vec()),
        (form, b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\ncut".to_vec()),
        (form, [file, file, "--x--\r\n"].concat().into_bytes()),
        (form, [result.as_str(), result.as_str(), "--x--\r\n"].concat().into_bytes()),
        (form, [part("settings", "{}"), part("settings", "{}"), "--x--\r\n".into()].concat().into_bytes()),
        (form, [part("settings", &"x".repeat(70_000)), "--x--\r\n".into()].concat().into_bytes()),
        (form, [(0..50).map(|n| part(&format!("p{n}"), "")).collect(), "--x--\r\n".to_owned()].concat().into_bytes()),
        (form, [b"--x\r\nContent-Disposition: form-data; name=\"settings\"\r\n\r\n\xff\xfe\r\n--x--\r\n".as_slice()].concat()),
        (form, b"--x\r\nContent-Disposition: form-data\r\n\r\nnameless\r\n--x--\r\n".to_vec()),
    ];
    for (kind, body) in cases {
        let complete = format!("/provider/job/{JOB}/complete");
        for (id, path) in [("renderSubmit", "/render"), ("providerComplete", complete.as_str())] {
            let request = hub.ask("POST", path).header("content-type", kind).body(body.clone());
            hub.call(id, request).await.is(400).error();
        }
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_out_of_range_are_a_400_that_names_the_member() {
    let hub = Hub::start().await;
    let seller = Seller::new(1).register(&hub, &["frames"]).await;
    seller.set(&hub, "online").await.is(200);
    let size = |width: &str, height: &str| {
        format!(r#"{{"resolution":{{"width":{width},"height":{height}}}}}"#)
    };
    let frames =
        |start: &str, end: &str| format!(r#"{{"frames":{{"start":{start},"end":{end}}}}}"#);
    let one = |name: &str, value: &str| format!(r#"{{"{name}":{value}}}"#);
    let cases = [
        (size("0", "1"), "resolution"),
        (size("-1", "1"), "resolution"),
        (size("1", "16385"), "resolution"),
        (size("99999999999999999999", "1"), "settings"),
        (size("1.5", "1"), "settings"),
        (size("1e5", "1"), "resolution"),
        (size("\"64\"", "1"), "settings"),
        (size("NaN", "1"), "settings"),
        (one("resolution", "[]"), "settings"),
        (frames("2", "1"), "frames"),
        (frames("1", "100001"), "frames"),
        (frames("-9223372036854775808", "9223372036854775807"), "frames"),
        (frames("-2147483649", "-2147483649"), "frames"),
        (frames("1", "null"), "settings"),
        (one("samples", "0"), "samples"),
        (one("samples", "-1"), "samples"),
        (one("samples", "65537"), "samples"),
        (one("engine", "\"povray\""), "engine"),
        (one("engine", "\"\""), "engine"),
        (one("engine", "\"cycles; rm -rf /\""), "engine"),
        (one("outputFormat", "\"GIF\""), "outputFormat"),
        (one("outputFormat", "\"../PNG\""), "outputFormat"),
        (one("samples", "16,\"samples\":16"), "settings"),
        ("[".repeat(60_000), "settings"),
        ("null".to_owned(), "settings"),
    ];
    for (settings, member) in cases {
        let texts = [("clientWallet", Seller::new(9).wallet), ("settings", settings.clone())];
        let request = hub.ask("POST", "/render").multipart(order(blend(0), &texts));
        let error = hub.call("renderSubmit", request).await.is(400).error();
        assert!(error.contains(member), "{settings:.80}: {error}");
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn base58_that_is_none_is_a_400_of_the_envelope() {
    let hub = Hub::start().await;
    let seller = Seller::new(1).register(&hub, &["frames"]).await;
    seller.set(&hub, "online").await.is(200);
    let job = quote(&hub, &buyer(&hub, 101).await, &seller).await;
    let job = job["jobId"].as_str().expect("an id");
    let good = seller.wallet.clone();
    let off_the_curve = bs58::encode([[2; 1].as_slice(), &[0; 31]].concat()).into_string();
    for (what, wallet) in [
        ("nothing", String::new()),
        ("a blank", " ".to_owned()),
        ("letters that base58 has not", format!("0OIl{}", &good[4..])),
        ("a byte too few", bs58::encode([7; 31]).into_string()),
        ("a byte too many", bs58::encode([7; 33]).into_string()),
        ("zeroes too many", "1".repeat(33)),
        ("a blank inside", format!("{} {}", &good[..4], &good[4..])),
        ("hexadecimal", hex::encode([7; 32])),
        ("not even ASCII", "ß".repeat(22)),
        ("a NUL", format!("{good}\0")),
        ("a program's address", off_the_curve),
        ("long", "z".repeat(60_000)),
    ] {
        let texts = [("clientWallet", wallet.clone())];
        let request = hub.ask("POST", "/render").multipart(order(blend(0), &texts));
        let answer = hub.call("renderSubmit", request).await;
        assert_eq!(answer.status, 400, "{what}: {}", answer.error());
        let mut body = seller.registration("Oak", &[]);
        body["wallet"] = json!(wallet);
        let request = hub.ask("POST", "/provider/register").json(&body);
        let answer = hub.call("providerRegister", request).await;
        assert_eq!(answer.status, 400, "{what}: {}", answer.error());
        // No wallet is the name of a transaction, either.
        for signature in [&wallet, &good] {
            let answer = claim(&hub, job, signature).await;
            assert_eq!((answer.status, answer.error().is_empty()), (400, false), "{what}");
        }
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_is_gone_is_a_500_that_consumed_nothing() {
    let hub = Hub::start().await;
    let seller = Seller::new(1).register(&hub, &[]).await;
    seller.set(&hub, "online").await.is(200);
    let client = buyer(&hub, 101).await;
    let due = quote(&hub, &client, &seller).await;

    // The same table behind a chain that is reached through a wire, and the wire is cut.
    let rpc = hub.machine.ports.rpc;
    let wire = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let rpc_url = format!("http://{}", wire.local_addr().expect("an address"));
    let carrying = tokio::spawn(async move {
        let mut calls = tokio::task::JoinSet::new();
        while let Ok((mut near, _)) = wire.accept().await {
            let mut far = TcpStream::connect(("127.0.0.1", rpc)).await.expect("the chain");
            calls.spawn(
                async move { drop(tokio::io::copy_bidirectional(&mut near, &mut far).await) },
            );
        }
    });
    let config = Config { rpc_url, second_rpc_url: None, genesis_hash: None, timeout_ms: 5_000 };
    let chain = Chain::connect(config, Seam::default()).await.expect("the chain through the wire");
    let Ctx { store, platform, .. } = hub.machine.ctx.clone();
    let ctx = Ctx::new(store, chain, platform);
    carrying.abort();
    drop(carrying.await);
    let router = framefair_market::SURFACE.whole(Api::new(ctx));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let beside = format!("http://{}", listener.local_addr().expect("an address"));
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });

    let body = json!({ "jobId": due["jobId"], "txSignature": bs58::encode([7; 64]).into_string() });
    let request = hub.http.post(format!("{beside}/render/pay")).json(&body);
    let answer: Answer = hub.call("renderPay", request).await.is(500);
    assert_eq!(answer.json()["code"], "chain_unreachable");
    let job = due["jobId"].as_str().expect("text");
    let job =
        hub.call("renderStatus", hub.ask("GET", &format!("/render/{job}"))).await.is(200).json();
    assert_eq!(job["data"]["status"], "pending_payment");
    serving.abort();
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_without_its_boundary_is_given_up_early_and_a_path_of_a_socket_says_what_it_is() {
    let hub = Hub::start().await;
    let send = async |head: &str| {
        let piece = Bytes::from(vec![b'x'; 256 << 10]);
        let pieces = stream::iter((0..40).map(move |_| Ok::<_, std::io::Error>(piece.clone())));
        let head = stream::iter([Ok(Bytes::from(head.to_owned()))]);
        let body = reqwest::Body::wrap_stream(head.chain(pieces));
        let form = hub.ask("POST", "/render").body(body);
        hub.raw(form.header("content-type", "multipart/form-data; boundary=b")).await
    };
    for head in ["", "--b\r\ncontent-disposition: form-data; name=\""] {
        let error = send(head).await.is(400).error();
        assert!(error.contains("no boundary, or a part with a very long head"), "{error}");
    }
    for path in ["/ws", "/hub/ws"] {
        for verb in ["GET", "POST"] {
            let error = hub.raw(hub.ask(verb, path)).await.is(426).error();
            assert!(error.contains("WebSocket"), "{error}");
        }
    }
    let creators = hub.raw(hub.ask("GET", "/api/v1/relay/ws/x")).await.is(426).json();
    assert!(creators["detail"].as_str().is_some_and(|detail| detail.contains("WebSocket")));
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_is_not_called_unauthorized_for_a_table_that_is_gone() {
    let hub = Hub::start().await;
    let seller = Seller::new(1).register(&hub, &["relay"]).await;
    // A relay of the same market, whose table nobody serves.
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", gone.local_addr().expect("an address"));
    drop(gone);
    let config = framefair_store::Config::local(&url, "key", "secret");
    let store = Store::open(config, framefair_store::Seam::off()).expect("a client");
    let Ctx { chain, platform, .. } = hub.machine.ctx.clone();
    let ctx = Ctx::new(store, chain, platform);
    let outbound = Outbound::new(Reach::default()).expect("a client");
    let relay = Relay::new(ctx, outbound, 0, CancellationToken::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let at = listener.local_addr().expect("an address");
    let serving = tokio::spawn(async move { axum::serve(listener, relay.router(None)).await });
    let now = now_ms();
    let signature = seller.sign(&format!("ws:{}:{now}", seller.id));
    assert_eq!(knock_at(at, &seller.id, now, &signature).await, Some(1013));
    // What it never knew is not used up.
    assert_eq!(knock_at(hub.machine.hub, &seller.id, now, &signature).await, None);
    serving.abort();
    hub.stop().await;
}
