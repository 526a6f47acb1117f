//! `POST /uploads/{uploadId}/complete`: every part is there; they become one file.

use axum::extract::State;
use framefair_app::uploads;
use framefair_domain::id::UploadId;
use framefair_http::{Api, Caller, JsonBody, PathId, Whole};
use serde::{Deserialize, Serialize};

use crate::Market;
use crate::face::Error;
use crate::shapes::{Data, data};

#[derive(Debug, Deserialize)]
pub(crate) struct Sent {
    parts: Vec<Part>,
}

#[derive(Debug, Deserialize)]
struct Part {
    number: Whole<u16>,
    etag: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Stored {
    upload_id: UploadId,
    size: u64,
    tree_sha256: String,
    sha256: Option<String>,
}

#[utoipa::path(post, path = "/uploads/{uploadId}/complete", operation_id = "uploadComplete", tag = "Uploads",
    params(("uploadId" = String, Path), ("X-Upload-Token" = Option<String>, Header)),
    request_body(content_type = "application/json", description = "parts"),
    responses((status = 200, description = "stored"), (status = 400, description = "parts are missing"),
        (status = 404, description = "no such upload")))]
pub(crate) async fn upload_complete(
    State(api): State<Api>,
    caller: Caller,
    PathId(id, _): PathId<Market, UploadId>,
    JsonBody(sent, _): JsonBody<Market, Sent>,
) -> Result<Data<Stored>, Error> {
    let said: Vec<_> = sent.parts.into_iter().map(|part| (part.number.0, part.etag)).collect();
    let pass = caller.pass(&api).await?;
    let row = uploads::finish(&api.ctx, &api.call(), id, &pass, &said).await?;
    let (tree_sha256, sha256) =
        row.done.map_or_else(Default::default, |done| (done.tree, done.sha256));
    Ok(data(Stored { upload_id: id, size: row.bytes, tree_sha256, sha256 }))
}
