//! Who is connected where, and what it holds.

use std::collections::BTreeMap;

use framefair_domain::id::ProviderId;
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
    pub boot: String,
    /// When this process took the slot.
    pub since: Timestamp,
    pub until: Timestamp,
}

impl Entity for RelayRow {
    fn key(&self) -> Key {
        keys::relay(self.slot)
    }
}
