//! What every face does the same way: reading input under limits, turning a refusal into its
//! answer, and running as a Lambda. Knows no path and no shape of any face.

mod body;
mod caller;
mod face;
mod form;
mod front;
pub mod lambda;
mod layers;
mod measure;
mod origins;
pub mod rate;
pub mod surface;
mod whole;

use std::sync::Arc;

use framefair_app::{Call, Ctx};
use rate::Counters;

pub use body::{
    Bearer, Checked, CheckedQuery, FormParts, JsonBody, PathId, QueryOf, RawBody, drain,
    strict_json,
};
pub use caller::{Caller, Named, Node, PROOF, User, address};
pub use face::{Face, Refused};
pub use form::{Form, FormFile, TEXT_BYTES_MAX, TEXTS_MAX, read_form};
pub use front::{Front, WeakSecret};
pub use layers::frame;
pub use measure::{Flush, flush_for_ever, measured};
pub use origins::{EveryOrigin, Origins};
pub use whole::Whole;

/// The state of every router.
#[derive(Clone)]
pub struct Api {
    pub ctx: Ctx,
    accounts: Arc<Counters>,
}

impl Api {
    pub fn new(ctx: Ctx) -> Api {
        Api { ctx, accounts: Arc::default() }
    }

    /// The time and the chance of one request.
    pub fn call(&self) -> Call {
        Call::live()
    }
}

/// What this deployment is called: `production`, `staging`, or `local`.
pub fn environment() -> String {
    std::env::var("ENVIRONMENT").unwrap_or_else(|_| "local".into())
}

/// Whether what is a convenience elsewhere is a danger here.
pub fn is_production() -> bool {
    environment() == "production"
}

/// What a deployment says that lives.
pub fn alive() -> serde_json::Value {
    serde_json::json!({
        "status": "healthy", "service": "framefair",
        "version": env!("CARGO_PKG_VERSION"), "environment": environment(),
    })
}

/// JSON bodies are at most this long.
pub const JSON_BYTES_MAX: usize = 1 << 20;
/// Forms are at most this long, beside the file; the gateway carries no more of both.
pub const FORM_BYTES_MAX: usize = framefair_app::uploads::INLINE_BYTES_MAX as usize;
/// A body that is read as a whole must be here within this time.
pub const BODY_WITHIN: std::time::Duration = std::time::Duration::from_secs(60);
