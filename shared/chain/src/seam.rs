//! Counts every call to a node and, in tests, breaks some of them. Knows no node and no meaning.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

/// The one place that all calls pass. Clones share their counts and their faults.
#[derive(Clone, Debug, Default)]
pub struct Seam(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    counts: BTreeMap<&'static str, u64>,
    /// In the order in which they were planned; each holds for `left` more calls of its method.
    planned: Vec<Planned>,
    storm: Option<Storm>,
}

#[derive(Debug)]
struct Storm {
    chance: StdRng,
    often: Vec<(Fault, u32)>,
    injected: u64,
}

#[derive(Debug)]
struct Planned {
    method: String,
    fault: Fault,
    left: u32,
}

/// How a call goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Nothing reaches the node.
    Unreachable,
    /// The node carries the call out, and its answer is lost.
    TimeoutAfter,
    /// The call waits first; the time-out counts this time too.
    Delay(Duration),
    /// The node is not asked; this is its result. For nodes that lie.
    Answer(Value),
    /// The node is not asked; this is its refusal.
    Refusal(i64, &'static str),
}

impl Seam {
    pub fn new() -> Seam {
        Seam::default()
    }

    /// Calls so far by method, in alphabetical order. A call counts even when a fault ate it.
    pub fn snapshot(&self) -> Vec<(&'static str, u64)> {
        self.lock().counts.iter().map(|(method, count)| (*method, *count)).collect()
    }

    /// Calls of one method so far.
    pub fn count(&self, method: &str) -> u64 {
        self.lock().counts.get(method).copied().unwrap_or(0)
    }

    /// The next `times` calls of `method` meet `fault`. Faults of one method are met in the order
    /// in which they were planned.
    pub fn inject(&self, method: &str, fault: Fault, times: u32) {
        let planned = Planned { method: method.to_owned(), fault, left: times };
        self.lock().planned.push(planned);
    }

    /// From now on each fault meets so many of a thousand calls of any method that no planned fault
    /// is for.
    pub fn inject_often(&self, seed: u64, often: impl IntoIterator<Item = (Fault, u32)>) {
        let (chance, often) = (StdRng::seed_from_u64(seed), often.into_iter().collect());
        self.lock().storm = Some(Storm { chance, often, injected: 0 });
    }

    /// Forgets all faults that are still to come; returns how many calls met one by chance.
    pub fn heal(&self) -> u64 {
        let mut inner = self.lock();
        inner.planned.clear();
        inner.storm.take().map_or(0, |storm| storm.injected)
    }

    /// Counts a call and says what is to go wrong with it.
    pub(crate) fn enter(&self, method: &'static str) -> Option<Fault> {
        let mut inner = self.lock();
        *inner.counts.entry(method).or_insert(0) += 1;
        inner.planned.retain(|planned| planned.left > 0);
        match inner.planned.iter_mut().find(|planned| planned.method == method) {
            Some(planned) => {
                planned.left -= 1;
                Some(planned.fault.clone())
            }
            None => inner.storm.as_mut()?.draw(),
        }
    }

    /// A count is still right after a panic elsewhere.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Storm {
    fn draw(&mut self) -> Option<Fault> {
        let chance = &mut self.chance;
        let met = self.often.iter().find(|(_, often)| chance.random_range(0..1000) < *often)?;
        self.injected += 1;
        Some(met.0.clone())
    }
}
