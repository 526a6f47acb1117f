//! A provider of the market: who it is, what it asks, what it has done.

use framefair_domain::id::ProviderId;
use framefair_domain::quote::Tariff;
use framefair_domain::scheduling::Abilities;
use framefair_domain::time::Timestamp;
use framefair_domain::wallet::Wallet;
use serde::{Deserialize, Serialize};

use crate::{Entity, Indexes, Key, keys};

/// The words of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Online,
    Offline,
    Busy,
    Maintenance,
}

impl Status {
    pub const ALL: [Status; 4] =
        [Status::Online, Status::Busy, Status::Maintenance, Status::Offline];

    pub const fn word(self) -> &'static str {
        match self {
            Status::Online => "online",
            Status::Offline => "offline",
            Status::Busy => "busy",
            Status::Maintenance => "maintenance",
        }
    }

    pub fn from_word(word: &str) -> Option<Status> {
        Status::ALL.into_iter().find(|status| status.word() == word)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderRow {
    pub id: ProviderId,
    pub rev: u64,
    pub wallet: Wallet,
    pub name: String,
    pub endpoint: String,
    /// The spec as it was given, as JSON text, to be shown again.
    pub spec: String,
    pub abilities: Abilities,
    pub tariff: Tariff,
    /// What the provider last set by signature.
    pub chosen: Status,
    /// Whether a socket of it stands.
    pub connected: bool,
    /// Neither its endpoint nor a socket of it has been heard for minutes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub silent: bool,
    pub registered: Timestamp,
    pub seen: Timestamp,
    /// A change that waits for the wallet to authenticate on a socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<PendingChange>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingChange {
    pub endpoint: String,
    pub spec: String,
    pub abilities: Abilities,
    pub tariff: Tariff,
    pub until: Timestamp,
}

impl ProviderRow {
    /// What others see. Offline and maintenance, once signed, always win; a provider that gets its
    /// work by socket is offline without one, any other once it has been silent for long.
    pub fn status(&self) -> Status {
        let away = if self.abilities.relay { !self.connected } else { self.silent };
        if away && self.chosen != Status::Maintenance {
            return Status::Offline;
        }
        self.chosen
    }
}

impl Entity for ProviderRow {
    fn key(&self) -> Key {
        keys::provider(self.id)
    }

    fn indexes(&self) -> Indexes {
        let partition = keys::providers_by_status(self.status().word());
        Indexes { state: Some((partition, self.id.to_string())), ..Indexes::default() }
    }
}

/// That something is taken, by whom, and with what input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimRow {
    #[serde(skip)]
    pub key: Option<Key>,
    pub by: String,
    /// Unix seconds after which it may be taken again; none for ever.
    #[serde(skip)]
    pub until_s: Option<i64>,
}

impl Entity for ClaimRow {
    fn key(&self) -> Key {
        self.key.clone().unwrap_or_else(|| Key { pk: "CLAIM".into(), sk: "CLAIM".into() })
    }

    fn expires(&self) -> Option<i64> {
        self.until_s
    }
}
