//! Endpoints that lead inside: refused at registration where the text tells, and never dialled where
//! only the name's addresses do.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use framefair_local::Providers;
use framefair_outbound::{Lookup, NotReady, Outbound, Reach};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::people::{Seller, buyer, paid};
use crate::stage::{Hub, until};

/// A port of this machine on which everybody who comes is counted.
async fn trap() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let caught = Arc::new(AtomicUsize::new(0));
    let counted = caught.clone();
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    (port, caught)
}

/// A provider's port that sends everybody on to `to`.
async fn redirecting(to: u16) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                // What is asked is read, so that the answer is.
                let mut bytes = vec![0; 64 << 10];
                let quiet = Duration::from_secs(1);
                drop(socket.read(&mut bytes).await);
                while let Ok(Ok(1..)) = timeout(quiet, socket.read(&mut bytes)).await {}
                let answer = format!(
                    "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:{to}/render\r\n\
                     content-length: 0\r\nconnection: close\r\n\r\n"
                );
                drop(socket.write_all(answer.as_bytes()).await);
            });
        }
    });
    port
}

async fn register(hub: &Hub, body: &Value) -> crate::stage::Answer {
    hub.call("providerRegister", hub.ask("POST", "/provider/register").json(body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_leads_inside_is_refused_in_words_of_its_own() {
    let hub = Hub::start().await;
    let (port, caught) = trap().await;
    let seller = Seller::new(1);
    for (host, word) in [
        ("127.0.0.1", "loopback"),
        ("localhost", "inside a network"),
        ("vm", "inside a network"),
        ("render.internal", "inside a network"),
        ("169.254.169.254", "link-local"),
        ("169.254.170.2", "link-local"),
        ("[::ffff:127.0.0.1]", "IPv6 form"),
        ("[::1]", "loopback"),
        ("[64:ff9b::7f00:1]", "NAT64"),
        ("[64:ff9b:1::7f00:1]", "NAT64"),
        ("[2002:7f00:1::]", "6to4"),
        ("[fd00::1]", "private"),
        ("100.64.0.1", "carrier"),
        ("10.0.0.1", "private"),
        ("0.0.0.0", "unspecified"),
        ("2130706433", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("user@example.com", "user name"),
    ] {
        let mut body = seller.registration("Oak", &["frames"]);
        body["endpoint"] = json!(format!("http://{host}:{port}/x"));
        let error = register(&hub, &body).await.is(400).error();
        assert!(error.starts_with("endpoint: ") && error.contains(word), "{host}: {error}");
    }
    for (endpoint, word) in [
        ("ftp://example.com", "http"),
        ("http://example.com:25", "port 25"),
        ("http://example.com/?a=b", "query"),
        ("http://example.com/#a", "query"),
        ("http://example.com\\@127.0.0.1", "backslash"),
        (&format!("http://example.com/{}", "x".repeat(300)), "300"),
    ] {
        let mut body = seller.registration("Oak", &[]);
        body["endpoint"] = json!(endpoint);
        let error = register(&hub, &body).await.is(400).error();
        assert!(error.starts_with("endpoint: ") && error.contains(word), "{endpoint}: {error}");
    }
    // One that gets its tasks over its socket names the hub itself, and is never dialled.
    let mut body = seller.registration("Oak", &["relay"]);
    body["endpoint"] = json!(format!("http://127.0.0.1:{port}"));
    register(&hub, &body).await.is(200);
    // It cannot become one that is dialled there.
    body["spec"]["features"] = json!([]);
    register(&hub, &body).await.is(400).error();
    assert_eq!(caught.load(Ordering::SeqCst), 0);
    hub.stop().await;
}

/// Every name leads to this machine.
struct Rebound;

impl Lookup for Rebound {
    fn lookup(&self, _: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> {
        Box::pin(async { Ok(vec![IpAddr::from([1, 1, 1, 1]), Ipv4Addr::LOCALHOST.into()]) })
    }
}

fn rebound(reach: Reach) -> Result<Outbound, NotReady> {
    Outbound::with_lookup(reach, Arc::new(Rebound))
}

/// A job for a provider at this endpoint, which fails and is paid back; says why it failed.
async fn paid_back(hub: &Hub, endpoint: &str) -> String {
    let mut seller = Seller::new(1);
    let mut body = seller.registration("Oak", &["frames"]);
    body["endpoint"] = json!(endpoint);
    let answer = register(hub, &body).await.is(200).json();
    seller.id = answer["data"]["providerId"].as_str().expect("an id").to_owned();
    seller.set(hub, "online").await.is(200);
    let client = buyer(hub, 101).await;
    let (job, _) = paid(hub, &client, &seller).await;
    let ended = until("the job failed and was paid back", || async {
        let request = hub.ask("GET", &format!("/render/{job}"));
        let job = hub.call("renderStatus", request).await.is(200).json();
        (job["data"]["status"] == "failed" && job["data"]["refundTx"].is_string()).then_some(job)
    });
    ended.await["data"]["error"].as_str().expect("a reason").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_leads_inside_is_never_dialled_and_its_client_is_paid_back() {
    let providers = Providers { outbound: rebound, probe_every_ms: 200, ..Providers::default() };
    let hub = Hub::with_providers(providers).await;
    let (port, caught) = trap().await;
    let error = paid_back(&hub, &format!("http://render.example.com:{port}")).await;
    assert!(error.contains("127.0.0.1 is loopback"), "{error}");
    assert_eq!(caught.load(Ordering::SeqCst), 0);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_redirects_is_not_followed_and_its_client_is_paid_back() {
    // Loopback is open here, so that nothing but the rule about redirects is in the way.
    let providers = Providers { allow_loopback: true, probe_every_ms: 200, ..Providers::default() };
    let hub = Hub::with_providers(providers).await;
    let (inside, caught) = trap().await;
    let port = redirecting(inside).await;
    let error = paid_back(&hub, &format!("http://127.0.0.1:{port}")).await;
    assert!(error.contains("redirect"), "{error}");
    assert_eq!(caught.load(Ordering::SeqCst), 0);
    hub.stop().await;
}
