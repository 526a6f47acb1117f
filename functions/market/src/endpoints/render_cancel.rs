//! `POST /render/{jobId}/cancel`: the client takes a job back, signed.

use axum::extract::State;
use framefair_app::{Refusal, market};
use framefair_domain::id::JobId;
use framefair_domain::signing::Once;
use framefair_domain::wallet::TxSignature;
use framefair_http::{Api, JsonBody, Named, PathId, Whole};
use serde::{Deserialize, Serialize};

use crate::Market;
use crate::face::Error;
use crate::shapes::{Data, data};

#[derive(Debug, Deserialize)]
pub(crate) struct Wish {
    signature: String,
    timestamp: Whole<i64>,
    nonce: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Cancelled {
    job_id: JobId,
    status: &'static str,
    refund_tx: Option<TxSignature>,
}

#[utoipa::path(post, path = "/render/{jobId}/cancel", operation_id = "renderCancel", tag = "Render",
    params(("jobId" = String, Path)),
    request_body(content_type = "application/json", description = "signature, timestamp, nonce"),
    responses((status = 200, description = "cancelled"), (status = 400, description = "too late"),
        (status = 401, description = "bad signature"), (status = 404, description = "no such job")))]
pub(crate) async fn render_cancel(
    State(api): State<Api>,
    Named(key, _): Named<Market>,
    PathId(job, _): PathId<Market, JobId>,
    JsonBody(wish, _): JsonBody<Market, Wish>,
) -> Result<Data<Cancelled>, Error> {
    let once = Once::read(Some(wish.timestamp.0), Some(&wish.nonce)).map_err(Refusal::from)?;
    let once = once.ok_or_else(|| Refusal::invalid("timestamp and nonce are needed"))?;
    let cancel = market::Cancel { job, signature: wish.signature, once, key };
    let row = market::cancel(&api.ctx, &api.call(), cancel).await?;
    Ok(data(Cancelled { job_id: job, status: "cancelled", refund_tx: row.deal.out_tx }))
}
