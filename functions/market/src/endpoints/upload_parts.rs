//! `POST /uploads/{uploadId}/parts`: which parts are there, and where the others go. This is how an
//! upload goes on after it was cut.

use axum::extract::State;
use framefair_app::uploads;
use framefair_domain::id::UploadId;
use framefair_http::{Api, Caller, JsonBody, PathId};

use crate::Market;
use crate::face::Error;
use crate::shapes::{Data, Parts, Upload, data, read_parts};

#[utoipa::path(post, path = "/uploads/{uploadId}/parts", operation_id = "uploadParts", tag = "Uploads",
    params(("uploadId" = String, Path), ("X-Upload-Token" = Option<String>, Header)),
    request_body(content_type = "application/json", description = "parts"),
    responses((status = 200, description = "what is there, and where the rest goes"), (status = 400, description = "bad input"),
        (status = 404, description = "no such upload")))]
pub(crate) async fn upload_parts(
    State(api): State<Api>,
    caller: Caller,
    PathId(id, _): PathId<Market, UploadId>,
    JsonBody(wish, _): JsonBody<Market, Parts>,
) -> Result<Data<Upload>, Error> {
    let wanted = read_parts(wish.parts.unwrap_or_default())?;
    let pass = caller.pass(&api).await?;
    let links = uploads::links(&api.ctx, &api.call(), id, &pass, &wanted).await?;
    Ok(data(Upload::new(links, None)))
}
