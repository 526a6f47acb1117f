//! The ledger that anybody can check: entries are sealed into batches, the roots of the batches are said
//! on the chain, and whoever owns an entry can prove that it is among them.

mod anchor;
mod find;
mod key;
mod list;
mod movements;
mod prove;
mod seal;

use framefair_domain::ledger::{Anchor, Leaf, digits};
use framefair_domain::merkle::Hash;
use framefair_store::keys;
use framefair_store::rows::{BatchRow, EntryRow, HeadRow, LedgerRow};

pub use anchor::anchor;
pub use find::EntryName;
pub use key::{KeyUnread, signer_from_env};
pub use list::{Anchors, anchors};
pub use movements::gather;
pub use prove::{Proof, Verdict, proof, verify};
pub use seal::seal;

use crate::{Broken, Ctx, Refusal};

/// What is anchored: the text and its hash.
fn leaf_of(row: &LedgerRow) -> (String, Hash) {
    match row {
        LedgerRow::Entry(entry) => leaf(entry),
        LedgerRow::Movement(movement) => movements::leaf(movement),
    }
}

/// What is anchored of an entry.
pub fn leaf(entry: &EntryRow) -> (String, Hash) {
    Leaf {
        account_seq: entry.seq,
        amount: &entry.amount.to_string(),
        balance_after: &entry.balance_after.to_string(),
        created_at: &entry.created.to_rfc3339(),
        direction: entry.direction.word(),
        entry_id: entry.number,
        id: &entry.id.to_string(),
        prev_leaf: &digits(&entry.prev_leaf),
        reference_id: &entry.reference,
        source: entry.source.word(),
        unit: None,
        user_id: &entry.user.to_string(),
        v: 1,
    }
    .written()
}

/// What the chain is to say of a batch.
fn anchor_of(batch: &BatchRow) -> Anchor {
    let leaves = u32::try_from(batch.leaves.len()).unwrap_or(u32::MAX);
    Anchor { batch: batch.n, leaves, root: batch.root, previous: batch.previous }
}

async fn head(ctx: &Ctx) -> Result<Option<HeadRow>, Refusal> {
    Ok(ctx.store.get(&keys::anchors_head()).await?)
}

async fn batch(ctx: &Ctx, n: u64) -> Result<BatchRow, Refusal> {
    let row = ctx.store.get(&keys::batch(n)).await?;
    Ok(row.ok_or_else(|| Broken(format!("batch {n} of the ledger is gone")))?)
}
