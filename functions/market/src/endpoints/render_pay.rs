//! `POST /render/pay`: a transaction is offered as the payment of a job.

use axum::extract::State;
use framefair_app::{Refusal, market};
use framefair_domain::id::JobId;
use framefair_http::{Api, JsonBody, Named};
use serde::{Deserialize, Serialize};

use crate::Market;
use crate::face::Error;
use crate::shapes::{Data, data};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Payment {
    job_id: String,
    tx_signature: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Accepted {
    job_id: JobId,
    status: &'static str,
    message: &'static str,
}

#[utoipa::path(post, path = "/render/pay", operation_id = "renderPay", tag = "Render",
    request_body(content_type = "application/json", description = "jobId, txSignature"),
    responses((status = 200, description = "accepted"), (status = 400, description = "refused; `code` tells why"),
        (status = 402, description = "not found yet; may be repeated"), (status = 404, description = "no such job")))]
pub(crate) async fn render_pay(
    State(api): State<Api>,
    Named(key, _): Named<Market>,
    JsonBody(payment, _): JsonBody<Market, Payment>,
) -> Result<Data<Accepted>, Error> {
    let job = payment.job_id.parse().map_err(|_| Refusal::NotFound)?;
    let paid = market::pay(&api.ctx, &api.call(), job, &payment.tx_signature, key).await?;
    let status = crate::shapes::status_of(paid.job);
    Ok(data(Accepted { job_id: job, status, message: "Payment confirmed, render queued" }))
}
