//! Instants as this face writes them.

use framefair_domain::time::Timestamp;
use serde::{Serialize, Serializer};

/// RFC 3339 in UTC with `Z`; three digits of a fraction, none where it is zero.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time(pub(crate) Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let instant = jiff::Timestamp::from_millisecond(self.0.0);
        let instant = instant.map_err(serde::ser::Error::custom)?;
        let text = match self.0.0.rem_euclid(1_000) {
            0 => format!("{instant:.0}"),
            _ => format!("{instant:.3}"),
        };
        to.serialize_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_has_three_digits_or_none() {
        for (ms, text) in [
            (1_773_403_200_000, "\"2026-03-13T12:00:00Z\""),
            (1_773_403_200_070, "\"2026-03-13T12:00:00.070Z\""),
            (0, "\"1970-01-01T00:00:00Z\""),
        ] {
            assert_eq!(serde_json::to_string(&Time(Timestamp(ms))).expect("JSON"), text);
        }
    }
}
