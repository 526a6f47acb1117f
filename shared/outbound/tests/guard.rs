//! The guarded client against real sockets: what it dials, what it never dials, and when it gives up.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use framefair_outbound::{Bounds, Failed, Lookup, Outbound, Reach, Upload};
use futures::stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const BOUNDS: Bounds = Bounds {
    idle: Duration::from_secs(20),
    whole: Duration::from_secs(60),
    answer_bytes_max: 1_000,
};
/// Where it is the patience that is to end.
const HASTY: Bounds = Bounds { idle: Duration::from_millis(700), ..BOUNDS };

/// A server on loopback that counts its connections and treats each as it is told.
struct Server {
    at: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Server {
    async fn start<F, W>(serve: F) -> Server
    where
        F: Fn(TcpStream) -> W + Send + 'static,
        W: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let at = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(socket));
            }
        });
        Server { at, connections }
    }

    /// One that answers every head with this text and hangs up.
    async fn says(answer: String) -> Server {
        Server::start(move |mut socket| {
            let answer = answer.clone();
            async move {
                head(&mut socket).await?;
                socket.write_all(answer.as_bytes()).await
            }
        })
        .await
    }

    fn url(&self, host: &str) -> String {
        format!("http://{host}:{}/health", self.at.port())
    }

    fn dialled(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Reads up to the blank line, and answers what was read.
async fn head(socket: &mut TcpStream) -> io::Result<String> {
    let mut read = Vec::new();
    while !read.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut piece = [0; 1_024];
        let n = socket.read(&mut piece).await?;
        if n == 0 {
            break;
        }
        read.extend_from_slice(&piece[..n]);
    }
    Ok(String::from_utf8_lossy(&read).into_owned())
}

/// Reads a whole multipart request.
async fn form(socket: &mut TcpStream) -> io::Result<String> {
    let mut whole = head(socket).await?.into_bytes();
    while !whole.ends_with(b"--\r\n") {
        let mut piece = [0; 1_024];
        match socket.read(&mut piece).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => whole.extend_from_slice(&piece[..n]),
        }
    }
    Ok(String::from_utf8_lossy(&whole).into_owned())
}

fn answer(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// Answers each look with the next list, and the last one for ever.
struct Names {
    lists: Vec<Vec<IpAddr>>,
    looks: Arc<AtomicUsize>,
}

impl Lookup for Names {
    fn lookup(&self, _: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> {
        let look = self.looks.fetch_add(1, Ordering::SeqCst);
        let list = self.lists[look.min(self.lists.len() - 1)].clone();
        Box::pin(async move { Ok(list) })
    }
}

fn named(reach: Reach, lists: &[&[&str]]) -> (Outbound, Arc<AtomicUsize>) {
    let looks = Arc::new(AtomicUsize::new(0));
    let read = |list: &&[&str]| list.iter().map(|ip| ip.parse().unwrap()).collect();
    let names = Names { lists: lists.iter().map(read).collect(), looks: looks.clone() };
    (Outbound::with_lookup(reach, Arc::new(names)).unwrap(), looks)
}

fn loopback() -> Reach {
    Reach { loopback: true, ..Reach::default() }
}

fn upload(
    bytes: u64,
    pieces: Vec<io::Result<Bytes>>,
) -> Upload<impl futures::Stream<Item = io::Result<Bytes>> + Send + 'static> {
    Upload { part: "file", file_name: "scene.blend".into(), bytes, stream: stream::iter(pieces) }
}

#[tokio::test]
async fn loopback_is_dialled_only_where_it_was_opened() {
    let server = Server::says(answer("hello")).await;
    let closed = Outbound::new(Reach::default()).unwrap();
    for host in ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "0.0.0.0"]
    {
        let refused = closed.get(&server.url(host), BOUNDS).await;
        assert!(matches!(refused, Err(Failed::Refused(_))), "{host}: {refused:?}");
    }
    assert_eq!(server.dialled(), 0);
    let open = Outbound::new(loopback()).unwrap();
    for host in ["2130706433", "[::ffff:127.0.0.1]", "0.0.0.0"] {
        let refused = open.get(&server.url(host), BOUNDS).await;
        assert!(matches!(refused, Err(Failed::Refused(_))), "{host}: {refused:?}");
    }
    assert_eq!(server.dialled(), 0);
    let answer = open.get(&server.url("127.0.0.1"), BOUNDS).await.unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (200, b"hello".as_slice()));
}

