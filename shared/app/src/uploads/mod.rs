//! Files on their way in, before anything is made of them: begun under a quota, sent in parts by
//! links or by the ingest, completed, and taken over once. What nobody takes over is removed.

mod begin;
mod finish;
mod pass;
mod quota;
mod remove;
mod take;

use framefair_domain::time::{HOUR_MS, MINUTE_MS};

pub use begin::{Begin, Link, Links, PartWanted, begin, begin_named, links};
pub use finish::{finish, joined, put_part};
pub use framefair_store::objects::StoredPart;
pub use framefair_store::rows::{UploadKind, UploadRow};
pub use pass::{Pass, Proof, UploadSecret, WeakSecret};
pub(crate) use quota::{Entry, room};
pub use remove::forget;
pub(crate) use remove::{drop_file, leaving, release_paid, sweep};
pub(crate) use take::{Taken, keep, look, take};

/// Every part but the last has this many bytes.
pub const PART_BYTES: u64 = 16 << 20;
/// How long a client may take over its upload, and let it lie.
pub const LIFE_MS: i64 = 24 * HOUR_MS;
/// How long the ingest may take over one.
pub const INGEST_LIFE_MS: i64 = 3 * HOUR_MS;
/// How long a link to a part is good; another one is to be had for the asking.
const LINK_SECONDS: u64 = 3_600;
/// What one address, or one wallet, may have lying here unpaid.
const LIVE_BYTES_MAX: u64 = 5 << 30;
/// And in how many files.
const LIVE_FILES_MAX: usize = 64;
/// A scene goes this long after its quote has expired.
pub(crate) const SCENE_AFTER_QUOTE_MS: i64 = 30 * MINUTE_MS;

/// Scenes up to this size are sent with the request itself. They fill no quota: the limit of
/// submissions per minute keeps what one address can have lying here under it.
pub const INLINE_BYTES_MAX: u64 = 4_500_000;
