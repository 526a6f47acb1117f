//! When a call shall fail, and how. Knows chance and scripts; does nothing itself.

use std::collections::HashMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::connector::{Op, Service};

/// Any operation, in [`Faults::often`] and [`Faults::nth`].
pub const ANY: &str = "*";
/// Any write of the table, in the same places.
pub const WRITES: &str = "writes";

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Refused for its rate; not applied.
    Throttle,
    /// A write met another transaction; not applied. Without effect on reads.
    Conflict,
    /// Applied, but the answer is lost.
    TimeoutAfterCommit,
    /// The connection breaks before the call is sent.
    ErrorBefore,
    /// Arrives twice; the first answer counts. A second message, for a queue.
    Duplicate,
    /// The process dies before the call leaves it: the call never returns, and
    /// [`super::Seam::stopped`] does.
    DieBefore,
    /// The process dies when the call has taken effect.
    DieAfter,
    /// The process falls asleep before the call leaves it, and goes on when the faults end.
    Sleep,
    /// An index read that misses the newest writes, as [`Faults::lag`] says. Without effect on
    /// other calls.
    StaleIndex,
}

/// How far a stale index is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lag {
    /// The last so many writes that moved an index row.
    Writes(usize),
    Time(Duration),
}

/// A plan of faults: a script first, then chance. The same seed and the same order of calls give
/// the same faults.
#[derive(Clone, Debug)]
pub struct Faults {
    chance: StdRng,
    often: Vec<(&'static str, Fault, u32)>,
    script: Vec<(&'static str, u64, Fault)>,
    seen: HashMap<String, u64>,
    lag: Lag,
    injected: u64,
}

impl Faults {
    pub fn seeded(seed: u64) -> Self {
        Self {
            chance: StdRng::seed_from_u64(seed),
            often: Vec::new(),
            script: Vec::new(),
            seen: HashMap::new(),
            lag: Lag::Time(Duration::from_millis(300)),
            injected: 0,
        }
    }

    /// Fails `per_mille` of a thousand calls of `op` (as the protocol spells it, or [`ANY`]).
    #[must_use]
    pub fn often(mut self, op: &'static str, fault: Fault, per_mille: u32) -> Self {
        self.often.push((op, fault, per_mille));
        self
    }

    /// Fails the `n`-th round trip of `op` from now, counted from 1, retries included.
    #[must_use]
    pub fn nth(mut self, op: &'static str, n: u64, fault: Fault) -> Self {
        self.script.push((op, n, fault));
        self
    }

    #[must_use]
    pub fn lag(mut self, lag: Lag) -> Self {
        self.lag = lag;
        self
    }

    pub(super) fn lag_of_indexes(&self) -> Option<Lag> {
        let stale = |fault: &Fault| *fault == Fault::StaleIndex;
        let armed = self.often.iter().any(|(_, fault, _)| stale(fault))
            || self.script.iter().any(|(_, _, fault)| stale(fault));
        armed.then_some(self.lag)
    }

    pub(super) fn injected(&self) -> u64 {
        self.injected
    }

    pub(super) fn plan(&mut self, op: &Op) -> Option<Fault> {
        let of_op = bump(&mut self.seen, &op.name);
        let of_any = bump(&mut self.seen, ANY);
        let of_writes = if op.is_write() { bump(&mut self.seen, WRITES) } else { 0 };
        let scripted = self.script.iter().find(|(name, n, fault)| {
            let count = match *name {
                ANY => of_any,
                WRITES => of_writes,
                _ => of_op,
            };
            op.is(name) && *n == count && fault.applies(op)
        });
        let fault = match scripted {
            Some((_, _, fault)) => Some(*fault),
            None => {
                let chance = &mut self.chance;
                self.often
                    .iter()
                    .filter(|(name, fault, _)| op.is(name) && fault.applies(op))
                    .find(|(_, _, per_mille)| chance.random_range(0..1000) < *per_mille)
                    .map(|(_, fault, _)| *fault)
            }
        };
        self.injected += u64::from(fault.is_some());
        fault
    }
}

fn bump(seen: &mut HashMap<String, u64>, name: &str) -> u64 {
    let count = seen.entry(name.to_owned()).or_default();
    *count += 1;
    *count
}

impl Op {
    fn is_write(&self) -> bool {
        self.service == Service::Table && self.writes()
    }

    fn is(&self, name: &str) -> bool {
        name == ANY || name == self.name || (name == WRITES && self.is_write())
    }
}

impl Fault {
    fn applies(self, op: &Op) -> bool {
        match self {
            Self::Conflict => op.is_write(),
            Self::StaleIndex => op.service == Service::Table && op.name == "Query" && op.index,
            Self::Throttle
            | Self::TimeoutAfterCommit
            | Self::ErrorBefore
            | Self::Duplicate
            | Self::DieBefore
            | Self::DieAfter
            | Self::Sleep => true,
        }
    }
}
