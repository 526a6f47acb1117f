//! What a client of the market may ask for: a quote, a payment's acceptance, the job, its result,
//! and to have it back.

mod cancel;
mod choice;
mod named;
mod pay;
mod request;
mod scene;
mod view;

pub use cancel::{Cancel, cancel};
pub(crate) use choice::{candidate, price_of};
pub(crate) use pay::accept;
pub use pay::{Paid, pay};
pub use request::{Offer, Quote, Submission, WantedSettings, request};
pub use scene::Scene;
pub use view::{JobView, RenderResult, job, result};

pub use framefair_store::rows::{MarketJob, OutputFormat};

/// How much of a scene's beginning is read.
const SCENE_HEAD_BYTES: usize = framefair_blend::HEAD_BYTES;
