//! Who is connected where, and what it holds.

use std::collections::BTreeMap;

use framefair_domain::id::{JobId, ProviderId};
use framefair_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Entity, Key, keys};

/// A node as delivery sees it. Written on connect, disconnect, lease and release only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRow {
    pub id: ProviderId,
    pub rev: u64,
    /// Rises with every connection; the holder of an older one may write nothing.
    pub fence: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<Connection>,
    /// When it was last seen to connect or disconnect.
    pub changed: Timestamp,
    /// How many tasks it takes at once.
    pub slots: u32,
    /// Job id to epoch: claiming or releasing twice changes nothing.
    #[serde(default)]
    pub leases: BTreeMap<String, u32>,
    /// Finished attempts, and how many of them went well. Here, not on the provider, because the
    /// end of a lease writes this row anyway.
    #[serde(default)]
    pub finished: u64,
    #[serde(default)]
    pub completed: u64,
    /// Failed attempts since the last one that went well, and when the last of them ended.
    #[serde(default)]
    pub failures: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<Timestamp>,
    /// What its endpoint last said of itself, where it is dialled. Written when it changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pulse: Option<PulseSeen>,
}

impl NodeRow {
    /// Of a node that never connected and holds nothing.
    pub fn new(id: ProviderId, now: Timestamp) -> NodeRow {
        NodeRow {
            id,
            rev: 0,
            fence: 0,
            connection: None,
            changed: now,
            slots: 1,
            leases: BTreeMap::new(),
            finished: 0,
            completed: 0,
            failures: 0,
            failed: None,
            pulse: None,
        }
    }
}

/// The pulse of an endpoint, and since when it has been so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PulseSeen {
    pub pulse: Pulse,
    pub since: Timestamp,
}

/// How an endpoint answers when it is asked for its health.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pulse {
    /// It says that it renders something.
    Rendering,
    /// It answers, and renders nothing.
    Idle,
    /// It does not answer, or not as agreed.
    Silent,
}

/// The latest try to send a task to an endpoint: who sends, and until when others keep off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushRow {
    pub job: JobId,
    pub rev: u64,
    pub epoch: u32,
    /// Under this epoch. From the second on, the provider may have the task already.
    pub tries: u32,
    pub by: Connection,
    pub until: Timestamp,
    /// When somebody last claimed, unsigned, that the provider had failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubted: Option<Timestamp>,
}

impl Entity for PushRow {
    fn key(&self) -> Key {
        keys::push(self.job)
    }
}

/// A socket at one relay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    pub relay: u8,
    /// The relay process that held it; a relay that starts anew holds none of the old ones.
    pub boot: String,
}

impl Entity for NodeRow {
    fn key(&self) -> Key {
        keys::node(self.id)
    }
}

/// A relay's claim to its slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayRow {
    pub slot: u8,
    #[serde(default)]
    pub rev: u64,
    pub boot: String,
    /// How many sockets stood there when it was renewed.
    #[serde(default)]
    pub sockets: u32,
    /// When this process took the slot.
    pub since: Timestamp,
    pub until: Timestamp,
}

impl RelayRow {
    /// Whether the process that held this socket is still there.
    pub fn carries(&self, socket: &Connection, now: Timestamp) -> bool {
        self.slot == socket.relay && self.boot == socket.boot && self.until > now
    }
}

impl Entity for RelayRow {
    fn key(&self) -> Key {
        keys::relay(self.slot)
    }
}
