//! An upload begins: room is reserved, and links are made for the parts that its client declares.

use std::net::IpAddr;

use framefair_domain::id::UploadId;
use framefair_domain::time::Timestamp;
use framefair_store::objects::{InParts, PartTerms, StoredPart};
use framefair_store::rows::{UploadKind, UploadRow};
use framefair_store::{Presigned, When, Write};

use super::take::open;
use super::{Entry, INGEST_LIFE_MS, LIFE_MS, LINK_SECONDS, PART_BYTES, Pass, room};
use crate::address::network;
use crate::idempotency::{Claim, Claiming, IdempotencyKey, Input};
use crate::{Call, Ctx, Refusal};

const NAME_CHARS_MAX: usize = 255;

/// A file that is about to come.
#[derive(Clone, Debug)]
pub struct Begin {
    pub kind: UploadKind,
    /// The client's name for it; hostile.
    pub name: String,
    /// Its length, or as much as it may have.
    pub bytes: u64,
    pub from: IpAddr,
    /// Our own ingest takes it in, and does not take long.
    pub ingest: bool,
}

/// A part that its client declares.
#[derive(Clone, Copy, Debug)]
pub struct PartWanted {
    /// From 1.
    pub number: u16,
    pub sha256: [u8; 32],
}

/// Where to put a part.
#[derive(Clone, Debug)]
pub struct Link {
    pub number: u16,
    pub bytes: u64,
    pub put: Presigned,
}

/// What is there, and where the rest goes.
#[derive(Clone, Debug)]
pub struct Links {
    pub upload: UploadRow,
    pub received: Vec<StoredPart>,
    pub links: Vec<Link>,
}

/// Begins a client's upload and makes links for the parts that it declares. With a key, the same
/// call from the same address is the same upload.
pub async fn begin_named(
    ctx: &Ctx,
    call: &mut Call,
    key: Option<IdempotencyKey>,
    wish: Begin,
    wanted: &[PartWanted],
) -> Result<Links, Refusal> {
    let fresh = UploadId::new(call.now, call.entropy());
    let id = match key {
        None => fresh,
        Some(key) => {
            let input = Input::default().with(format!("{:?} {}", wish.kind, wish.bytes));
            let input = wanted.iter().fold(input.with(&wish.name), |input, part| {
                input.with(part.number.to_be_bytes()).with(part.sha256)
            });
            let claiming = Claiming::new(&key, "POST /uploads", &network(wish.from), input);
            match claiming.claim(ctx, call, &fresh.to_string()).await? {
                Claim::Ours => fresh,
                Claim::Made(made) => made.parse().map_err(|_| Refusal::Busy)?,
            }
        }
    };
    let upload = begin(ctx, call, id, wish).await?;
    links_of(ctx, call, upload, wanted).await
}

/// Reserves room and begins. `id` is a fresh one, or that of an earlier try of the same request,
/// whose upload is then the answer.
pub async fn begin(
    ctx: &Ctx,
    call: &Call,
    id: UploadId,
    begin: Begin,
) -> Result<UploadRow, Refusal> {
    let bytes_max = ctx.platform.scene_bytes_max;
    if begin.bytes == 0 || begin.bytes > bytes_max {
        let max = bytes_max >> 20;
        return Err(Refusal::Invalid(format!("a file has 1 byte to {max} MiB")));
    }
    if begin.name.chars().count() > NAME_CHARS_MAX {
        return Err(Refusal::invalid("a file's name has at most 255 characters"));
    }
    if begin.kind == UploadKind::Scene {
        framefair_blend::Format::of_file_name(&begin.name)?;
    }
    let expires = call.now.plus_ms(if begin.ingest { INGEST_LIFE_MS } else { LIFE_MS });
    let mut row = UploadRow {
        id,
        kind: begin.kind,
        name: framefair_blend::safe_file_name(&begin.name),
        bytes: begin.bytes,
        parts: String::new(),
        from: network(begin.from),
        created: call.now,
        expires,
        done: None,
    };
    room(ctx, Some(row.from.clone())).await?.reserve(ctx, call, &entry(&row)).await?;
    let (objects, object) = (ctx.store.objects(), row.object());
    row.parts = objects.begin_parts(&object, "application/octet-stream").await?;
    // Until the row says so nobody can send a part, so what a crash leaves here holds no bytes.
    match ctx.store.write(Write::put(&row, When::Absent)).await {
        Ok(()) => Ok(row),
        Err(failed) => {
            objects.drop_parts(InParts { key: &object, id: &row.parts }).await?;
            match failed {
                framefair_store::WriteFailed::Condition => open(ctx, id).await,
                broken => Err(broken.into()),
            }
        }
    }
}

