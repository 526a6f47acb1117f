//! The scene of a submission: sent with it, or uploaded before. Read at its beginning only.

use bytes::Bytes;
use framefair_domain::id::{JobId, UploadId};
use framefair_store::rows::MarketJob;
use framefair_store::{PutFailed, keys};
use sha2::{Digest, Sha256};

use super::SCENE_HEAD_BYTES;
use crate::uploads::{self, INLINE_BYTES_MAX, Pass, UploadKind};
use crate::{Call, Ctx, Refusal};

const CONTENT_TYPE: &str = "application/octet-stream";

#[derive(Clone, Debug)]
pub enum Scene {
    /// Its bytes, no more than [`INLINE_BYTES_MAX`], and the client's name for it; hostile.
    Inline {
        name: String,
        bytes: Bytes,
    },
    Uploaded {
        id: UploadId,
        pass: Pass,
    },
}

/// What a scene is, as far as its beginning tells.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) sha256: Option<String>,
    pub(super) tree: Option<String>,
    pub(super) scene: framefair_blend::Scene,
}

impl Scene {
    /// The number that an upload gives to its job.
    pub(super) fn id(&self) -> Option<JobId> {
        match self {
            Scene::Inline { .. } => None,
            Scene::Uploaded { id, .. } => Some(JobId(id.0)),
        }
    }

    pub(super) async fn look(&self, ctx: &Ctx, call: &Call) -> Result<Seen, Refusal> {
        match self {
            Scene::Inline { name, bytes } => {
                let size = bytes.len() as u64;
                if size > INLINE_BYTES_MAX {
                    return Err(Refusal::TooLarge);
                }
                let head = &bytes[..bytes.len().min(SCENE_HEAD_BYTES)];
                let scene = framefair_blend::inspect(name, head, size)?;
                let sha256 = Some(hex::encode(Sha256::digest(bytes)));
                Ok(Seen { name: name.clone(), bytes: size, sha256, tree: None, scene })
            }
            Scene::Uploaded { id, pass } => {
                let taken = uploads::take(ctx, call, *id, pass, UploadKind::Scene).await?;
                let name = taken.upload.name.clone();
                let object = taken.upload.object();
                let head = ctx.store.objects().beginning(&object, SCENE_HEAD_BYTES).await?;
                // Its row says that it is complete a moment before it is.
                let head = head.ok_or(Refusal::Busy)?;
                let scene = framefair_blend::inspect(&name, &head, taken.bytes)?;
                // One part's hash is the whole's, and needs no second name.
                let tree = taken.sha256.is_none().then_some(taken.tree);
                Ok(Seen { name, bytes: taken.bytes, sha256: taken.sha256, tree, scene })
            }
        }
    }

    /// What makes two files the same file.
    pub(super) fn identity(&self) -> String {
        match self {
            Scene::Inline { name, bytes } => {
                format!("{name}\n{}", hex::encode(Sha256::digest(bytes)))
            }
            Scene::Uploaded { pass: Pass::Proof(proof), .. } => proof.sha256.clone(),
            // One file for ever; a client that repeats itself names it again.
            Scene::Uploaded { id, .. } => id.to_string(),
        }
    }

    /// Puts the scene where its job looks for it. An upload lies there already, unless an earlier
    /// request of the same name, with an upload of its own, gave the job its number.
    pub(super) async fn keep(&self, ctx: &Ctx, job: &MarketJob) -> Result<(), Refusal> {
        let (objects, object) = (ctx.store.objects(), job.scene_object());
        match self {
            Scene::Inline { bytes, .. } => {
                objects.put(&object, bytes.clone(), CONTENT_TYPE, false).await?;
            }
            Scene::Uploaded { id, .. } if id.0 == job.id.0 => {}
            Scene::Uploaded { id, .. } => {
                let ours = keys::object::scene(JobId(id.0), &job.deal.scene.name);
                match objects.copy(&ours, &object, CONTENT_TYPE, true).await {
                    Err(PutFailed::Exists) => {}
                    other => drop(other?),
                }
            }
        }
        Ok(())
    }
}
