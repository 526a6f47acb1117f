//! `POST /provider/job/{jobId}/complete`: a provider hands in its result over HTTP.

use axum::extract::State;
use framefair_app::Refusal;
use framefair_app::delivery::{self, HandIn, Handed};
use framefair_app::provider::Signed;
use framefair_domain::id::JobId;
use framefair_domain::signing::Once;
use framefair_http::{Api, Caller, FormParts, PathId, read_form};
use serde_json::{Value, json};

use crate::Market;
use crate::face::Error;
use crate::shapes::{Data, data, uploaded};

#[utoipa::path(post, path = "/provider/job/{jobId}/complete", operation_id = "providerComplete", tag = "Provider",
    params(("jobId" = String, Path)),
    request_body(content_type = "multipart/form-data", description = "result or uploadId, providerId, renderTime, signature"),
    responses((status = 200, description = "received; verified before the job completes"), (status = 400, description = "bad input, or not the lease's holder"),
        (status = 401, description = "bad signature"), (status = 404, description = "no such job")))]
pub(crate) async fn provider_complete(
    State(api): State<Api>,
    caller: Caller,
    PathId(job, _): PathId<Market, JobId>,
    FormParts(parts, _): FormParts<Market>,
) -> Result<Data<Value>, Error> {
    let form = read_form(parts, "result").await?;
    let timestamp = form.text("timestamp").map(str::parse).transpose();
    let timestamp = timestamp.map_err(|_| Refusal::invalid("timestamp: milliseconds"))?;
    let once = Once::read(timestamp, form.text("nonce")).map_err(Refusal::from)?;
    let (provider, render_time) = (form.need("providerId")?, form.need("renderTime")?.to_owned());
    let provider = provider.parse().map_err(|_| Refusal::NotFound)?;
    let signed = Signed { signature: form.need("signature")?.to_owned(), once };
    let result = match uploaded(&api, &form, &caller, "result").await? {
        Some((id, pass)) => Handed::Uploaded { id, pass },
        None => {
            let missing = || Refusal::invalid("the part `result` is missing");
            Handed::Inline(form.file.ok_or_else(missing)?.bytes)
        }
    };
    let hand_in = HandIn { job, provider, render_time, signed, result };
    delivery::hand_in(&api.ctx, &api.call(), hand_in).await?;
    Ok(data(json!({ "jobId": job, "message": "Result received" })))
}
