//! Nodes of the fleet: they register by a key, get a token for it, and show that they live.

mod admit;
mod beat;
mod capable;
mod capacity;
mod census;
mod connect;
mod register;

use framefair_domain::id::ProviderId;
use uuid::Uuid;

pub use admit::admit;
pub(crate) use beat::calls;
pub use beat::{Beat, authenticate, beat};
use capable::list;
pub(crate) use capable::{busier, kinds, moved, rank};
pub use capacity::{COUNTED_MAX, Capacity, Nodes, capacity};
pub use census::Census;
pub(crate) use census::census;
pub use connect::connect;
pub(crate) use connect::{came, left};
pub use framefair_domain::fleet::Health;
pub(crate) use register::claimed;
pub use register::{Enrolled, Enrolment, register};

/// A node whose token is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    pub id: ProviderId,
    pub(crate) token: Uuid,
}

/// What a node says of itself, as JSON, is at most this long.
const METADATA_BYTES_MAX: usize = 16 << 10;

type Metadata = serde_json::Map<String, serde_json::Value>;

fn metadata_fits(metadata: &Option<Metadata>, (): &()) -> garde::Result {
    let bytes = metadata.as_ref().and_then(|metadata| serde_json::to_vec(metadata).ok());
    match bytes.is_none_or(|bytes| bytes.len() <= METADATA_BYTES_MAX) {
        true => Ok(()),
        false => Err(garde::Error::new("at most 16 KiB of JSON")),
    }
}