/// What the upload counts for at its address.
pub(super) fn entry(row: &UploadRow) -> Entry {
    Entry { name: row.id.to_string(), bytes: row.bytes, until: row.swept() }
}

/// Links for the declared parts that are not there yet. Asked again, it says how far the upload
/// has come.
pub async fn links(
    ctx: &Ctx,
    call: &Call,
    id: UploadId,
    pass: &Pass,
    wanted: &[PartWanted],
) -> Result<Links, Refusal> {
    ctx.admits(id, pass)?;
    let upload = open(ctx, id).await?;
    links_of(ctx, call, upload, wanted).await
}

async fn links_of(
    ctx: &Ctx,
    call: &Call,
    upload: UploadRow,
    wanted: &[PartWanted],
) -> Result<Links, Refusal> {
    if upload.expires <= call.now {
        return Err(Refusal::NotFound);
    }
    let count = parts_of(upload.bytes);
    let mut asked: Vec<u16> = wanted.iter().map(|part| part.number).collect();
    asked.sort_unstable();
    asked.dedup();
    if asked.len() != wanted.len() || asked.iter().any(|number| !(1..=count).contains(number)) {
        return Err(Refusal::Invalid(format!(
            "parts: each number once, 1 to {count}, since a part has {PART_BYTES} bytes"
        )));
    }
    if upload.done.is_some() {
        return Ok(Links { upload, received: Vec::new(), links: Vec::new() });
    }
    let object = upload.object();
    let of = InParts { key: &object, id: &upload.parts };
    let objects = ctx.store.objects();
    let received = objects.parts(of).await?.unwrap_or_default();
    let seconds = seconds_left(&upload, call.now);
    let mut links = Vec::new();
    for part in wanted {
        let there =
            |stored: &StoredPart| stored.number == part.number && stored.sha256 == part.sha256;
        if received.iter().any(there) {
            continue;
        }
        let size = part_bytes(upload.bytes, part.number);
        let terms = PartTerms { number: part.number, size, sha256: part.sha256, seconds };
        let put = objects.presign_part(of, terms).await?;
        links.push(Link { number: part.number, bytes: size, put });
    }
    Ok(Links { upload, received, links })
}

/// A link must not outlive its upload by much: what is swept must stay away.
fn seconds_left(upload: &UploadRow, now: Timestamp) -> u64 {
    let left_s = upload.expires.since_ms(now).max(0).unsigned_abs() / 1_000;
    LINK_SECONDS.min(left_s.max(60))
}

/// How many parts a file of this length comes in.
pub(super) fn parts_of(bytes: u64) -> u16 {
    u16::try_from(bytes.div_ceil(PART_BYTES)).unwrap_or(u16::MAX)
}

/// The length of part `number` of a file.
pub(super) fn part_bytes(bytes: u64, number: u16) -> u64 {
    let before = (u64::from(number) - 1) * PART_BYTES;
    bytes.saturating_sub(before).min(PART_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_file_add_up_to_it() {
        for bytes in [1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 2 << 30] {
            let each = (1..=parts_of(bytes)).map(|number| part_bytes(bytes, number));
            assert!(each.clone().all(|size| (1..=PART_BYTES).contains(&size)), "{bytes}");
            assert_eq!(each.sum::<u64>(), bytes);
        }
    }
}
