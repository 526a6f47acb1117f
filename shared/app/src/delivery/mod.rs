//! How work meets nodes: connections, leases, progress, uploads and reports. Every write of a node
//! bears the epoch of its lease.

mod connection;
mod dispatch;
mod hand_in;
mod lease;
mod payload;
mod pulse;
mod push;
mod report;
mod upload;

pub use connection::{
    Connected, Session, connect, disconnect, held, is_connected, is_first_relay, leave_relay,
    ready, renew_relay, take_relay,
};
pub(crate) use connection::{SLOTS_MAX, absence, expel, first_row, look_after_providers, stand};
pub use dispatch::{Dispatched, dispatch};
pub(crate) use dispatch::{drop_stale_leases, others_able};
pub use framefair_store::rows::{Connection, ProgressRow, Pulse};
pub use hand_in::{HandIn, Handed, hand_back, hand_in};
use lease::holds;
pub use lease::{Order, Work, assignment, holder, output_word, release};
pub(crate) use lease::{book_attempt, booking, give_up, grant, held_by, held_lease, tell};
pub use payload::Payload;
pub(crate) use pulse::{Overdue, pushed_overdue};
pub use pulse::{Probe, note_holder, note_probe, probes};
pub(crate) use push::pushed_lease;
pub use push::{Dialled, Errand, Parcel, Pushed, errand, open_scene, pushed, settle_doubt};
pub(crate) use report::{AttemptEnd, end_attempt};
pub use report::{Reported, decline, done, failed, give_back, progress};
pub use upload::{Put, want_put};
