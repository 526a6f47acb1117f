//! One file per operation of the contract.

mod auth_login;
mod auth_logout;
mod auth_refresh;
mod auth_register;
mod credit_balance;
mod credit_checkout;
mod credit_deduct;
mod credit_history;
mod credit_usage;
mod health_alias;
mod job_cancel;
mod job_dispatch;
mod job_get;
mod job_list;
mod job_result;
mod ledger_anchors;
mod ledger_proof;
mod ledger_verify;
mod metrics;
mod node_heartbeat;
mod node_list;
mod node_register;
mod ready;
mod stripe_webhook;
mod version;

use framefair_http::surface::Operations;
use utoipa_axum::routes;

/// Every operation of the face by its operationId.
pub(crate) fn all() -> Operations {
    vec![
        ("version", || routes!(version::version)),
        ("metrics", || routes!(metrics::metrics)),
        ("healthAlias", || routes!(health_alias::health_alias)),
        ("ready", || routes!(ready::ready)),
        ("register", || routes!(auth_register::register)),
        ("login", || routes!(auth_login::login)),
        ("refresh", || routes!(auth_refresh::refresh)),
        ("logout", || routes!(auth_logout::logout)),
        ("creditBalance", || routes!(credit_balance::credit_balance)),
        ("creditHistory", || routes!(credit_history::credit_history)),
        ("creditDeduct", || routes!(credit_deduct::credit_deduct)),
        ("creditCheckout", || routes!(credit_checkout::credit_checkout)),
        ("creditUsage", || routes!(credit_usage::credit_usage)),
        ("jobDispatch", || routes!(job_dispatch::job_dispatch)),
        ("jobList", || routes!(job_list::job_list)),
        ("jobGet", || routes!(job_get::job_get)),
        ("jobCancel", || routes!(job_cancel::job_cancel)),
        ("jobResult", || routes!(job_result::job_result)),
        ("nodeRegister", || routes!(node_register::node_register)),
        ("nodeList", || routes!(node_list::node_list)),
        ("nodeHeartbeat", || routes!(node_heartbeat::node_heartbeat)),
        ("stripeWebhook", || routes!(stripe_webhook::stripe_webhook)),
        ("ledgerProof", || routes!(ledger_proof::ledger_proof)),
        ("ledgerVerify", || routes!(ledger_verify::ledger_verify)),
        ("ledgerAnchors", || routes!(ledger_anchors::ledger_anchors)),
    ]
}
