//! One file per operation of the contract.

mod auth_login;
mod auth_logout;
mod auth_refresh;
mod auth_register;
mod credit_balance;
mod credit_deduct;
mod credit_history;
mod credit_usage;
mod health_alias;
mod ledger_anchors;
mod ledger_proof;
mod ledger_verify;
mod ready;
mod version;

use framefair_http::surface::Operations;
use utoipa_axum::routes;

/// Every operation of the face by its operationId.
pub(crate) fn all() -> Operations {
    vec![
        ("version", || routes!(version::version)),
        ("healthAlias", || routes!(health_alias::health_alias)),
        ("ready", || routes!(ready::ready)),
        ("register", || routes!(auth_register::register)),
        ("login", || routes!(auth_login::login)),
        ("refresh", || routes!(auth_refresh::refresh)),
        ("logout", || routes!(auth_logout::logout)),
        ("creditBalance", || routes!(credit_balance::credit_balance)),
        ("creditHistory", || routes!(credit_history::credit_history)),
        ("creditDeduct", || routes!(credit_deduct::credit_deduct)),
        ("creditUsage", || routes!(credit_usage::credit_usage)),
        ("ledgerProof", || routes!(ledger_proof::ledger_proof)),
        ("ledgerVerify", || routes!(ledger_verify::ledger_verify)),
        ("ledgerAnchors", || routes!(ledger_anchors::ledger_anchors)),
    ]
}
