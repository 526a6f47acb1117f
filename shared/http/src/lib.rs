//! What every face does the same way: reading input under limits, turning a refusal into its
//! answer, and running as a Lambda. Knows no path and no shape of any face.

mod body;
mod face;
pub mod lambda;
mod layers;
pub mod rate;
mod spool;

use framefair_app::{Call, Ctx};

pub use body::{Bearer, FormParts, JsonBody, PathId, QueryOf, strict_json};
pub use face::{Face, Refused};
pub use layers::frame;
pub use spool::{Form, FormLimits, Spooled, read_form};

/// The state of every router.
#[derive(Clone)]
pub struct Api {
    pub ctx: Ctx,
}

impl Api {
    pub fn new(ctx: Ctx) -> Api {
        Api { ctx }
    }

    /// The time and the chance of one request.
    pub fn call(&self) -> Call {
        Call::live()
    }
}

/// JSON bodies are at most this long.
pub const JSON_BYTES_MAX: usize = 1 << 20;
