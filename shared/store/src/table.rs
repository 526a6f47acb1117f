//! One table: keys and sparse indexes. Knows how a row becomes an item and back; refuses to
//! know how any key is spelled, which is `keys.rs` alone.

mod read;

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Broken;

pub use read::{Cursor, Entry, Order, Page, Range, RawItem};

pub(crate) type Item = HashMap<String, AttributeValue>;

pub(crate) const PK: &str = "PK";
pub(crate) const SK: &str = "SK";
/// Unix seconds after which the table may drop the item, days late. No code trusts that it did.
pub(crate) const EXPIRES: &str = "expires";
/// Random bytes of the last single write, so that a writer can recognise its own hand after a
/// time-out.
pub(crate) const MARK: &str = "wm";

/// The address of an item.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pub pk: String,
    pub sk: String,
}

impl Key {
    pub fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }

    pub(crate) fn attributes(&self) -> Item {
        HashMap::from([
            (PK.to_owned(), AttributeValue::S(self.pk.clone())),
            (SK.to_owned(), AttributeValue::S(self.sk.clone())),
        ])
    }

    pub(crate) fn of(item: &Item) -> Option<Self> {
        Some(Self { pk: text(item, PK)?.to_owned(), sk: text(item, SK)?.to_owned() })
    }
}

/// The index rows an item has: partition and sort key, absent where the item is not in that index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Indexes {
    pub owner: Option<(String, String)>,
    pub state: Option<(String, String)>,
    pub due: Option<(String, String)>,
}

/// The three sparse indexes. Each holds keys alone: act only on a consistent read of the item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Index {
    /// Lists: what belongs to whom.
    Owner,
    /// Picks: what is in a state, sharded.
    State,
    /// What needs attention, and when, sharded.
    Due,
}

impl Index {
    pub const ALL: [Self; 3] = [Self::Owner, Self::State, Self::Due];

    pub fn name(self) -> &'static str {
        match self {
            Self::Owner => "ByOwner",
            Self::State => "ByState",
            Self::Due => "ByDue",
        }
    }

    pub(crate) fn attributes(self) -> (&'static str, &'static str) {
        match self {
            Self::Owner => ("OPK", "OSK"),
            Self::State => ("SPK", "SSK"),
            Self::Due => ("DPK", "DSK"),
        }
    }

    pub(crate) fn of(self, indexes: &Indexes) -> Option<&(String, String)> {
        match self {
            Self::Owner => indexes.owner.as_ref(),
            Self::State => indexes.state.as_ref(),
            Self::Due => indexes.due.as_ref(),
        }
    }
}

/// A row: a value that knows where it lives. The attributes `PK`, `SK`, `OPK`, `OSK`, `SPK`,
/// `SSK`, `DPK`, `DSK` and `wm` are the table's; `expires` is too where [`Entity::expires`] says so.
pub trait Entity: Serialize + DeserializeOwned + Send {
    fn key(&self) -> Key;

    fn indexes(&self) -> Indexes {
        Indexes::default()
    }

    /// Unix seconds; readers compare it themselves.
    fn expires(&self) -> Option<i64> {
        None
    }
}

pub(crate) fn text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

pub(crate) fn encode<T: Entity>(entity: &T) -> Result<Item, Broken> {
    let mut item: Item = serde_dynamo::aws_sdk_dynamodb_1::to_item(entity)
        .map_err(|cause| Broken::new("encode", cause))?;
    item.extend(entity.key().attributes());
    let indexes = entity.indexes();
    for index in Index::ALL {
        let (partition, sort) = index.attributes();
        item.remove(partition);
        item.remove(sort);
        if let Some((p, s)) = index.of(&indexes) {
            item.insert(partition.to_owned(), AttributeValue::S(p.clone()));
            item.insert(sort.to_owned(), AttributeValue::S(s.clone()));
        }
    }
    if let Some(expires) = entity.expires() {
        item.insert(EXPIRES.to_owned(), AttributeValue::N(expires.to_string()));
    }
    Ok(item)
}

pub(crate) fn decode<T: Entity>(mut item: Item) -> Result<T, Broken> {
    // So that a row may flatten a map, or refuse unknown fields, without meeting the table's own.
    for name in [PK, SK, MARK] {
        item.remove(name);
    }
    for index in Index::ALL {
        let (partition, sort) = index.attributes();
        item.remove(partition);
        item.remove(sort);
    }
    serde_dynamo::aws_sdk_dynamodb_1::from_item(item).map_err(|cause| Broken::new("decode", cause))
}
