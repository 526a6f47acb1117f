//! A file on its way into the store: collected to parts, hashed, put. One part is put while the next
//! is collected; a store that is slow slows the sender down.

use std::net::IpAddr;

use axum::body::Bytes;
use framefair_app::uploads::{self, Begin, StoredPart, UploadKind, UploadRow};
use framefair_app::{Broken, Call, Ctx, Refusal};
use framefair_domain::id::UploadId;
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;

/// The smallest part that stores take; two of them are in memory at once.
const PART_BYTES: usize = 5 << 20;

/// What may be taken.
pub(super) struct Taking<'a> {
    ctx: &'a Ctx,
    kind: UploadKind,
    from: IpAddr,
    bytes_max: u64,
}

/// What was taken. Dropped before it is kept, it is removed again.
pub(super) struct Taken {
    ctx: Ctx,
    upload: Option<UploadRow>,
    bytes_max: u64,
    bytes: u64,
    whole: Sha256,
    part: Vec<u8>,
    parts: Vec<StoredPart>,
    putting: Option<JoinHandle<Result<StoredPart, Refusal>>>,
}

/// What is known of a file that is in the store as a whole.
pub(super) struct Facts {
    pub(super) id: UploadId,
    pub(super) bytes: u64,
    pub(super) sha256: String,
    pub(super) tree: String,
}

impl Taking<'_> {
    pub(super) fn of(ctx: &Ctx, kind: UploadKind, from: IpAddr, bytes_max: u64) -> Taking<'_> {
        Taking { ctx, kind, from, bytes_max }
    }

    /// Reserves room; refused before a byte is stored where there is none.
    pub(super) async fn begin(&mut self, name: String) -> Result<Taken, Refusal> {
        let mut call = Call::live();
        let id = UploadId::new(call.now, call.entropy());
        let (kind, bytes, from) = (self.kind, self.bytes_max, self.from);
        let begin = Begin { kind, name, bytes, from, ingest: true, owner: None, sha256: None };
        let upload = uploads::begin(self.ctx, &call, id, begin).await?;
        Ok(Taken {
            ctx: self.ctx.clone(),
            upload: Some(upload),
            bytes_max: self.bytes_max,
            bytes: 0,
            whole: Sha256::new(),
            part: Vec::with_capacity(PART_BYTES),
            parts: Vec::new(),
            putting: None,
        })
    }
}

impl Taken {
    pub(super) async fn push(&mut self, mut chunk: Bytes) -> Result<(), Refusal> {
        self.bytes += chunk.len() as u64;
        if self.bytes > self.bytes_max {
            let max = self.ctx.platform.scene_bytes_max >> 20;
            return Err(Refusal::Invalid(format!("the file is larger than {max} MiB")));
        }
        self.whole.update(&chunk);
        while !chunk.is_empty() {
            let room = PART_BYTES - self.part.len();
            let now = chunk.split_to(room.min(chunk.len()));
            self.part.extend_from_slice(&now);
            if self.part.len() == PART_BYTES {
                self.put().await?;
            }
        }
        Ok(())
    }

    /// Puts the collected part, once the one before is there.
    async fn put(&mut self) -> Result<(), Refusal> {
        self.arrived().await?;
        let Some(upload) = &self.upload else { return Ok(()) };
        let part = std::mem::replace(&mut self.part, Vec::with_capacity(PART_BYTES));
        let number = u16::try_from(self.parts.len() + 1)
            .map_err(|_| Broken("a file has more parts than it may".into()))?;
        let (ctx, upload) = (self.ctx.clone(), upload.clone());
        self.putting = Some(tokio::spawn(async move {
            uploads::put_part(&ctx, &upload, number, part.into()).await
        }));
        Ok(())
    }

    async fn arrived(&mut self) -> Result<(), Refusal> {
        if let Some(putting) = self.putting.take() {
            let part = putting.await.map_err(|error| Broken(format!("putting a part: {error}")))?;
            self.parts.push(part?);
        }
        Ok(())
    }

    /// The file is whole: it becomes one object.
    pub(super) async fn finish(mut self) -> Result<(Taken, Facts), Refusal> {
        if self.bytes == 0 {
            return Err(Refusal::invalid("the file is empty"));
        }
        if !self.part.is_empty() {
            self.put().await?;
        }
        self.arrived().await?;
        self.part = Vec::new();
        let Some(upload) = &self.upload else {
            return Err(Broken("a file was finished twice".into()).into());
        };
        let tree = uploads::joined(&self.ctx, &Call::live(), upload, &self.parts).await?;
        let sha256 = hex::encode(self.whole.finalize_reset());
        let facts = Facts { id: upload.id, bytes: self.bytes, sha256, tree };
        Ok((self, facts))
    }

    /// It is somebody's now, or in doubt.
    pub(super) fn keep(&mut self) {
        self.upload = None;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let Some(upload) = self.upload.take() else { return };
        let (ctx, putting) = (self.ctx.clone(), self.putting.take());
        tokio::spawn(async move {
            // A part that arrives after the others were dropped would stay.
            if let Some(putting) = putting {
                drop(putting.await);
            }
            uploads::forget(&ctx, &upload).await;
        });
    }
}
