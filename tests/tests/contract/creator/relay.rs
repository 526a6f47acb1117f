//! The node socket in the creator's dialect: who may come in, who stays, and why one goes.

use framefair_app::Ctx;
use framefair_outbound::{Outbound, Reach};
use framefair_relay::Relay;
use framefair_store::keys;
use framefair_store::rows::{FleetRow, NodeRow};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tokio_util::sync::CancellationToken;

use super::fleet::{Machine, register};
use super::people::Person;
use crate::stage::{Hub, until};

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) token: String,
}

pub(crate) async fn node(hub: &Hub, seed: u8) -> Node {
    node_with(hub, seed, &["render", "echo"], 1).await
}

/// Registered for these kinds of work, and for so many jobs at once.
pub(crate) async fn node_with(hub: &Hub, seed: u8, capabilities: &[&str], slots: u32) -> Node {
    let mut registration = Machine::new(seed).registration();
    registration["capabilities"] = capabilities.into();
    registration["metadata"]["slots"] = slots.into();
    let answer = register(hub, &registration).await.is(201).json();
    let text = |name: &str| answer[name].as_str().expect("text").to_owned();
    Node { id: text("node_id"), token: text("token") }
}

pub(crate) async fn open(hub: &Hub, id: &str, token: &str) -> Socket {
    let url = format!("ws://{}/api/v1/relay/ws/{id}?token={token}", hub.machine.hub);
    connect_async(url).await.expect("the upgrade").0
}

/// The next frame in words, past the protocol's own.
pub(crate) async fn hear(socket: &mut Socket) -> Result<Value, (u16, String)> {
    loop {
        match socket.next().await.expect("the relay says why it goes").expect("a frame") {
            Message::Text(text) => return Ok(serde_json::from_str(&text).expect("JSON")),
            Message::Close(why) => {
                let why = why.expect("a reason");
                return Err((why.code.into(), why.reason.to_string()));
            }
            _ => {}
        }
    }
}

pub(crate) async fn say(socket: &mut Socket, frame: &str) {
    socket.send(Message::text(frame)).await.expect("it takes a frame");
}

