//! A node's socket in the hands of a test, which answers its pings by itself.

use serde_json::Value;
use tokio::sync::mpsc;

use super::relay::{Node, Socket, hear, node_with, open, say};
use crate::stage::{Hub, PATIENCE};

/// More than are heard in any test.
const FRAMES_MAX: usize = 1_024;

/// A frame, or with which code and words the socket was closed.
type Heard = Result<Value, (u16, String)>;

/// A socket that answers its pings whatever its owner does.
pub(crate) struct Line {
    heard: mpsc::Receiver<Heard>,
    said: mpsc::Sender<String>,
}

impl Line {
    pub(crate) fn keep(mut socket: Socket) -> Line {
        let (tell, heard) = mpsc::channel(FRAMES_MAX);
        let (said, mut to_say) = mpsc::channel::<String>(FRAMES_MAX);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    frame = hear(&mut socket) => match frame {
                        Ok(frame) => tell.try_send(Ok(frame)).expect("few frames"),
                        Err(why) => return drop(tell.try_send(Err(why))),
                    },
                    frame = to_say.recv() => match frame {
                        Some(frame) => say(&mut socket, &frame).await,
                        None => return,
                    },
                }
            }
        });
        Line { heard, said }
    }

    pub(crate) fn say(&self, frame: &Value) {
        self.say_text(&frame.to_string());
    }

    pub(crate) fn say_text(&self, frame: &str) {
        self.said.try_send(frame.to_owned()).expect("the socket stands");
    }

    /// How it ended.
    pub(crate) async fn gone(&mut self) -> (u16, String) {
        let heard = async {
            loop {
                if let Err(why) = self.heard.recv().await.expect("the relay says why it goes") {
                    return why;
                }
            }
        };
        tokio::time::timeout(PATIENCE, heard).await.expect("it goes")
    }

    /// The next frame of this type.
    pub(crate) async fn hears(&mut self, kind: &str) -> Value {
        let heard = async {
            loop {
                let frame =
                    self.heard.recv().await.and_then(Result::ok).expect("the socket stands");
                if frame["type"] == kind {
                    return frame;
                }
            }
        };
        tokio::time::timeout(PATIENCE, heard).await.unwrap_or_else(|_| panic!("no {kind}"))
    }
}

/// A node that is healthy, with its socket.
pub(crate) async fn standing(hub: &Hub, seed: u8) -> (Node, Line) {
    standing_with(hub, seed, 1).await
}

/// One that takes so many jobs at once.
pub(crate) async fn standing_with(hub: &Hub, seed: u8, slots: u32) -> (Node, Line) {
    let node = node_with(hub, seed, &["render", "echo"], slots).await;
    let mut line = Line::keep(open(hub, &node.id, &node.token).await);
    line.hears("heartbeat_ping").await;
    (node, line)
}
