//! `GET /api/v1/ledger/{entry_id}/proof`: the way from an entry to an anchored root.

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
pub(crate) struct Shown {
    entry_id: i64,
    merkle_root: String,
    proof_hashes: Vec<String>,
    directions: Vec<&'static str>,
    anchor_tx_hash: TxSignature,
    block_number: u64,
    leaf_index: u32,
    tree_size: usize,
    leaf_hash: String,
    leaf: String,
}

#[utoipa::path(get, path = "/api/v1/ledger/{entry_id}/proof", operation_id = "ledgerProof", tag = "Ledger",
    params(("entry_id" = String, Path)),
    responses((status = 200, description = "inclusion proof"), (status = 401, description = "not authenticated"),
        (status = 404, description = "unknown, or not anchored yet"), (status = 422, description = "no such name")))]
pub(crate) async fn ledger_proof(
    State(api): State<Api>,
    User(person, _): User<Creator>,
    PathEntry(name): PathEntry,
) -> Result<Json<Shown>, Error> {
    let proof = ledger::proof(&api.ctx, person.id, name).await?;
    Ok(Json(Shown {
        entry_id: proof.number,
        merkle_root: digits(&proof.root),
        proof_hashes: proof.steps.iter().map(|step| digits(&step.sibling)).collect(),
        directions: proof.steps.iter().map(|step| step.side.word()).collect(),
        anchor_tx_hash: proof.transaction,
        block_number: proof.slot,
        leaf_index: proof.index,
        tree_size: proof.size,
        leaf_hash: digits(&proof.leaf_hash),
        leaf: proof.leaf,
    }))
}