async fn stands(hub: &Hub, node: &Node) -> Option<NodeRow> {
    let key = keys::node(node.id.parse().expect("an id"));
    let row = hub.machine.ctx.store.get::<NodeRow>(&key).await.expect("the table");
    row.filter(|row| row.connection.is_some())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_nodes_own_token_opens_its_socket() {
    let hub = Hub::of("creator", false).await;
    let (one, two) = (node(&hub, 1).await, node(&hub, 2).await);
    let ada = Person::register(&hub, "ada@example.com").await;
    for (id, token) in [
        (&one.id, two.token.as_str()),
        (&one.id, &ada.access),
        (&one.id, ""),
        (&one.id, "x"),
        (&"nobody".to_owned(), &one.token),
    ] {
        let mut socket = open(&hub, id, token).await;
        let (code, why) = hear(&mut socket).await.expect_err("it is closed");
        assert_eq!((code, why.as_str()), (4001, "Authentication failed"));
    }
    assert!(stands(&hub, &one).await.is_none());
    // The header does as well as the query, which ends up in logs.
    let url = format!("ws://{}/api/v1/relay/ws/{}", hub.machine.hub, one.id);
    let mut request = url.into_client_request().expect("a request");
    let bearer = format!("Bearer {}", one.token).parse().expect("a header");
    request.headers_mut().insert("authorization", bearer);
    let (mut socket, _) = connect_async(request).await.expect("the upgrade");
    assert_eq!(hear(&mut socket).await.expect("a ping")["type"], "heartbeat_ping");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_answers_stays_and_writes_nothing_and_a_silent_one_goes() {
    let hub = Hub::of("creator", false).await;
    let (lively, silent) = (node(&hub, 1).await, node(&hub, 2).await);
    let mut socket = open(&hub, &lively.id, &lively.token).await;
    // What does not read answers no ping.
    let mut unread = open(&hub, &silent.id, &silent.token).await;
    let ping = json!({ "type": "heartbeat_ping", "payload": {} });
    assert_eq!(hear(&mut socket).await, Ok(ping.clone()));
    let row = async || {
        let key = keys::fleet(lively.id.parse().expect("an id"));
        hub.machine.ctx.store.get::<FleetRow>(&key).await.expect("the table").expect("a row")
    };
    let (before, stood) = (row().await, stands(&hub, &lively).await.expect("it stands"));
    assert!(before.beat.is_some(), "it lives, since it came");
    for frame in [r#"{"type":"heartbeat_pong","payload":{}}"#, r#"{"type":"poem","lines":[]}"#] {
        say(&mut socket, frame).await;
        assert_eq!(hear(&mut socket).await, Ok(ping.clone()));
    }
    assert_eq!((row().await, stands(&hub, &lively).await), (before.clone(), Some(stood)));
    until("the silent one is closed", async || stands(&hub, &silent).await.is_none().then_some(()))
        .await;
    // A client that reads would answer the pings.
    let mut raw = Vec::new();
    unread.get_mut().read_to_end(&mut raw).await.expect("all that was sent");
    let last = [&4002_u16.to_be_bytes(), b"Heartbeat timeout".as_slice()].concat();
    assert!(raw.ends_with(&last), "{raw:?}");
    socket.close(None).await.expect("it goes");
    until("it is gone", async || stands(&hub, &lively).await.is_none().then_some(())).await;
    until("its silence counts from its last word", async || {
        (row().await.beat > before.beat).then_some(())
    })
    .await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_socket_replaces_the_older_and_says_so() {
    let hub = Hub::of("creator", false).await;
    let node = node(&hub, 1).await;
    let mut older = open(&hub, &node.id, &node.token).await;
    until("it stands", async || stands(&hub, &node).await).await;
    let mut newer = open(&hub, &node.id, &node.token).await;
    let gone = loop {
        if let Err(why) = hear(&mut older).await {
            break why;
        }
    };
    assert_eq!(gone.0, 4003);
    assert!(hear(&mut newer).await.is_ok());
    assert_eq!(stands(&hub, &node).await.expect("the newer one stands").fence, 2);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_nobody_can_read_end_it() {
    let hub = Hub::of("creator", false).await;
    let node = node(&hub, 1).await;
    let mut socket = open(&hub, &node.id, &node.token).await;
    for frame in ["", "[]", "{", "{}"].iter().cycle().take(20) {
        say(&mut socket, frame).await;
    }
    let gone = loop {
        if let Err(why) = hear(&mut socket).await {
            break why;
        }
    };
    assert_eq!(gone.0, 1008);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_not_called_a_stranger_by_a_relay_that_cannot_tell() {
    let hub = Hub::of("creator", false).await;
    let node = node(&hub, 1).await;
    let Ctx { store, chain, mut platform, .. } = hub.machine.ctx.clone();
    platform.tokens = None;
    let outbound = Outbound::new(Reach::default()).expect("a client");
    let ctx = Ctx::new(store, chain, platform);
    let relay = Relay::new(ctx, outbound, 1, CancellationToken::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let at = listener.local_addr().expect("an address");
    let serving = tokio::spawn(async move { axum::serve(listener, relay.router(None)).await });
    let url = format!("ws://{at}/api/v1/relay/ws/{}?token={}", node.id, node.token);
    let mut socket = connect_async(url).await.expect("the upgrade").0;
    assert_eq!(hear(&mut socket).await.expect_err("it is closed").0, 1013);
    serving.abort();
    hub.stop().await;
}

/// Stock clients come again and again where their farewell is not answered.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_closes_a_socket_is_answered() {
    let hub = Hub::of("creator", false).await;
    let node = node(&hub, 1).await;
    let (at, rpc) = (hub.machine.hub, hub.machine.ports.rpc + 1);
    for url in [
        format!("ws://{at}/ws"),
        format!("ws://{at}/hub/ws"),
        format!("ws://{at}/api/v1/relay/ws/{}?token={}", node.id, node.token),
        format!("ws://127.0.0.1:{rpc}"),
    ] {
        let mut socket = connect_async(&url).await.expect("the upgrade").0;
        let code = tungstenite::protocol::frame::coding::CloseCode::Normal;
        let bye = tungstenite::protocol::CloseFrame { code, reason: "done".into() };
        socket.close(Some(bye)).await.expect("it takes a close");
        let answer = loop {
            match socket.next().await {
                Some(Ok(Message::Close(answer))) => break answer,
                Some(Ok(_)) => {}
                other => panic!("{url}: {other:?}"),
            }
        };
        assert_eq!(answer.map(|it| it.code), Some(code), "{url}");
        assert!(socket.next().await.is_none(), "{url}");
    }
    hub.stop().await;
}
