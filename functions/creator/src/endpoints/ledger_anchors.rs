//! `GET /api/v1/ledger/anchors`: what was anchored, newest first.

use axum::Json;
use axum::extract::State;
use framefair_app::{Refusal, ledger};
use framefair_domain::id::BatchId;
use framefair_domain::ledger::digits;
use framefair_domain::time::Timestamp;
use framefair_domain::wallet::{TxSignature, Wallet};
use framefair_http::{Api, CheckedQuery, User};
use garde::Validate;
use serde::{Deserialize, Serialize};

use crate::Creator;
use crate::face::Error;
use crate::shapes::Time;

const PER_PAGE: u64 = 20;

#[derive(Debug, Deserialize, Validate)]
pub(crate) struct Slice {
    #[garde(inner(range(min = 1)))]
    page: Option<u64>,
    #[garde(inner(range(min = 1, max = 100)))]
    per_page: Option<u64>,
    #[garde(skip)]
    since: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Anchor {
    id: BatchId,
    merkle_root: String,
    tx_hash: TxSignature,
    block_number: u64,
    entry_count: usize,
    anchored_at: Time,
    /// Its place in the chain of roots, and the root before it.
    batch: u64,
    previous_root: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    anchors: Vec<Anchor>,
    count: u64,
    page: u64,
    per_page: u64,
    /// Who signs them.
    authority: Option<Wallet>,
}

#[utoipa::path(get, path = "/api/v1/ledger/anchors", operation_id = "ledgerAnchors", tag = "Ledger",
    params(("page" = Option<u64>, Query), ("per_page" = Option<u64>, Query), ("since" = Option<String>, Query)),
    responses((status = 200, description = "anchors"), (status = 401, description = "not authenticated"),
        (status = 422, description = "bad query")))]
pub(crate) async fn ledger_anchors(
    State(api): State<Api>,
    User(_, _): User<Creator>,
    CheckedQuery(slice, _): CheckedQuery<Creator, Slice>,
) -> Result<Json<Answer>, Error> {
    let since = slice.since.as_deref().map(read_time).transpose()?;
    let (page, per_page) = (slice.page.unwrap_or(1), slice.per_page.unwrap_or(PER_PAGE));
    let offset = (page - 1).saturating_mul(per_page);
    let found = ledger::anchors(&api.ctx, since, offset, per_page).await?;
    let shown = found.batches.into_iter().filter_map(|batch| {
        let anchored = batch.anchored?;
        Some(Anchor {
            id: batch.id,
            merkle_root: digits(&batch.root),
            tx_hash: batch.signed?.signature,
            block_number: anchored.slot,
            entry_count: batch.leaves.len(),
            anchored_at: Time(anchored.at),
            batch: batch.n,
            previous_root: digits(&batch.previous),
        })
    });
    Ok(Json(Answer {
        anchors: shown.collect(),
        count: found.total,
        page,
        per_page,
        authority: api.ctx.platform.anchor,
    }))
}

fn read_time(text: &str) -> Result<Timestamp, Refusal> {
    Timestamp::from_rfc3339(text).ok_or_else(|| {
        let shown: String = text.chars().take(40).collect();
        Refusal::bad("query", "since", format!("Invalid ISO date format: {shown}"))
    })
}