#[tokio::test]
async fn a_name_with_one_inner_address_is_not_dialled() {
    let server = Server::says(answer("hello")).await;
    for list in [
        &["127.0.0.1"][..],
        &["1.1.1.1", "127.0.0.1"],
        &["::ffff:127.0.0.1"],
        &["169.254.169.254"],
        &["64:ff9b::7f00:1"],
        &["100.64.0.1"],
    ] {
        let (outbound, looks) = named(Reach::default(), &[list]);
        let refused = outbound.get(&server.url("render.example.com"), BOUNDS).await;
        assert!(matches!(refused, Err(Failed::Refused(_))), "{list:?}: {refused:?}");
        assert_eq!(looks.load(Ordering::SeqCst), 1);
    }
    assert_eq!(server.dialled(), 0);
}

#[tokio::test]
async fn a_name_is_resolved_once_and_its_connection_stays_where_it_was_vetted() {
    let server = Server::says(answer("hello")).await;
    // Vetted as loopback, which is open here; a second look would lead to a private address.
    let (outbound, looks) = named(loopback(), &[&["127.0.0.1"], &["10.0.0.1"]]);
    let url = server.url("render.example.com");
    assert_eq!(outbound.get(&url, BOUNDS).await.unwrap().status, 200);
    assert_eq!((looks.load(Ordering::SeqCst), server.dialled()), (1, 1));
    // The next request looks anew: no connection is kept for it.
    let refused = outbound.get(&url, BOUNDS).await.unwrap_err().to_string();
    assert!(refused.contains("10.0.0.1 is private"), "{refused}");
    assert_eq!((looks.load(Ordering::SeqCst), server.dialled()), (2, 1));
}

