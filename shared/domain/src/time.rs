//! Instants and durations in whole milliseconds. Knows no clock.

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01 UTC.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This instant moved by `ms`, saturating at the ends of the scale.
    pub const fn plus_ms(self, ms: i64) -> Timestamp {
        Timestamp(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this instant; negative when it lies before.
    pub const fn since_ms(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// RFC 3339 in UTC with `Z`: three digits of a fraction, none where it is zero.
    pub fn to_rfc3339(self) -> String {
        let instant = jiff::Timestamp::from_millisecond(self.0).unwrap_or_default();
        match self.0.rem_euclid(1_000) {
            0 => format!("{instant:.0}"),
            _ => format!("{instant:.3}"),
        }
    }

    /// Reads RFC 3339 with any offset.
    pub fn from_rfc3339(text: &str) -> Option<Timestamp> {
        text.parse::<jiff::Timestamp>().ok().map(|instant| Timestamp(instant.as_millisecond()))
    }

    /// Whole seconds since 1970, rounded towards the past.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }
}

pub const SECOND_MS: i64 = 1_000;
pub const MINUTE_MS: i64 = 60 * SECOND_MS;
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
pub const DAY_MS: i64 = 24 * HOUR_MS;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_has_three_digits_or_none() {
        for (ms, text) in [
            (1_773_403_200_000, "2026-03-13T12:00:00Z"),
            (1_773_403_200_070, "2026-03-13T12:00:00.070Z"),
            (0, "1970-01-01T00:00:00Z"),
        ] {
            assert_eq!(Timestamp(ms).to_rfc3339(), text);
        }
    }
}
