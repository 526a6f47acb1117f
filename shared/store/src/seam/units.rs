//! What a write must cost by the rules, from the items before and after it: the yardstick that the
//! service's own numbers are held to.

use aws_sdk_dynamodb::types::AttributeValue;

use crate::table::{Index, Item, PK, SK, text};

const UNIT: usize = 1_024;

/// Write units of one item: the larger of both images, twice in a transaction; and each index
/// row that was written, moved (two) or removed.
pub(crate) fn write(before: Option<&Item>, after: Option<&Item>, transaction: bool) -> u64 {
    let size = before.map_or(0, item_size).max(after.map_or(0, item_size));
    let base = units(size) * if transaction { 2 } else { 1 };
    let moved: u64 = Index::ALL
        .into_iter()
        .map(|index| {
            let old = before.and_then(|item| row(item, index));
            let new = after.and_then(|item| row(item, index));
            if old == new {
                return 0;
            }
            [old, new].into_iter().flatten().map(|(_, size)| units(size)).sum()
        })
        .sum();
    base + moved
}

/// An index row: its keys, and its size, which is that of the four key attributes.
fn row(item: &Item, index: Index) -> Option<((String, String), usize)> {
    let (partition, sort) = index.attributes();
    let keys = (text(item, partition)?.to_owned(), text(item, sort)?.to_owned());
    let size = [PK, SK, partition, sort]
        .into_iter()
        .map(|name| name.len() + text(item, name).map_or(0, str::len))
        .sum();
    Some((keys, size))
}

fn units(size: usize) -> u64 {
    size.div_ceil(UNIT).max(1) as u64
}

fn item_size(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + value_size(value)).sum()
}

fn value_size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        // About two digits to a byte, and one for the exponent; and one for a sign.
        AttributeValue::N(text) => {
            let digits = text.chars().filter(char::is_ascii_digit).count();
            digits.div_ceil(2) + 1 + usize::from(text.starts_with('-'))
        }
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::L(values) => 3 + values.iter().map(|v| 1 + value_size(v)).sum::<usize>(),
        AttributeValue::M(map) => {
            3 + map.iter().map(|(k, v)| k.len() + 1 + value_size(v)).sum::<usize>()
        }
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::{Config, Entity, Indexes, Key, Seam, Store, Update, When, Write, setup};

    #[derive(Clone, Serialize, Deserialize)]
    struct Row {
        body: String,
        due: Option<String>,
        owner: Option<String>,
    }

    impl Entity for Row {
        fn key(&self) -> Key {
            Key::new("ROW", "A")
        }

        fn indexes(&self) -> Indexes {
            Indexes {
                due: self.due.clone().map(|due| ("DUE".to_owned(), due)),
                owner: self.owner.clone().map(|owner| (owner, "A".to_owned())),
                state: None,
            }
        }
    }

    fn row(bytes: usize, due: Option<&str>, owner: Option<&str>) -> Row {
        Row {
            body: "x".repeat(bytes),
            due: due.map(str::to_owned),
            owner: owner.map(str::to_owned),
        }
    }

    #[tokio::test]
    async fn the_services_units_are_those_of_the_rules() {
        let folder = tempfile::tempdir().unwrap();
        let cloud = framefair_devcloud::DevCloud::start(framefair_devcloud::Config {
            data_dir: folder.path().to_owned(),
            addr: "127.0.0.1:0".parse().unwrap(),
            access_key: "k".to_owned(),
            secret_key: "s".to_owned(),
            object_size_max: 1 << 20,
        })
        .await
        .unwrap();
        let seam = Seam::on();
        let store =
            Store::open(Config::local(&cloud.endpoint_url(), "k", "s"), seam.clone()).unwrap();
        setup::ensure(&store, 0).await.unwrap();

        let put = |row: &Row| Write::put(row, When::Always);
        let steps = [
            (put(&row(10, Some("t1"), None)), false),
            (put(&row(10, Some("t1"), None)), true),
            (put(&row(3_000, Some("t2"), Some("o"))), false),
            (put(&row(100, Some("t3"), Some("o"))), true),
            (put(&row(100, None, Some("p"))), false),
            (Update::at(Key::new("ROW", "A"), When::Always).add("n", -12_345).into(), false),
            (
                Update::at(Key::new("ROW", "A"), When::Always).indexes(&Indexes::default()).into(),
                true,
            ),
            (put(&row(2_000, Some("t4"), None)), true),
            (Write::delete(Key::new("ROW", "A"), When::Always), false),
            (Write::delete(Key::new("ROW", "A"), When::Always), true),
        ];
        for (n, (step, transaction)) in steps.into_iter().enumerate() {
            let key = step.key().clone();
            let before = store.get_item(&key, true).await.unwrap();
            seam.reset();
            if transaction {
                store.transact(vec![step]).await.unwrap();
            } else {
                store.write(step).await.unwrap();
            }
            let charged: u64 = seam.snapshot().iter().map(|cost| cost.wcu).sum();
            let after = store.get_item(&key, true).await.unwrap();
            assert_eq!(charged, write(before.as_ref(), after.as_ref(), transaction), "step {n}");
        }
    }
}
