//! Nodes that have registered by a key. What delivery knows of them is in a row of its own.

use framefair_domain::id::{JobId, ProviderId};
use framefair_domain::time::Timestamp;
use framefair_domain::wallet::Wallet;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Connection, compact};
use crate::{Entity, Indexes, Key, keys};

/// A registered node: how it proves itself, and when it was last heard of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetRow {
    #[serde(with = "compact")]
    pub id: ProviderId,
    /// Rises with every registration.
    pub rev: u64,
    #[serde(with = "compact")]
    pub key: Wallet,
    /// What the holder of the key is to sign next; hex.
    pub challenge: String,
    /// Names the one token that is good.
    pub token: Uuid,
    /// Whether the key has proven itself once.
    pub proven: bool,
    /// Whether it may take the jobs of others.
    pub admitted: bool,
    pub registered: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beat: Option<Timestamp>,
    /// Where its own socket stands; while it does, that is its sign of life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<Connection>,
    /// What it said then of its load, in hundredths.
    #[serde(default)]
    pub load: u8,
    /// How many jobs it takes at once over a socket of its own dialect.
    #[serde(default = "one")]
    pub slots: u32,
}

fn one() -> u32 {
    1
}

impl Entity for FleetRow {
    fn key(&self) -> Key {
        keys::fleet(self.id)
    }

    fn indexes(&self) -> Indexes {
        let due = match (&self.socket, self.beat) {
            (Some(socket), _) => Some(keys::fleet_stands(socket, self.id)),
            (None, Some(beat)) => Some(keys::fleet_heard(beat, self.id)),
            (None, None) => None,
        };
        Indexes { due, ..Indexes::default() }
    }
}

/// What a node says of itself when it registers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetSpecRow {
    #[serde(with = "compact")]
    pub id: ProviderId,
    pub name: String,
    pub capabilities: Vec<String>,
    /// JSON as given.
    pub metadata: String,
}

impl Entity for FleetSpecRow {
    fn key(&self) -> Key {
        keys::fleet_spec(self.id)
    }
}

/// That a node can be asked for one kind of work, and how soon it should be: the lowest place first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapabilityRow {
    #[serde(with = "compact")]
    pub id: ProviderId,
    pub name: String,
    /// The row of those who want a GPU.
    pub gpu: bool,
    pub place: Place,
    /// When it last showed itself.
    #[serde(default)]
    pub listed: Timestamp,
}

/// Nodes with a socket come first, and of those the least loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    pub presence: Presence,
    /// What it says of its load and what it holds of its slots, in tenths of each.
    pub load: u8,
}

/// How a node was there when it was last looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    Connected,
    /// No socket of it stands, and it was heard of.
    Heard,
    /// Its relay is gone, or it fell silent. It may be back, and is asked when nobody else is there.
    Away,
}

impl Presence {
    pub(crate) const ALL: [Presence; 3] = [Presence::Connected, Presence::Heard, Presence::Away];
}

impl Entity for CapabilityRow {
    fn key(&self) -> Key {
        keys::capability(self.id, &self.name, self.gpu)
    }

    fn indexes(&self) -> Indexes {
        let state = keys::capable_at(&self.name, self.gpu, self.place, self.id);
        Indexes { state: Some(state), ..Indexes::default() }
    }
}

/// A job that was given up, for an admin to look into.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterRow {
    #[serde(with = "compact")]
    pub job: JobId,
    pub payload: String,
    /// Why each attempt failed, oldest first.
    pub errors: Vec<String>,
    pub failed: Timestamp,
    pub retries: u32,
}

impl Entity for DeadLetterRow {
    fn key(&self) -> Key {
        keys::dead_letter(self.job)
    }

    fn indexes(&self) -> Indexes {
        Indexes { state: Some(keys::dead_at(self.job, self.failed)), ..Indexes::default() }
    }
}
