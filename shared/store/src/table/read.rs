//! Reads: one item, many, a partition, a page of an index. Knows round trips and consistency;
//! an index read is a hint and says so.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::try_join_all;

use super::{Entity, Index, Item, Key, PK, SK, decode, text};
use crate::write::{Outcome, Patience, outcome};
use crate::{Broken, Store};

/// What a batch read may carry in one round trip.
const BATCH_MAX: usize = 100;
/// A partition read whole is a job or a node; more rows than this is a mistake, not a job.
const PARTITION_MAX: usize = 10_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Ascending,
    Descending,
}

/// Which sort keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Range {
    All,
    AtMost(String),
    AtLeast(String),
    /// Both ends included.
    Between(String, String),
    Prefix(String),
}

/// Where a page of an index ended. Says only a position: whoever forges one skips rows of a list
/// that they may read anyway, because the partition comes from the query, never from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub key: Key,
    pub sort: String,
}

impl Cursor {
    pub fn to_text(&self) -> String {
        let parts = [&self.key.pk, &self.key.sk, &self.sort];
        URL_SAFE_NO_PAD.encode(serde_json::json!(parts).to_string())
    }

    pub fn parse(text: &str) -> Option<Self> {
        const TEXT_MAX: usize = 4_096;
        if text.len() > TEXT_MAX {
            return None;
        }
        let json = URL_SAFE_NO_PAD.decode(text).ok()?;
        let [pk, sk, sort]: [String; 3] = serde_json::from_slice(&json).ok()?;
        let whole = [&pk, &sk, &sort].iter().all(|part| !part.is_empty());
        whole.then_some(Self { key: Key { pk, sk }, sort })
    }
}

/// One row of an index: a hint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: Key,
    pub sort: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    pub entries: Vec<Entry>,
    /// Absent at the end.
    pub next: Option<Cursor>,
}

impl Page {
    pub fn keys(&self) -> Vec<Key> {
        self.entries.iter().map(|entry| entry.key.clone()).collect()
    }
}

/// An item of unknown kind, from [`Store::partition`].
#[derive(Clone, Debug)]
pub struct RawItem {
    key: Key,
    item: Item,
}

impl RawItem {
    pub fn key(&self) -> &Key {
        &self.key
    }

    pub fn sk(&self) -> &str {
        &self.key.sk
    }

    pub fn decode<T: Entity>(self) -> Result<T, Broken> {
        decode(self.item)
    }
}

impl Store {
    /// Strongly consistent.
    pub async fn get<T: Entity>(&self, key: &Key) -> Result<Option<T>, Broken> {
        self.get_item(key, true).await?.map(decode).transpose()
    }

    /// Half the price; may miss what was written in the last second.
    pub async fn get_eventual<T: Entity>(&self, key: &Key) -> Result<Option<T>, Broken> {
        self.get_item(key, false).await?.map(decode).transpose()
    }

    pub(crate) async fn get_item(
        &self,
        key: &Key,
        consistent: bool,
    ) -> Result<Option<Item>, Broken> {
        let answer = self
            .dynamodb()
            .get_item()
            .table_name(self.table())
            .set_key(Some(key.attributes()))
            .consistent_read(consistent)
            .set_return_consumed_capacity(self.seam().capacity())
            .send()
            .await
            .map_err(|cause| broken("GetItem", cause))?;
        Ok(answer.item)
    }

    /// Strongly consistent, in the order of `keys`, without those that do not exist. A call
    /// for each hundred, all at once.
    pub async fn get_many<T: Entity>(&self, keys: &[Key]) -> Result<Vec<T>, Broken> {
        let mut places: HashMap<&Key, usize> = HashMap::new();
        let mut distinct: Vec<&Key> = Vec::new();
        for key in keys {
            places.entry(key).or_insert_with(|| {
                distinct.push(key);
                distinct.len() - 1
            });
        }
        let mut found: Vec<Option<Item>> = vec![None; distinct.len()];
        let batches = distinct.chunks(BATCH_MAX).map(|batch| self.get_whole_batch(batch));
        for item in try_join_all(batches).await?.into_iter().flatten() {
            if let Some(place) = Key::of(&item).and_then(|key| places.get(&key)) {
                found[*place] = Some(item);
            }
        }
        found.into_iter().flatten().map(decode).collect()
    }

    async fn get_whole_batch(&self, keys: &[&Key]) -> Result<Vec<Item>, Broken> {
        let mut asked: Vec<Item> = keys.iter().map(|key| key.attributes()).collect();
        let (mut found, mut patience) = (Vec::new(), Patience::new());
        loop {
            let (items, left) = self.get_batch(asked).await?;
            found.extend(items);
            if left.is_empty() {
                return Ok(found);
            }
            asked = left;
            if !patience.pause().await {
                return Err(Broken::busy("BatchGetItem", "keys stayed unprocessed"));
            }
        }
    }

    async fn get_batch(&self, keys: Vec<Item>) -> Result<(Vec<Item>, Vec<Item>), Broken> {
        let wanted = KeysAndAttributes::builder()
            .set_keys(Some(keys))
            .consistent_read(true)
            .build()
            .map_err(|cause| Broken::new("BatchGetItem", cause))?;
        let mut answer = self
            .dynamodb()
            .batch_get_item()
            .request_items(self.table(), wanted)
            .set_return_consumed_capacity(self.seam().capacity())
            .send()
            .await
            .map_err(|cause| broken("BatchGetItem", cause))?;
        let items = answer
            .responses
            .as_mut()
            .and_then(|tables| tables.remove(self.table()))
            .unwrap_or_default();
        let left = answer
            .unprocessed_keys
            .as_mut()
            .and_then(|tables| tables.remove(self.table()))
            .map(|left| left.keys)
            .unwrap_or_default();
        Ok((items, left))
    }

