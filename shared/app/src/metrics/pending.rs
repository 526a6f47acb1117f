//! What a process has counted and not given to the table yet. Writes nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use framefair_domain::time::Timestamp;
use framefair_store::keys;

use super::FLUSH_EVERY_MS;

/// There are some fifty routes. More than this many items wait for nobody: what comes then is not counted.
const ITEMS_MAX: usize = 1_000;

/// The counts of one process. Cheap to clone; all clones count together.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    pending: Mutex<Pending>,
    sockets: AtomicU32,
}

#[derive(Debug, Default)]
struct Pending {
    /// In the order of their first count.
    items: Vec<(String, BTreeMap<String, i64>)>,
    flushed: Timestamp,
    shard: Option<u8>,
}

/// The name of an item and what is to be added there.
pub(super) type Due = (String, Vec<(String, i64)>);

impl Metrics {
    /// How many sockets stand at this relay, which says so when it renews its slot.
    pub fn sockets_stand(&self, sockets: usize) {
        self.0.sockets.store(u32::try_from(sockets).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    pub(crate) fn sockets(&self) -> u32 {
        self.0.sockets.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, of: &str, counts: &[(&str, i64)]) {
        let mut pending = self.pending();
        let known = pending.items.iter().position(|(item, _)| item == of);
        let at = match known {
            Some(at) => at,
            None if pending.items.len() >= ITEMS_MAX => return,
            None => {
                pending.items.push((of.to_owned(), BTreeMap::new()));
                pending.items.len() - 1
            }
        };
        let Some((_, item)) = pending.items.get_mut(at) else { return };
        for (name, n) in counts {
            let count = item.entry((*name).to_owned()).or_default();
            *count = count.saturating_add(*n);
        }
    }

    pub(super) fn put_back(&self, of: String, counts: Vec<(String, i64)>) {
        let counts: Vec<(&str, i64)> = counts.iter().map(|(name, n)| (name.as_str(), *n)).collect();
        self.add(&of, &counts);
    }

    /// The item that waits for longest, if one may be written now. A clock that was put back is no reason to
    /// wait for ever.
    pub(super) fn take_due(&self, now: Timestamp) -> Option<Due> {
        let mut pending = self.pending();
        let recent = (now.0.saturating_sub(pending.flushed.0)).saturating_abs() < FLUSH_EVERY_MS;
        if recent || pending.items.is_empty() {
            return None;
        }
        pending.flushed = now;
        let (of, counts) = pending.items.remove(0);
        Some((of, counts.into_iter().collect()))
    }

    pub(super) fn take_all(&self) -> Vec<Due> {
        let items = std::mem::take(&mut self.pending().items);
        items.into_iter().map(|(of, counts)| (of, counts.into_iter().collect())).collect()
    }

    /// Where this process adds to, by lot the first time.
    pub(super) fn shard(&self, lot: impl FnOnce() -> u64) -> u8 {
        let shards = u64::from(keys::METRICS_SHARDS);
        let draw = || u8::try_from(lot() % shards).unwrap_or(0);
        *self.pending().shard.get_or_insert_with(draw)
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.0.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
