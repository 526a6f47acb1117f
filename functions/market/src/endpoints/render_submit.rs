//! `POST /render`: a scene comes in, a price goes out. There is no 2xx here.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use framefair_app::market::{self, Offer, Scene, Submission};
use framefair_app::{IdempotencyKey, Refusal};
use framefair_domain::money::Lamports;
use framefair_http::{Api, Caller, Form, FormParts, Named, read_form};
use serde::Serialize;

use crate::Market;
use crate::face::Error;
use crate::shapes::{PaymentRequired, read_settings, uploaded};

#[utoipa::path(post, path = "/render", operation_id = "renderSubmit", tag = "Render",
    request_body(content_type = "multipart/form-data", description = "file or uploadId, clientWallet, providerId, settings, maxPrice, private"),
    responses((status = 402, description = "the quote"), (status = 400, description = "bad input"),
        (status = 404, description = "providerId unknown"), (status = 503, description = "nobody can render this")))]
pub(crate) async fn render_submit(
    State(api): State<Api>,
    caller: Caller,
    Named(key, _): Named<Market>,
    FormParts(parts, _): FormParts<Market>,
) -> Result<Response, Error> {
    let form = read_form(parts, "file").await?;
    let submission = submission(&api, form, &caller, key).await?;
    let Offer::PaymentDue(quote) = market::request(&api.ctx, &mut api.call(), submission).await?;
    let payment = PaymentRequired::from(*quote);
    let body = Unpaid { success: false, error: "Payment Required", payment };
    Ok((StatusCode::PAYMENT_REQUIRED, Json(body)).into_response())
}

/// Written without a detour over a JSON value, which would hold the amounts as floats.
#[derive(Serialize)]
struct Unpaid {
    success: bool,
    error: &'static str,
    payment: PaymentRequired,
}

async fn submission(
    api: &Api,
    form: Form,
    caller: &Caller,
    key: Option<IdempotencyKey>,
) -> Result<Submission, Refusal> {
    let client = form.need("clientWallet")?.trim();
    let client = client.parse().map_err(|why| Refusal::Invalid(format!("clientWallet: {why}")))?;
    let provider = form.text("providerId").map(str::trim).filter(|id| !id.is_empty());
    let provider = provider.map(|id| id.parse().map_err(|_| Refusal::NotFound)).transpose()?;
    let price_max = form.text("maxPrice").map(|text| Lamports::from_sol(text.trim()));
    let price_max =
        price_max.transpose().map_err(|why| Refusal::Invalid(format!("maxPrice: {why}")))?;
    let private = match form.text("private").map(str::trim) {
        None | Some("" | "false") => false,
        Some("true") => true,
        Some(_) => return Err(Refusal::invalid("private: it is true or false")),
    };
    let settings = read_settings(form.text("settings"))?;
    let scene = match uploaded(api, &form, caller, "file").await? {
        Some((id, pass)) => Scene::Uploaded { id, pass },
        None => {
            let missing = || Refusal::invalid("the part `file` is missing");
            let file = form.file.ok_or_else(missing)?;
            Scene::Inline { name: file.name, bytes: file.bytes }
        }
    };
    Ok(Submission { client, scene, provider, settings, price_max, private, key })
}
