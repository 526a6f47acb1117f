//! An upload ends: its parts become one object.

use bytes::Bytes;
use framefair_domain::id::UploadId;
use framefair_store::objects::{InParts, StoredPart};
use framefair_store::rows::{UploadDone, UploadRow};
use framefair_store::{Update, When, WriteFailed, keys};
use sha2::{Digest, Sha256};

use super::begin::{entry, part_bytes, parts_of};
use super::take::{open, opened};
use super::{Entry, PART_BYTES, Pass, room};
use crate::{Call, Ctx, Refusal};

/// How many missing parts a refusal names.
const NAMED_MAX: usize = 10;

/// Joins the parts of a client's upload. `said` are the numbers and ETags that the client names.
/// Repeating it gives the same answer.
pub async fn finish(
    ctx: &Ctx,
    call: &Call,
    id: UploadId,
    pass: &Pass,
    said: &[(u16, String)],
) -> Result<UploadRow, Refusal> {
    let row = finished(ctx, call, id, pass, said).await?;
    match (row.whole(), &row.done) {
        (None, Some(UploadDone { sha256: Some(sha256), .. })) => {
            Err(Refusal::Invalid(format!("sha256: the file that came has {sha256}")))
        }
        _ => Ok(row),
    }
}

/// The upload as it is once its hashes are noted, whatever they are: nobody has it read twice.
async fn finished(
    ctx: &Ctx,
    call: &Call,
    id: UploadId,
    pass: &Pass,
    said: &[(u16, String)],
) -> Result<UploadRow, Refusal> {
    let upload = opened(ctx, id, pass).await?;
    if upload.done.is_none() && upload.expires <= call.now {
        return Err(Refusal::NotFound);
    }
    let object = upload.object();
    let of = InParts { key: &object, id: &upload.parts };
    let objects = ctx.store.objects();
    let Some(parts) = objects.parts(of).await? else {
        // Joined by another call of this kind, which wrote it down before.
        let upload = open(ctx, id).await?;
        return match upload.done {
            Some(_) => Ok(upload),
            None if is_read(&upload) => read(ctx, upload).await,
            None => Err(Refusal::Busy),
        };
    };
    complete(&upload, &parts)?;
    agree(said, &parts)?;
    if is_read(&upload) {
        objects.join_parts(of, &parts).await?;
        return read(ctx, upload).await;
    }
    let done = UploadDone { tree: tree(&parts), sha256: whole(&parts) };
    let row = match &upload.done {
        // A try before this one was cut off between the row and the object.
        Some(before) if *before == done => upload.clone(),
        Some(_) => return Err(Refusal::invalid("a part was sent again after the upload ended")),
        // Written first: whoever finds the parts gone finds what they were.
        None => note(ctx, id, &done).await?,
    };
    if !objects.join_parts(of, &parts).await? && objects.head(&object).await?.is_none() {
        return Err(Refusal::Busy);
    }
    Ok(row)
}

async fn note(ctx: &Ctx, id: UploadId, done: &UploadDone) -> Result<UploadRow, Refusal> {
    let update = Update::at(keys::upload(id), When::Present).set("done", done);
    match ctx.store.update_returning::<UploadRow>(update).await {
        Err(WriteFailed::Condition) => Err(Refusal::NotFound),
        other => Ok(other?),
    }
}

/// Whether the hashes that its client said do not tell all of its own, so that it is read again.
fn is_read(upload: &UploadRow) -> bool {
    upload.plain || (upload.said.is_some() && upload.bytes > PART_BYTES)
}

