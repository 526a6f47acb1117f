//! Instants as this face writes them.

use framefair_domain::time::Timestamp;
use serde::{Serialize, Serializer};

/// RFC 3339 in UTC with `Z`; three digits of a fraction, none where it is zero.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time(pub(crate) Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0.to_rfc3339())
    }
}
