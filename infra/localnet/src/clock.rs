//! Which slot it is and when a slot was. Knows nothing of blocks; is told the time, never asks.
//!
//! Slots follow from a *segment*: a first slot, the time it began and the length of a slot. A
//! restart, a warp or a clock that was set begins a new one, so that the time of any slot can be
//! told for ever from a handful of records.

use serde::{Deserialize, Serialize};

/// Block height 0. Slots before it were never produced, so that a client which takes a slot for a
/// block height (on a real cluster they drift apart, too) is found out at once.
pub const FIRST_SLOT: u64 = 2_000;
pub(crate) const SLOTS_PER_EPOCH: u64 = 432_000;
/// A chain is born with a finalized slot.
pub(crate) const BIRTH_SLOT: u64 = FIRST_SLOT + crate::chain::FINALIZED_AFTER;
/// A process that was starved catches up by at most this many slots at once: lost time is lost,
/// rather than expiring every blockhash in one leap.
const CATCH_UP_MAX: u64 = 4;
/// The wall clock and the chain's may part this far before the chain follows.
const DRIFT_MS_MAX: i64 = 1_500;

/// Two clocks, read together by the caller.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    /// Never steps back; its zero means nothing.
    pub(crate) steady_ms: u64,
    pub(crate) unix_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Segment {
    pub(crate) slot: u64,
    pub(crate) unix_ms: i64,
    pub(crate) slot_ms: u64,
    /// How far tests have pushed the chain's time ahead of the wall's.
    pub(crate) ahead_ms: i64,
}

pub(crate) struct SlotClock {
    /// Ascending by slot, never empty.
    segments: Vec<Segment>,
    began: Now,
    tip: u64,
}

impl SlotClock {
    pub(crate) fn resume(mut past: Vec<Segment>, tip: u64, slot_ms: u64, now: Now) -> Self {
        let ahead_ms = past.last().map_or(0, |last| last.ahead_ms);
        let floor_ms =
            if past.is_empty() { i64::MIN } else { time_ms(&past, tip.saturating_sub(1)) };
        past.push(Segment {
            slot: tip,
            unix_ms: (now.unix_ms + ahead_ms).max(floor_ms),
            slot_ms,
            ahead_ms,
        });
        Self { segments: past, began: now, tip }
    }

    pub(crate) fn tip(&self) -> u64 {
        self.tip
    }

    pub(crate) fn segment(&self) -> Segment {
        // `resume` puts one in and nothing takes it out.
        self.segments[self.segments.len() - 1]
    }

    /// Moves on to the slot that `now` falls in. True when a new segment had to begin.
    pub(crate) fn advance(&mut self, now: Now) -> bool {
        let segment = self.segment();
        let elapsed = now.steady_ms.saturating_sub(self.began.steady_ms);
        let due = segment.slot + elapsed / segment.slot_ms;
        if due <= self.tip {
            return false;
        }
        let floor_ms = self.time_ms(self.tip);
        let late = due - self.tip > CATCH_UP_MAX;
        self.tip = due.min(self.tip + CATCH_UP_MAX);
        let told = segment.unix_ms.saturating_add_unsigned(elapsed);
        let drifted = (now.unix_ms + segment.ahead_ms - told).abs() > DRIFT_MS_MAX;
        if late || drifted {
            self.begin(now, segment.ahead_ms, floor_ms);
        }
        late || drifted
    }

    /// Jumps over `slots` slots (one at least), and over `seconds` of block time.
    pub(crate) fn warp(&mut self, slots: u64, seconds: u32, now: Now) {
        let floor_ms = self.time_ms(self.tip);
        self.tip = self.tip.saturating_add(slots.max(1));
        self.begin(now, self.segment().ahead_ms + i64::from(seconds) * 1_000, floor_ms);
    }

    fn begin(&mut self, now: Now, ahead_ms: i64, floor_ms: i64) {
        self.began = now;
        self.segments.push(Segment {
            slot: self.tip,
            unix_ms: (now.unix_ms + ahead_ms).max(floor_ms),
            slot_ms: self.segment().slot_ms,
            ahead_ms,
        });
    }

    /// Until the next slot begins.
    pub(crate) fn wait_ms(&self, now: Now) -> u64 {
        let segment = self.segment();
        let next = (self.tip + 1 - segment.slot) * segment.slot_ms;
        (self.began.steady_ms + next).saturating_sub(now.steady_ms).max(1)
    }

    /// When `slot` began, in Unix seconds.
    pub(crate) fn time(&self, slot: u64) -> i64 {
        self.time_ms(slot).div_euclid(1_000)
    }

    fn time_ms(&self, slot: u64) -> i64 {
        time_ms(&self.segments, slot)
    }
}

fn time_ms(segments: &[Segment], slot: u64) -> i64 {
    let after = segments.partition_point(|segment| segment.slot <= slot);
    let Some(segment) = segments.get(after.saturating_sub(1)) else { return 0 };
    let since = slot.saturating_sub(segment.slot).saturating_mul(segment.slot_ms);
    let told = segment.unix_ms.saturating_add_unsigned(since);
    // Warped-over slots crowd before the slot that was warped to.
    segments.get(after).map_or(told, |next| told.min(next.unix_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Now {
        Now { steady_ms: ms, unix_ms: 1_700_000_000_000 + ms as i64 }
    }

    #[test]
    fn slots_follow_the_clock_and_times_follow_the_slots() {
        let mut clock = SlotClock::resume(Vec::new(), BIRTH_SLOT, 400, at(0));
        assert!(!clock.advance(at(399)));
        assert_eq!(clock.tip(), BIRTH_SLOT);
        assert!(!clock.advance(at(1_200)));
        assert_eq!(clock.tip(), BIRTH_SLOT + 3);
        assert_eq!(clock.time(BIRTH_SLOT + 3), 1_700_000_001);
        assert_eq!(clock.wait_ms(at(1_250)), 350);
    }

    #[test]
    fn a_starved_chain_loses_time_instead_of_leaping() {
        let mut clock = SlotClock::resume(Vec::new(), BIRTH_SLOT, 20, at(0));
        assert!(clock.advance(at(10_000)));
        assert_eq!(clock.tip(), BIRTH_SLOT + CATCH_UP_MAX);
        assert_eq!(clock.time(clock.tip()), 1_700_000_010);
        assert!(!clock.advance(at(10_020)));
        assert_eq!(clock.tip(), BIRTH_SLOT + CATCH_UP_MAX + 1);
    }

    #[test]
    fn block_time_never_runs_backwards() {
        let mut clock = SlotClock::resume(Vec::new(), BIRTH_SLOT, 400, at(0));
        let mut last = clock.time(BIRTH_SLOT);
        for (steady_ms, unix_ms) in [(800, 5_000), (1_200, -9_000), (4_000, 20_000)] {
            let now = Now { steady_ms, unix_ms: 1_700_000_000_000 + unix_ms };
            clock.advance(now);
            assert!(clock.time(clock.tip()) >= last);
            last = clock.time(clock.tip());
        }
        let now = Now { steady_ms: 5_000, unix_ms: 1_700_000_021_000 };
        clock.warp(500, 60, now);
        assert!(clock.time(clock.tip() - 250) >= last);
        assert!(clock.time(clock.tip()) >= last + 60);
    }
}
