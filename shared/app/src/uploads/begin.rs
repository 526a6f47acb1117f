//! An upload begins: room is reserved, and links are made for the parts that its client declares.

use std::net::IpAddr;

use framefair_domain::id::{UploadId, UserId};
use framefair_domain::time::Timestamp;
use framefair_store::objects::{InParts, PartTerms, StoredPart};
use framefair_store::rows::{UploadKind, UploadRow};
use framefair_store::seam::over_again;
use framefair_store::{Presigned, When, Write};

use super::quota::{self, Room};
use super::take::{open, opened};
use super::{Entry, INGEST_LIFE_MS, LIFE_MS, LINK_SECONDS, PART_BYTES, Pass, room};
use crate::address::network;
use crate::idempotency::{Claim, Claiming, IdempotencyKey, Input};
use crate::write::Done;
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
    /// The account that it is bound to.
    pub owner: Option<UserId>,
    /// The hash of the whole, in lower-case hex, as far as it is known beforehand.
    pub sha256: Option<String>,
}

/// A part that its client declares.
#[derive(Clone, Copy, Debug)]
pub struct PartWanted {
    /// From 1.
    pub number: u16,
    /// None where the parts come without.
    pub sha256: Option<[u8; 32]>,
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

/// Begins a client's upload and makes links for the parts that it declares. A client that declares nothing gets
/// links for all parts; they are read once, when all are there. With a key, the same call from the same address is
/// the same upload.
pub async fn begin_named(
    ctx: &Ctx,
    call: &mut Call,
    key: Option<IdempotencyKey>,
    wish: Begin,
    declared: Option<&[PartWanted]>,
) -> Result<Links, Refusal> {
    let wanted = declared.unwrap_or_default();
    let id = UploadId::new(call.now, call.entropy());
    let claiming = key.map(|key| {
        let input = Input::default().with(format!("{:?} {}", wish.kind, wish.bytes));
        let input = input.with(&wish.name).with(wish.sha256.as_deref().unwrap_or_default());
        // Who knows the name alone must not be given what is bound to somebody else.
        let input = input.with(wish.owner.map(|owner| owner.to_string()).unwrap_or_default());
        let input = wanted.iter().fold(input, |input, part| {
            input.with(part.number.to_be_bytes()).with(part.sha256.unwrap_or_default())
        });
        Claiming::new(&key, "POST /uploads", &network(wish.from), input)
    });
    let upload = begun(ctx, call, id, wish, declared.is_none(), claiming).await?;
    links_of(ctx, call, upload, wanted).await
}

/// Reserves room and begins. `id` is a fresh one.
pub async fn begin(
    ctx: &Ctx,
    call: &Call,
    id: UploadId,
    wish: Begin,
) -> Result<UploadRow, Refusal> {
    begun(ctx, call, id, wish, false, None).await
}

/// Two round trips to the table: the room there is, and the upload with its place in it. An earlier
/// request of the same name has made its upload, or nothing.
async fn begun(
    ctx: &Ctx,
    call: &Call,
    id: UploadId,
    wish: Begin,
    plain: bool,
    claiming: Option<Claiming>,
) -> Result<UploadRow, Refusal> {
    let mut row = fresh(ctx, call, id, wish, plain)?;
    let room = room(ctx, Some(row.from.clone()));
    let (room, before) = tokio::try_join!(room, before(ctx, call, claiming.as_ref()))?;
    if let Some(before) = before {
        return open(ctx, before).await;
    }
    // Refused before a byte is stored where there is no room.
    room.counting(call, &entry(&row))?;
    let (objects, object) = (ctx.store.objects(), row.object());
    row.parts = objects.begin_parts(&object, "application/octet-stream", !plain).await?;
    // Until the row says so nobody can send a part, so what a crash leaves here holds no bytes.
    let written = Box::pin(write(ctx, call, &row, room, claiming.as_ref())).await;
    if !matches!(written, Ok(None)) {
        objects.drop_parts(InParts { key: &object, id: &row.parts }).await?;
    }
    match written? {
        None => Ok(row),
        Some(before) => over_again(open(ctx, before)).await,
    }
}

/// The upload that an earlier request of the same name has made.
async fn before(
    ctx: &Ctx,
    call: &Call,
    claiming: Option<&Claiming>,
) -> Result<Option<UploadId>, Refusal> {
    let Some(claiming) = claiming else { return Ok(None) };
    match claiming.look(ctx, call).await? {
        Claim::Ours => Ok(None),
        Claim::Made(made) => Ok(Some(made.parse().map_err(|_| Refusal::Busy)?)),
    }
}

/// Writes the upload, its place in the quota and its name, all or none; says what another request of
/// that name was faster to make.
async fn write(
    ctx: &Ctx,
    call: &Call,
    row: &UploadRow,
    mut room: Room,
    claiming: Option<&Claiming>,
) -> Result<Option<UploadId>, Refusal> {
    let writes = |room: &Room| -> Result<Vec<Write>, Refusal> {
        let claim = claiming.map(|claiming| claiming.put(call, &row.id.to_string()));
        let counting = room.counting(call, &entry(row))?;
        Ok([Write::put(row, When::Absent)].into_iter().chain(claim).chain(counting).collect())
    };
    if ctx.all(writes(&room)?).await.done()? {
        return Ok(None);
    }
    let again = async {
        for tries in 1..quota::TRIES {
            if let Some(before) = before(ctx, call, claiming).await? {
                return Ok(Some(before));
            }
            room.read_again(ctx, tries).await?;
            if ctx.all(writes(&room)?).await.done()? {
                return Ok(None);
            }
        }
        Err(Refusal::Busy)
    };
    over_again(Box::pin(again)).await
}

/// The upload as it is at its beginning.
fn fresh(
    ctx: &Ctx,
    call: &Call,
    id: UploadId,
    wish: Begin,
    plain: bool,
) -> Result<UploadRow, Refusal> {
    let bytes_max = ctx.platform.scene_bytes_max;
    if wish.bytes == 0 || wish.bytes > bytes_max {
        let max = bytes_max >> 20;
        return Err(Refusal::Invalid(format!("a file has 1 byte to {max} MiB")));
    }
    if wish.name.chars().count() > NAME_CHARS_MAX {
        return Err(Refusal::invalid("a file's name has at most 255 characters"));
    }
    if wish.kind == UploadKind::Scene {
        framefair_blend::Format::of_file_name(&wish.name)?;
    }
    let expires = call.now.plus_ms(if wish.ingest { INGEST_LIFE_MS } else { LIFE_MS });
    Ok(UploadRow {
        id,
        kind: wish.kind,
        name: framefair_blend::safe_file_name(&wish.name),
        bytes: wish.bytes,
        parts: String::new(),
        from: network(wish.from),
        owner: wish.owner,
        said: wish.sha256,
        plain,
        created: call.now,
        expires,
        done: None,
        kept: None,
    })
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
    let upload = opened(ctx, id, pass).await?;
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
    let mut received = objects.parts(of).await?.unwrap_or_default();
    received.retain(|part| upload.plain || part.sha256.is_some());
    let seconds = seconds_left(&upload, call.now);
    let mut links = Vec::new();
    let all: Vec<PartWanted>;
    let wanted = match upload.plain {
        true => {
            all = (1..=count).map(|number| PartWanted { number, sha256: None }).collect();
            &all
        }
        false => wanted,
    };
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
