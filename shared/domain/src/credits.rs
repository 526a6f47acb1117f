//! Creator credits in ten-thousandths, and their strict reading from decimal text. No floating point
//! anywhere.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::money::NotMoney;

const PER_CREDIT: i64 = 10_000;
const DECIMALS: usize = 4;
const WHOLE_DIGITS_MAX: usize = 12;

/// A sum of credits. A balance may be below zero, after money was taken back that was spent already.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Credits(pub i64);

impl Credits {
    pub const ZERO: Credits = Credits(0);

    pub const fn whole(credits: i64) -> Credits {
        Credits(credits.saturating_mul(PER_CREDIT))
    }

    /// Reads what somebody asks for, such as `10` or `0.0001`: at most twelve digits before the point and
    /// four behind it, no sign.
    pub fn parse(text: &str) -> Result<Credits, NotMoney> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(decimals) {
            return Err(NotMoney::Form);
        }
        if decimals.len() > DECIMALS {
            return Err(NotMoney::Decimals);
        }
        if whole.len() > WHOLE_DIGITS_MAX {
            return Err(NotMoney::Overflow);
        }
        let parts = format!("{whole}{decimals:0<4}");
        parts.parse().map(Credits).map_err(|_| NotMoney::Overflow)
    }

    pub fn checked_add(self, other: Credits) -> Option<Credits> {
        self.0.checked_add(other.0).map(Credits)
    }

    pub fn checked_sub(self, other: Credits) -> Option<Credits> {
        self.0.checked_sub(other.0).map(Credits)
    }
}

/// With exactly four decimals, such as `-0.0500`.
impl fmt::Display for Credits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let parts = self.0.unsigned_abs();
        let per_credit = PER_CREDIT.unsigned_abs();
        write!(f, "{sign}{}.{:04}", parts / per_credit, parts % per_credit)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn credits_are_read_to_the_last_part_and_nothing_else_is_read() {
        for (text, parts) in [
            ("0", 0),
            ("10", 100_000),
            ("10.0", 100_000),
            ("0.0001", 1),
            ("007.5", 75_000),
            ("999999999999.9999", 9_999_999_999_999_999),
        ] {
            assert_eq!(Credits::parse(text), Ok(Credits(parts)), "{text}");
        }
        for text in [
            "", ".", "1.", ".5", "+1", "-1", "1e3", "NaN", "1e999", " 1", "1,0", "1.0.0",
            "\u{0661}",
        ] {
            assert_eq!(Credits::parse(text), Err(NotMoney::Form), "{text}");
        }
        assert_eq!(Credits::parse("0.00001"), Err(NotMoney::Decimals));
        assert_eq!(Credits::parse("1000000000000"), Err(NotMoney::Overflow));
    }

    #[test]
    fn four_decimals_are_always_shown() {
        for (parts, text) in [
            (0, "0.0000"),
            (-500, "-0.0500"),
            (10_000_000, "1000.0000"),
            (i64::MIN, "-922337203685477.5808"),
        ] {
            assert_eq!(Credits(parts).to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(parts in 0..=9_999_999_999_999_999_i64) {
            prop_assert_eq!(Credits::parse(&Credits(parts).to_string()), Ok(Credits(parts)));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = Credits::parse(&text);
        }
    }
}
