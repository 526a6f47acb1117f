//! Amounts and ratings as JSON numbers, written from integers without a float between.

use framefair_domain::money::Lamports;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// An amount in SOL, as a JSON number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sol(pub Lamports);

/// A number with one decimal, from its tenths.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tenths(pub u64);

impl Serialize for Sol {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        number(self.0.to_sol(), to)
    }
}

impl Serialize for Tenths {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let (whole, tenth) = (self.0 / 10, self.0 % 10);
        let text = if tenth == 0 { whole.to_string() } else { format!("{whole}.{tenth}") };
        number(text, to)
    }
}

fn number<S: Serializer>(text: String, to: S) -> Result<S::Ok, S::Error> {
    RawValue::from_string(text).map_err(serde::ser::Error::custom)?.serialize(to)
}
