//! `POST /uploads`: a file is about to come, in parts.

use axum::extract::State;
use axum::http::StatusCode;
use framefair_app::Refusal;
use framefair_app::uploads::{self, Begin, UploadKind};
use framefair_http::{Api, Caller, JsonBody, Named, Whole};
use serde::Deserialize;

use crate::Market;
use crate::face::Error;
use crate::shapes::{Data, Parts, Upload, data, read_parts, read_sha256};

#[derive(Debug, Deserialize)]
pub(crate) struct Wish {
    filename: String,
    size: Whole<u64>,
    purpose: Option<String>,
    sha256: Option<String>,
    #[serde(flatten)]
    parts: Parts,
}

#[utoipa::path(post, path = "/uploads", operation_id = "uploadCreate", tag = "Uploads",
    request_body(content_type = "application/json", description = "filename, size, purpose, sha256, parts"),
    responses((status = 201, description = "put each part to its url"), (status = 400, description = "bad input")))]
pub(crate) async fn upload_create(
    State(api): State<Api>,
    caller: Caller,
    Named(key, _): Named<Market>,
    JsonBody(wish, _): JsonBody<Market, Wish>,
) -> Result<(StatusCode, Data<Upload>), Error> {
    let kind = match wish.purpose.as_deref() {
        None | Some("scene") => UploadKind::Scene,
        Some("result") => UploadKind::Result,
        Some("asset") => UploadKind::Asset,
        Some(_) => return Err(Refusal::invalid("purpose: `scene`, `result` or `asset`").into()),
    };
    let declared = wish.parts.parts.map(read_parts).transpose()?;
    if let Some(sha256) = &wish.sha256 {
        read_sha256(sha256, "sha256")?;
    }
    let owner = caller.account(&api).await?;
    let (name, bytes, sha256) = (wish.filename, wish.size.0, wish.sha256);
    let begin = Begin { kind, name, bytes, from: caller.from, ingest: false, owner, sha256 };
    let (mut call, declared) = (api.call(), declared.as_deref());
    let begun = uploads::begin_named(&api.ctx, &mut call, key, begin, declared).await?;
    let token = api.ctx.upload_secret()?.token(begun.upload.id);
    Ok((StatusCode::CREATED, data(Upload::new(begun, Some(token)))))
}