/// Reads what has become one object, for its hashes. Whoever repeats it finds the same.
async fn read(ctx: &Ctx, upload: UploadRow) -> Result<UploadRow, Refusal> {
    let opened = ctx.store.objects().open(&upload.object()).await?;
    let opened = opened.filter(|opened| opened.head.size == upload.bytes).ok_or(Refusal::Busy)?;
    let (mut whole, mut tree, mut part) = (Sha256::new(), Sha256::new(), Sha256::new());
    let mut left = PART_BYTES;
    let mut body = opened.body;
    while let Some(mut piece) = body.next().await? {
        whole.update(&piece);
        while piece.len() as u64 >= left {
            let end = piece.split_to(usize::try_from(left).unwrap_or(usize::MAX));
            part.update(&end);
            tree.update(std::mem::take(&mut part).finalize());
            left = PART_BYTES;
        }
        left -= piece.len() as u64;
        part.update(&piece);
    }
    if left < PART_BYTES {
        tree.update(part.finalize());
    }
    let sha256 = hex::encode(whole.finalize());
    let done = UploadDone { tree: hex::encode(tree.finalize()), sha256: Some(sha256) };
    note(ctx, upload.id, &done).await
}

/// All parts are there, each as long as it must be.
fn complete(upload: &UploadRow, parts: &[StoredPart]) -> Result<(), Refusal> {
    let fits = |number: u16| {
        let size = part_bytes(upload.bytes, number);
        let vouched = |part: &StoredPart| upload.plain || part.sha256.is_some();
        parts.iter().any(|part| part.number == number && part.size == size && vouched(part))
    };
    let count = parts_of(upload.bytes);
    let missing: Vec<String> = (1..=count)
        .filter(|number| !fits(*number))
        .take(NAMED_MAX)
        .map(|number| number.to_string())
        .collect();
    if !missing.is_empty() {
        return Err(Refusal::Invalid(format!("parts are missing: {}", missing.join(", "))));
    }
    if parts.len() > usize::from(count) {
        return Err(Refusal::invalid("there are more parts than the file has"));
    }
    Ok(())
}

fn agree(said: &[(u16, String)], parts: &[StoredPart]) -> Result<(), Refusal> {
    let known = |(number, etag): &(u16, String)| {
        let bare = |etag: &str| etag.trim_matches('"').to_owned();
        parts.iter().any(|part| part.number == *number && bare(&part.etag) == bare(etag))
    };
    match said.iter().find(|part| !known(part)) {
        Some((number, _)) => {
            Err(Refusal::Invalid(format!("part {number} is not the one that was stored")))
        }
        None => Ok(()),
    }
}

/// The hash of the whole, where it came as one part.
fn whole(parts: &[StoredPart]) -> Option<String> {
    match parts {
        [only] => only.sha256.map(hex::encode),
        _ => None,
    }
}

/// SHA-256 over the hashes of the parts, in their order.
fn tree(parts: &[StoredPart]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.sha256.unwrap_or_default());
    }
    hex::encode(hash.finalize())
}

/// Joins what the ingest has put, of which it alone knows the length; says the hash over the
/// parts. Nothing is written: the ingest's proof carries the rest.
pub async fn joined(
    ctx: &Ctx,
    call: &Call,
    upload: &UploadRow,
    parts: &[StoredPart],
) -> Result<String, Refusal> {
    let object = upload.object();
    let of = InParts { key: &object, id: &upload.parts };
    if !ctx.store.objects().join_parts(of, parts).await? {
        return Err(Refusal::Busy);
    }
    let bytes: u64 = parts.iter().map(|part| part.size).sum();
    // It was reserved for as much as it might have been.
    if upload.bytes - bytes.min(upload.bytes) > super::INLINE_BYTES_MAX {
        let exact = Entry { bytes, ..entry(upload) };
        room(ctx, Some(upload.from.clone())).await?.reserve(ctx, call, &exact).await?;
    }
    Ok(tree(parts))
}

/// Puts a part that the ingest has collected.
pub async fn put_part(
    ctx: &Ctx,
    upload: &UploadRow,
    number: u16,
    bytes: Bytes,
) -> Result<StoredPart, Refusal> {
    let object = upload.object();
    let of = InParts { key: &object, id: &upload.parts };
    let sha256 = Sha256::digest(&bytes).into();
    Ok(ctx.store.objects().put_part(of, number, bytes, sha256).await?)
}
