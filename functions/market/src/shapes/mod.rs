//! The JSON of the contract, in and out.

mod job;
mod money;
mod provider;
mod settings;
mod upload;

use axum::Json;
use serde::Serialize;

pub(crate) use job::{PaymentRequired, RenderJob, status_of};
pub(crate) use money::{Sol, Tenths};
pub(crate) use provider::{ProviderView, RawPricing, Spec};
pub(crate) use settings::read_settings;
pub(crate) use upload::{Parts, Upload, read_parts, read_sha256, uploaded};

/// `{"success": true, "data": …}`.
#[derive(Debug, Serialize)]
pub(crate) struct Envelope<T> {
    success: bool,
    data: T,
}

pub(crate) type Data<T> = Json<Envelope<T>>;

pub(crate) fn data<T>(data: T) -> Data<T> {
    Json(Envelope { success: true, data })
}
