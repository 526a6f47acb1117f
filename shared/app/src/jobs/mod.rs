//! Jobs of creators: dispatched to a node for credits that are held, watched, cancelled, and charged when they
//! complete.

mod breaker;
mod cancel;
mod charge;
mod deliver;
mod dispatch;
mod letters;
mod payload;
mod price;
mod seat;
mod vacancy;
mod view;

use framefair_domain::job::State;
pub use framefair_store::rows::CreatorJob;

pub(crate) use breaker::{failed, has_place};
pub use cancel::cancel;
pub(crate) use charge::{given_up, void};
pub use deliver::{Delivery, deliver, started, verify};
pub(crate) use dispatch::dispatch_again;
pub use dispatch::{Placed, Wish, dispatch};
pub use letters::{DeadLetter, dead_letters, redrive};
pub(crate) use payload::Payload;
pub(crate) use price::prices;
pub use price::set_price;
pub(crate) use vacancy::{arrived, vacated};
pub use view::{Download, Listed, Word, job, list, result};

/// The types that are documented. A node may know others.
pub const TYPES: [&str; 5] = ["render", "inference", "generic", "cpu_benchmark", "echo"];

/// Others wrote the same rows at the same moment: tried again so often.
const TRIES: u32 = 16;

/// The contract's five words for where the engine says that a job stands (ruling 29).
const fn word(state: State) -> Word {
    match state {
        State::AwaitingPayment | State::Queued | State::Held => Word::Queued,
        State::Dispatched => Word::Dispatched,
        State::Running | State::Verifying => Word::Running,
        State::Completed => Word::Completed,
        State::Failed | State::Cancelled => Word::Failed,
    }
}