#[tokio::test]
async fn a_redirect_is_not_followed_anywhere() {
    let inner = Server::says(answer("secret")).await;
    let outbound = Outbound::new(loopback()).unwrap();
    for status in [301, 302, 303, 307, 308] {
        let to = inner.url("127.0.0.1");
        let redirect =
            format!("HTTP/1.1 {status} Moved\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
        let server = Server::says(redirect).await;
        let failed = outbound.get(&server.url("127.0.0.1"), BOUNDS).await;
        assert_eq!(failed, Err(Failed::Redirect(status)));
    }
    assert_eq!(inner.dialled(), 0);
}

#[tokio::test]
async fn an_answer_that_is_huge_or_drips_for_ever_is_given_up() {
    let outbound = Outbound::new(loopback()).unwrap();
    let huge = Server::says(answer(&"x".repeat(1_001))).await;
    let failed = outbound.get(&huge.url("127.0.0.1"), BOUNDS).await.unwrap_err();
    assert_eq!(failed, Failed::Body { status: 200, why: "longer than 1000 bytes".into() });
    let endless = Server::start(|mut socket| async move {
        head(&mut socket).await?;
        socket.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
        loop {
            socket.write_all(b"1\r\nx\r\n").await?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let bounds = Bounds { whole: Duration::from_millis(1_500), ..BOUNDS };
    let failed = outbound.get(&endless.url("127.0.0.1"), bounds).await.unwrap_err();
    assert!(
        matches!(&failed, Failed::Body { why, .. } if why.contains("not over after 1.5 s")),
        "{failed}"
    );
    let silent = Server::start(|mut socket| async move {
        head(&mut socket).await?;
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe").await?;
        std::future::pending().await
    })
    .await;
    let failed = outbound.get(&silent.url("127.0.0.1"), HASTY).await.unwrap_err();
    assert!(
        matches!(&failed, Failed::Body { why, .. } if why.contains("nothing moved for 0.7 s")),
        "{failed}"
    );
}

#[tokio::test]
async fn what_is_known_of_a_failed_request_is_said() {
    let outbound = Outbound::new(loopback()).unwrap();
    let post = |at: SocketAddr, bytes: u64, pieces, bounds| {
        let (outbound, url) = (outbound.clone(), format!("http://{at}/render"));
        async move {
            outbound
                .post_form(&url, upload(bytes, pieces), [("jobId", "7".to_owned())], bounds)
                .await
                .unwrap_err()
        }
    };
    let free = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap();
    let scene = || vec![Ok(Bytes::from_static(b"scene"))];
    let refused = post(free, 5, scene(), BOUNDS).await;
    assert!(matches!(refused, Failed::Unreachable(_)) && !refused.may_have_arrived(), "{refused}");

    // It took everything and hung up without a word.
    let mute = Server::start(|mut socket| async move { form(&mut socket).await.map(drop) }).await;
    let cut = post(mute.at, 5, scene(), BOUNDS).await;
    assert!(cut.may_have_arrived(), "{cut}");
    let still = Server::start(|socket| async move {
        let _held = socket;
        std::future::pending().await
    })
    .await;
    let silent = post(still.at, 5, scene(), HASTY).await;
    assert!(silent.may_have_arrived(), "{silent}");

    // Our own file breaks off: the other side cannot have it whole.
    let broken = vec![Ok(Bytes::from_static(b"sc")), Err(io::Error::other("the store is gone"))];
    let partly = post(still.at, 5, broken, BOUNDS).await;
    assert!(matches!(partly, Failed::CutWhileSending(_)) && !partly.may_have_arrived(), "{partly}");
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_upload_is_heard() {
    let server = Server::start(|mut socket| async move {
        head(&mut socket).await?;
        let busy = answer("busy").replace("200 OK", "503 Service Unavailable");
        socket.write_all(busy.as_bytes()).await?;
        // Whatever is sent now is not read any more.
        tokio::time::sleep(Duration::from_secs(2)).await;
        Ok(())
    })
    .await;
    let outbound = Outbound::new(loopback()).unwrap();
    let (pieces, piece) = (512_u64, Bytes::from(vec![7; 64 << 10]));
    let stream = stream::iter((0..pieces).map(move |_| Ok(piece.clone())));
    let bytes = pieces * (64 << 10);
    let upload = Upload { part: "file", file_name: "scene.blend".into(), bytes, stream };
    let url = format!("http://{}/render", server.at);
    let answer = outbound.post_form(&url, upload, [], BOUNDS).await.unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (503, b"busy".as_slice()));
}

#[tokio::test]
async fn a_slow_upload_lives_as_long_as_it_moves() {
    let server = Server::start(|mut socket| async move {
        let body = form(&mut socket).await?.to_lowercase();
        let order = [
            "content-length: ",
            "name=\"file\"; filename=\"scene.blend\"",
            "xxxx",
            "name=\"jobid\"",
            "\r\n7\r\n",
        ];
        let places: Vec<_> = order.iter().filter_map(|text| body.find(text)).collect();
        let good = places.len() == order.len() && places.is_sorted();
        let status = if good { "202 Accepted" } else { "400 Bad" };
        socket.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes()).await
    })
    .await;
    let outbound = Outbound::new(loopback()).unwrap();
    let drip = stream::unfold(0, |n| async move {
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        (n < 4).then(|| (Ok(Bytes::from_static(b"x")), n + 1))
    });
    let upload = Upload { part: "file", file_name: "scene.blend".into(), bytes: 4, stream: drip };
    let url = format!("http://{}/render", server.at);
    let texts = [("jobId", "7".to_owned())];
    let bounds = Bounds { idle: Duration::from_secs(4), ..BOUNDS };
    let answer = outbound.post_form(&url, upload, texts, bounds).await.unwrap();
    assert_eq!(answer.status, 202);
}

#[tokio::test]
async fn no_proxy_of_the_environment_is_used() {
    // Read when a client is made, so it is set before: nothing listens there.
    let server = Server::says(answer("direct")).await;
    let this = std::env::current_exe().unwrap();
    if std::env::var_os("HTTP_PROXY").is_none() {
        let ran = tokio::process::Command::new(this)
            .args(["--exact", "no_proxy_of_the_environment_is_used"])
            .env("HTTP_PROXY", "http://127.0.0.1:9")
            .env("http_proxy", "http://127.0.0.1:9")
            .output();
        assert!(ran.await.unwrap().status.success());
    }
    let outbound = Outbound::new(loopback()).unwrap();
    assert_eq!(outbound.get(&server.url("127.0.0.1"), BOUNDS).await.unwrap().body, b"direct");
}
