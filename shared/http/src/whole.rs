//! Whole numbers as JSON has them: `33437.0` is one, whatever a client's language calls it.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

/// A whole number that fits into `N`, with or without a point and zeros behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole<N>(pub N);

/// Up to here each whole number has a floating point of its own.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

impl<'de, N: TryFrom<i64>> Deserialize<'de> for Whole<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Number(PhantomData))
    }
}

struct Number<N>(PhantomData<N>);

impl<N: TryFrom<i64>> Visitor<'_> for Number<N> {
    type Value = Whole<N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number in range")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Whole<N>, E> {
        let out_of_range = |_| E::invalid_value(Unexpected::Signed(number), &self);
        number.try_into().map(Whole).map_err(out_of_range)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Whole<N>, E> {
        let out_of_range = |_| E::invalid_value(Unexpected::Unsigned(number), &self);
        i64::try_from(number).map_err(out_of_range).and_then(|number| self.visit_i64(number))
    }

    #[expect(clippy::cast_possible_truncation, reason = "whole and within what is exact")]
    fn visit_f64<E: Error>(self, number: f64) -> Result<Whole<N>, E> {
        if number.fract() != 0.0 || number.abs() > EXACT_MAX {
            return Err(E::invalid_value(Unexpected::Float(number), &self));
        }
        self.visit_i64(number as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_and_zeros_make_no_other_number() {
        let read = |json| serde_json::from_str::<Whole<u32>>(json).ok().map(|it| it.0);
        for (json, number) in [("7", 7), ("7.0", 7), ("0.7e1", 7), ("4294967295", u32::MAX)] {
            assert_eq!(read(json), Some(number), "{json}");
        }
        for json in ["7.5", "-7", "4294967296", "1e300", "18446744073709551615", "\"7\"", "null"] {
            assert_eq!(read(json), None, "{json}");
        }
        let far = serde_json::from_str::<Whole<i64>>("9007199254740994.0").map(|it| it.0);
        assert!(far.is_err(), "{far:?}");
    }
}
