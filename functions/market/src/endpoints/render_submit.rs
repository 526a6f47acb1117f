//! `POST /render`: a scene comes in, a price goes out. There is no 2xx here.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use framefair_app::market::{self, Offer, SpooledScene, Submission};
use framefair_app::{Ctx, Refusal};
use framefair_domain::money::Lamports;
use framefair_http::{Api, Form, FormLimits, FormParts, read_form};
use serde::Serialize;

use crate::Market;
use crate::face::Error;
use crate::shapes::{PaymentRequired, read_settings};

#[utoipa::path(post, path = "/render", operation_id = "renderSubmit", tag = "Render",
    request_body(content_type = "multipart/form-data", description = "file, clientWallet, providerId, settings, maxPrice, private"),
    responses((status = 402, description = "the quote"), (status = 400, description = "bad input"),
        (status = 404, description = "providerId unknown"), (status = 503, description = "nobody can render this")))]
pub(crate) async fn render_submit(
    State(api): State<Api>,
    FormParts(parts, _): FormParts<Market>,
) -> Result<Response, Error> {
    let form = read_form(parts, limits(&api.ctx)).await?;
    let (submission, _spool) = submission(form)?;
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

fn limits(ctx: &Ctx) -> FormLimits {
    FormLimits {
        file_part: "file",
        file_bytes_max: ctx.platform.scene_bytes_max,
        head_bytes: framefair_app::market::SCENE_HEAD_BYTES,
    }
}

/// Reads the parts; the file stays on disk as long as what is returned beside lives.
fn submission(form: Form) -> Result<(Submission, tempfile::TempPath), Refusal> {
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
    let file = form.file.ok_or_else(|| Refusal::invalid("the part `file` is missing"))?;
    let scene = SpooledScene {
        path: file.path.to_path_buf(),
        name: file.name,
        bytes: file.bytes,
        sha256: file.sha256,
        head: file.head,
    };
    Ok((Submission { client, scene, provider, settings, price_max, private }, file.path))
}