    /// Rows of one partition whose sort key starts with `sk_prefix`, strongly consistent.
    pub async fn query<T: Entity>(
        &self,
        pk: &str,
        sk_prefix: &str,
        order: Order,
        limit: usize,
    ) -> Result<Vec<T>, Broken> {
        let range =
            if sk_prefix.is_empty() { Range::All } else { Range::Prefix(sk_prefix.to_owned()) };
        self.query_range(pk, range, order, limit).await
    }

    /// As [`Store::query`], by any range of sort keys.
    pub async fn query_range<T: Entity>(
        &self,
        pk: &str,
        range: Range,
        order: Order,
        limit: usize,
    ) -> Result<Vec<T>, Broken> {
        let items = self.query_items(pk, range, order, limit).await?;
        items.into_iter().map(decode).collect()
    }

    /// Every item of a partition, in sort-key order: a job with its progress in one round trip.
    pub async fn partition(&self, pk: &str) -> Result<Vec<RawItem>, Broken> {
        let items = self.query_items(pk, Range::All, Order::Ascending, PARTITION_MAX + 1).await?;
        if items.len() > PARTITION_MAX {
            return Err(Broken::new("Query", "the partition has too many rows to read whole"));
        }
        items
            .into_iter()
            .map(|item| {
                let key =
                    Key::of(&item).ok_or_else(|| Broken::new("Query", "an item without key"))?;
                Ok(RawItem { key, item })
            })
            .collect()
    }

    async fn query_items(
        &self,
        pk: &str,
        range: Range,
        order: Order,
        limit: usize,
    ) -> Result<Vec<Item>, Broken> {
        let mut items = Vec::new();
        let mut start = None;
        while items.len() < limit {
            let page = i32::try_from(limit - items.len()).unwrap_or(i32::MAX);
            let (expression, names, values) = range.condition(PK, SK, pk);
            let answer = self
                .dynamodb()
                .query()
                .table_name(self.table())
                .key_condition_expression(expression)
                .set_expression_attribute_names(Some(names))
                .set_expression_attribute_values(Some(values))
                .consistent_read(true)
                .scan_index_forward(order == Order::Ascending)
                .limit(page)
                .set_exclusive_start_key(start)
                .set_return_consumed_capacity(self.seam().capacity())
                .send()
                .await
                .map_err(|cause| broken("Query", cause))?;
            items.extend(answer.items.unwrap_or_default());
            start = answer.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        Ok(items)
    }

    /// A page of an index: at most `limit` hints, and where the next page starts.
    pub async fn index(
        &self,
        index: Index,
        pk: &str,
        range: Range,
        order: Order,
        limit: usize,
        start: Option<Cursor>,
    ) -> Result<Page, Broken> {
        let (partition, sort) = index.attributes();
        let (expression, names, values) = range.condition(partition, sort, pk);
        let start = start.map(|cursor| {
            let mut item = cursor.key.attributes();
            item.insert(partition.to_owned(), AttributeValue::S(pk.to_owned()));
            item.insert(sort.to_owned(), AttributeValue::S(cursor.sort));
            item
        });
        let answer = self
            .dynamodb()
            .query()
            .table_name(self.table())
            .index_name(index.name())
            .key_condition_expression(expression)
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values))
            .scan_index_forward(order == Order::Ascending)
            .limit(i32::try_from(limit.max(1)).unwrap_or(i32::MAX))
            .set_exclusive_start_key(start)
            .set_return_consumed_capacity(self.seam().capacity())
            .send()
            .await
            .map_err(|cause| broken("Query", cause))?;
        let entry =
            |item: &Item| Some(Entry { key: Key::of(item)?, sort: text(item, sort)?.to_owned() });
        Ok(Page {
            entries: answer.items.unwrap_or_default().iter().filter_map(entry).collect(),
            next: answer
                .last_evaluated_key
                .as_ref()
                .and_then(entry)
                .map(|last| Cursor { key: last.key, sort: last.sort }),
        })
    }
}

type Bound = (String, HashMap<String, String>, Item);

impl Range {
    fn condition(&self, partition: &str, sort: &str, pk: &str) -> Bound {
        let mut names = HashMap::from([("#p".to_owned(), partition.to_owned())]);
        let mut values = HashMap::from([(":p".to_owned(), AttributeValue::S(pk.to_owned()))]);
        let (tail, bounds): (&str, Vec<&String>) = match self {
            Self::All => ("", vec![]),
            Self::AtMost(a) => (" AND #s <= :a", vec![a]),
            Self::AtLeast(a) => (" AND #s >= :a", vec![a]),
            Self::Between(a, b) => (" AND #s BETWEEN :a AND :b", vec![a, b]),
            Self::Prefix(a) => (" AND begins_with(#s, :a)", vec![a]),
        };
        for (name, bound) in [":a", ":b"].into_iter().zip(&bounds) {
            values.insert(name.to_owned(), AttributeValue::S((*bound).clone()));
        }
        if !bounds.is_empty() {
            names.insert("#s".to_owned(), sort.to_owned());
        }
        (format!("#p = :p{tail}"), names, values)
    }
}

/// An SDK error of a read, after the SDK's own retries.
pub(crate) fn broken<E>(
    op: &'static str,
    cause: aws_sdk_dynamodb::error::SdkError<E, aws_sdk_dynamodb::config::http::HttpResponse>,
) -> Broken
where
    E: aws_sdk_dynamodb::error::ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match outcome(&cause) {
        Outcome::Throttled | Outcome::Conflict => Broken::busy(op, cause),
        _ => Broken::new(op, cause),
    }
}
