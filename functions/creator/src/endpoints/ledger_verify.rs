//! `GET /api/v1/ledger/{entry_id}/verify`: everything recomputed, and the chain read.

use axum::Json;
use axum::extract::State;
use framefair_app::ledger;
use framefair_domain::ledger::digits;
use framefair_domain::wallet::TxSignature;
use framefair_http::{Api, User};
use serde::Serialize;

use crate::Creator;
use crate::face::Error;
use crate::shapes::PathEntry;

#[derive(Debug, Serialize)]
pub(crate) struct Verified {
    verified: bool,
    entry_id: i64,
    merkle_root: String,
    on_chain_root: Option<String>,
    block_number: u64,
    tx_hash: TxSignature,
}

#[utoipa::path(get, path = "/api/v1/ledger/{entry_id}/verify", operation_id = "ledgerVerify", tag = "Ledger",
    params(("entry_id" = String, Path)),
    responses((status = 200, description = "outcome"), (status = 401, description = "not authenticated"),
        (status = 404, description = "unknown, or not anchored yet"), (status = 422, description = "no such name"),
        (status = 503, description = "chain unreachable")))]
pub(crate) async fn ledger_verify(
    State(api): State<Api>,
    User(person, _): User<Creator>,
    PathEntry(name): PathEntry,
) -> Result<Json<Verified>, Error> {
    let verdict = ledger::verify(&api.ctx, person.id, name).await?;
    Ok(Json(Verified {
        verified: verdict.verified,
        entry_id: verdict.number,
        merkle_root: digits(&verdict.root),
        on_chain_root: verdict.on_chain.as_ref().map(digits),
        block_number: verdict.slot,
        tx_hash: verdict.transaction,
    }))
}
