//! Entries become a batch. The newest batch is finished before a new one is begun, so that no entry is in
//! two: who fills number n first decides what is in it.

use framefair_domain::id::BatchId;
use framefair_domain::ledger::NOTHING_BEFORE;
use framefair_domain::merkle;
use framefair_store::rows::{BatchRow, HeadRow, LedgerRow, Member, Sealed};
use framefair_store::{
    Check, Index, Key, Order, Range, TransactFailed, Update, When, Write, WriteFailed, keys,
};
use futures::{StreamExt, TryStreamExt, stream};

use super::{batch, head, leaf_of};
use crate::{Broken, Call, Ctx, Refusal};

/// Entries that learn their place at the same time.
const MARKED_AT_ONCE: usize = 16;

/// Seals what waits, as many batches in a row as are due, and says how many those were.
pub async fn seal(ctx: &Ctx, call: &mut Call) -> Result<u32, Refusal> {
    let mut sealed = 0;
    loop {
        let head = head(ctx).await?;
        if let Some(head) = &head {
            finish(ctx, batch(ctx, head.sealed).await?).await?;
        }
        let entries = due(ctx, call).await?;
        if entries.is_empty() {
            return Ok(sealed);
        }
        if let Some(fresh) = begin(ctx, call, head, &entries).await? {
            finish(ctx, fresh).await?;
            sealed += 1;
        }
    }
}

/// The entries of the next batch, by their numbers; none while too few wait, and none for too long.
async fn due(ctx: &Ctx, call: &Call) -> Result<Vec<LedgerRow>, Refusal> {
    let most = ctx.platform.anchor_together;
    let shards = (0..keys::SEAL_SHARDS).map(async |shard| {
        let partition = keys::seal_shard(shard);
        ctx.store.index(Index::Due, &partition, Range::All, Order::Ascending, most, None).await
    });
    let pages = futures::future::try_join_all(shards).await?;
    let mut waiting: Vec<(String, Key)> = pages
        .into_iter()
        .flat_map(|page| page.entries)
        .map(|entry| (entry.sort, entry.key))
        .collect();
    waiting.sort_unstable();
    let since = waiting.first().and_then(|(sort, _)| keys::waits_since(sort));
    let Some(since) = since else { return Ok(Vec::new()) };
    if waiting.len() < most && call.now.since_ms(since) < ctx.platform.anchor_after_ms {
        return Ok(Vec::new());
    }
    let chosen: Vec<Key> = waiting.into_iter().take(most).map(|(_, key)| key).collect();
    let mut entries: Vec<LedgerRow> = ctx.store.get_many(&chosen).await?;
    // The index may be behind.
    entries.retain(|entry| entry.sealed().is_none());
    entries.sort_unstable_by_key(LedgerRow::number);
    Ok(entries)
}

/// Writes down who is in the next batch; none if somebody else was faster.
async fn begin(
    ctx: &Ctx,
    call: &mut Call,
    head: Option<HeadRow>,
    entries: &[LedgerRow],
) -> Result<Option<BatchRow>, Refusal> {
    let leaves: Vec<_> = entries.iter().map(|entry| leaf_of(entry).1).collect();
    let root = merkle::root(&leaves).ok_or_else(|| Broken("a batch of nothing".into()))?;
    let (n, previous) =
        head.as_ref().map_or((1, NOTHING_BEFORE), |head| (head.sealed + 1, head.root));
    let batch = BatchRow {
        n,
        rev: 1,
        id: BatchId::new(call.now, call.entropy()),
        root,
        previous,
        leaves,
        members: entries.iter().map(LedgerRow::member).collect(),
        sealed: call.now,
        marked: false,
        signed: None,
        attempts: 0,
        anchored: None,
    };
    let (read, anchored) = head.map_or((0, 0), |head| (head.rev, head.anchored));
    let next = HeadRow { rev: read + 1, sealed: n, anchored, root };
    let when = if read == 0 { When::Absent } else { When::Rev(read) };
    let writes = vec![Write::put(&batch, When::Absent), Write::put(&next, when)];
    match ctx.store.transact(writes).await {
        Ok(()) => Ok(Some(batch)),
        Err(TransactFailed::Conditions(_) | TransactFailed::Contended) => Ok(None),
        Err(other) => Err(other.into()),
    }
}

/// Tells each entry its place. Doing it again changes nothing.
async fn finish(ctx: &Ctx, mut batch: BatchRow) -> Result<(), Refusal> {
    if batch.marked {
        return Ok(());
    }
    let n = batch.n;
    let members = batch.members.clone();
    let each = (0..).zip(members).map(|(index, member): (u32, Member)| async move {
        let place = Sealed { batch: n, index };
        let update = Update::at(member.key(), When::Present)
            .set("sealed", place)
            .index(Index::Due, None)
            .require(Check::missing("sealed"));
        match ctx.store.write(update).await {
            Ok(()) | Err(WriteFailed::Condition) => Ok(()),
            Err(WriteFailed::Broken(broken)) => Err(Refusal::from(broken)),
        }
    });
    stream::iter(each).buffer_unordered(MARKED_AT_ONCE).try_collect::<()>().await?;
    let read = batch.rev;
    (batch.marked, batch.rev) = (true, read + 1);
    match ctx.store.write(Write::put(&batch, When::Rev(read))).await {
        // Somebody else has finished it, or has even begun to anchor it.
        Ok(()) | Err(WriteFailed::Condition) => Ok(()),
        Err(WriteFailed::Broken(broken)) => Err(broken.into()),
    }
}
