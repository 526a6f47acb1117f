//! One file per operation of the contract.

mod provider_complete;
mod provider_failed;
mod provider_get;
mod provider_pricing;
mod provider_register;
mod provider_status;
mod providers_list;
mod render_cancel;
mod render_pay;
mod render_result;
mod render_status;
mod render_submit;
mod stats;
mod upload_complete;
mod upload_create;
mod upload_parts;

use framefair_http::surface::Operations;
use utoipa_axum::routes;

/// Every operation of the face by its operationId.
pub(crate) fn all() -> Operations {
    vec![
        ("stats", || routes!(stats::stats)),
        ("providersList", || routes!(providers_list::providers_list)),
        ("providerGet", || routes!(provider_get::provider_get)),
        ("renderSubmit", || routes!(render_submit::render_submit)),
        ("renderPay", || routes!(render_pay::render_pay)),
        ("renderStatus", || routes!(render_status::render_status)),
        ("renderResult", || routes!(render_result::render_result)),
        ("renderCancel", || routes!(render_cancel::render_cancel)),
        ("providerRegister", || routes!(provider_register::provider_register)),
        ("providerStatus", || routes!(provider_status::provider_status)),
        ("providerPricing", || routes!(provider_pricing::provider_pricing)),
        ("providerComplete", || routes!(provider_complete::provider_complete)),
        ("providerFailed", || routes!(provider_failed::provider_failed)),
        ("uploadCreate", || routes!(upload_create::upload_create)),
        ("uploadParts", || routes!(upload_parts::upload_parts)),
        ("uploadComplete", || routes!(upload_complete::upload_complete)),
    ]
}
