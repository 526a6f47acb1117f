//! The WebSocket's own manners, met without a client library between.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

use crate::stage::Stage;

struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    async fn open(stage: &Stage) -> Self {
        Self(connect_async(stage.chain.ws_url()).await.unwrap().0)
    }

    async fn say(&mut self, text: impl ToString) {
        self.0.send(Message::text(text.to_string())).await.unwrap();
    }

    async fn ask(&mut self, method: &str, params: Value) -> Value {
        self.say(json!({"jsonrpc": "2.0", "id": 5, "method": method, "params": params})).await;
        self.hear().await
    }

    async fn hear(&mut self) -> Value {
        let next = async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    other => panic!("{other:?}"),
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), next).await.unwrap()
    }
}

#[tokio::test]
async fn subscriptions_end_when_asked_and_nonsense_is_refused() {
    let stage = Stage::still().await;
    let mut socket = Socket::open(&stage).await;
    let slots = socket.ask("slotSubscribe", json!([])).await["result"].clone();
    stage.rpc.warp(1).await;
    let told = socket.hear().await;
    assert_eq!(
        (&told["method"], &told["params"]["subscription"]),
        (&json!("slotNotification"), &slots)
    );

    assert_eq!(socket.ask("slotUnsubscribe", json!([slots])).await["result"], true);
    stage.rpc.warp(1).await;
    let again = socket.ask("slotUnsubscribe", json!([slots])).await;
    assert_eq!(again["error"]["code"], -32602, "and no slot was told in between");

    assert_eq!(socket.ask("voteSubscribe", json!([])).await["error"]["code"], -32601);
    assert_eq!(socket.ask("signatureSubscribe", json!(["x"])).await["error"]["code"], -32602);
    socket.say("{").await;
    assert_eq!(socket.hear().await["error"]["code"], -32700);
    // What web3.js sends to keep its socket open.
    socket.say(json!({"jsonrpc": "2.0", "method": "ping"})).await;
    let signature = "1".repeat(64);
    let pending = socket.ask("signatureSubscribe", json!([signature])).await["result"].clone();
    assert_eq!(socket.ask("signatureUnsubscribe", json!([pending])).await["result"], true);
}

#[tokio::test]
async fn one_connection_has_a_limit_of_subscriptions() {
    let stage = Stage::still().await;
    let mut socket = Socket::open(&stage).await;
    let signature = "1".repeat(64);
    for _ in 0..1_024 {
        let reply = socket.ask("signatureSubscribe", json!([signature])).await;
        assert!(reply["result"].is_u64(), "{reply}");
    }
    let reply = socket.ask("signatureSubscribe", json!([signature])).await;
    assert_eq!(reply["error"]["code"], -32603);
}

#[tokio::test]
async fn a_stopping_chain_says_goodbye_to_its_sockets() {
    let stage = Stage::still().await;
    let mut socket = Socket::open(&stage).await;
    socket.ask("slotSubscribe", json!([])).await;
    stage.chain.shutdown().await;
    loop {
        match socket.0.next().await {
            Some(Ok(Message::Close(frame))) => {
                break assert_eq!(u16::from(frame.unwrap().code), 1001);
            }
            Some(Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}
