//! Days in UTC, as use is counted by them.

use framefair_domain::time::Timestamp;
use jiff::civil::Date;
use jiff::{Span, tz::TimeZone};

/// One day of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(Date);

impl Day {
    pub(super) fn of(at: Timestamp) -> Day {
        let instant = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
        Day(instant.to_zoned(TimeZone::UTC).date())
    }

    /// So many days before.
    pub(super) fn before(self, days: u32) -> Day {
        Day(self.0.saturating_sub(Span::new().days(days)))
    }

    /// Such as `2026-11`.
    pub(super) fn month(self) -> String {
        self.0.strftime("%Y-%m").to_string()
    }

    /// Where a month keeps what was used on this day.
    pub(super) fn attribute(self) -> String {
        self.0.strftime("d%d").to_string()
    }
}

/// Such as `2026-11-22`.
impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
