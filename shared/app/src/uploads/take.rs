//! A complete upload becomes somebody's scene or result.

use framefair_domain::id::UploadId;
use framefair_domain::time::{HOUR_MS, Timestamp};
use framefair_store::rows::{UploadKind, UploadRow};
use framefair_store::{Index, Update, When, Write, keys};

use super::Pass;
use crate::{Broken, Call, Ctx, Refusal};

/// A file that is here as a whole, and whose caller may use it.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) upload: UploadRow,
    pub(crate) bytes: u64,
    pub(crate) sha256: Option<String>,
    pub(crate) tree: String,
}

/// The upload, if there is one. Says nothing of who may see it.
pub(super) async fn open(ctx: &Ctx, id: UploadId) -> Result<UploadRow, Refusal> {
    ctx.store.get::<UploadRow>(&keys::upload(id)).await?.ok_or(Refusal::NotFound)
}

/// The upload for whoever shows that they may use it. For anybody else there is none.
pub(super) async fn opened(ctx: &Ctx, id: UploadId, pass: &Pass) -> Result<UploadRow, Refusal> {
    let admitted = match pass {
        // A proof was checked when it was read.
        Pass::Proof(proof) => proof.id == id,
        Pass::Token(token) => ctx.upload_secret()?.is_token(id, token),
        Pass::Owner(_) => true,
    };
    if !admitted {
        return Err(Refusal::NotFound);
    }
    let upload = open(ctx, id).await?;
    match pass {
        Pass::Owner(user) if upload.owner != Some(*user) => Err(Refusal::NotFound),
        _ => Ok(upload),
    }
}

/// The upload for whoever may use it; a stranger's is missing.
pub(crate) async fn take(
    ctx: &Ctx,
    call: &Call,
    id: UploadId,
    pass: &Pass,
    kind: UploadKind,
) -> Result<Taken, Refusal> {
    let upload = opened(ctx, id, pass).await?;
    if upload.kind != kind || upload.expires <= call.now {
        return Err(Refusal::NotFound);
    }
    match pass {
        Pass::Proof(proof) => Ok(Taken {
            bytes: proof.bytes,
            sha256: Some(proof.sha256.clone()),
            tree: proof.tree.clone(),
            upload,
        }),
        Pass::Token(_) | Pass::Owner(_) => {
            let done = upload.whole().cloned();
            let done = done.ok_or_else(|| {
                Refusal::invalid(
                    "this upload is not complete; see POST /uploads/{uploadId}/complete",
                )
            })?;
            Ok(Taken { bytes: upload.bytes, sha256: done.sha256, tree: done.tree, upload })
        }
    }
}

/// A file of any kind that is here as a whole, for whoever may use it. It stays an upload.
pub(crate) async fn look(
    ctx: &Ctx,
    call: &Call,
    id: UploadId,
    pass: &Pass,
) -> Result<UploadRow, Refusal> {
    let upload = opened(ctx, id, pass).await?;
    let is_whole = upload.whole().is_some() || matches!(pass, Pass::Proof(_));
    if is_whole && upload.expires > call.now { Ok(upload) } else { Err(Refusal::NotFound) }
}

/// A job that may wait for a day, and be worked on for another, has its payload for as long.
const KEPT_MS: i64 = 49 * HOUR_MS;

/// The write by which an upload, if it is still there, is kept for a job that begins now.
pub(crate) fn keep(id: UploadId, now: Timestamp) -> Write {
    let until = now.plus_ms(KEPT_MS);
    Update::at(keys::upload(id), When::Present)
        .set("kept", until)
        .index(Index::Due, Some(keys::upload_due(id, until)))
        .into()
}

impl Ctx {
    /// The secret behind tokens and proofs.
    pub fn upload_secret(&self) -> Result<&super::UploadSecret, Refusal> {
        let secret = self.platform.upload_secret.as_ref();
        secret.ok_or_else(|| Broken("UPLOAD_SECRET is not set".into()).into())
    }
}
