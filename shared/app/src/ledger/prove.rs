//! That an entry is in a batch, and that the chain says so.

use framefair_chain::Commitment;
use framefair_domain::id::UserId;
use framefair_domain::ledger::Anchor;
use framefair_domain::merkle::{self, Hash, Step};
use framefair_domain::wallet::TxSignature;
use framefair_store::rows::{BatchRow, LedgerRow};

use super::find::find;
use super::{EntryName, anchor_of, batch, leaf_of};
use crate::{Broken, Ctx, Refusal};

/// The way from an entry to the root that is anchored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    pub number: i64,
    pub root: Hash,
    pub steps: Vec<Step>,
    pub transaction: TxSignature,
    pub slot: u64,
    pub index: u32,
    pub size: usize,
    /// The text that is hashed, and its hash.
    pub leaf: String,
    pub leaf_hash: Hash,
}

/// Two items are read: the entry and its batch.
pub async fn proof(ctx: &Ctx, user: UserId, name: EntryName) -> Result<Proof, Refusal> {
    let entry = find(ctx, user, name).await?;
    Ok(prove(ctx, &entry).await?.0)
}

async fn prove(ctx: &Ctx, entry: &LedgerRow) -> Result<(Proof, BatchRow), Refusal> {
    const PENDING: Refusal = Refusal::Missing("Entry has not been anchored yet");
    let place = entry.sealed().ok_or(PENDING)?;
    let batch = batch(ctx, place.batch).await?;
    let (Some(anchored), Some(tx)) = (batch.anchored, &batch.signed) else { return Err(PENDING) };
    let steps = usize::try_from(place.index).ok().and_then(|at| merkle::path(&batch.leaves, at));
    let steps = steps.ok_or_else(|| Broken(format!("batch {} has no such leaf", batch.n)))?;
    let (text, hash) = leaf_of(entry);
    let proof = Proof {
        number: entry.number(),
        root: batch.root,
        steps,
        transaction: tx.signature,
        slot: anchored.slot,
        index: place.index,
        size: batch.leaves.len(),
        leaf: text,
        leaf_hash: hash,
    };
    Ok((proof, batch))
}

/// What came of looking at everything again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The entry as it stands leads to the root as it is stored, and the chain says the same.
    pub verified: bool,
    pub number: i64,
    pub root: Hash,
    /// What the transaction says, if it is an anchor by the anchor authority.
    pub on_chain: Option<Hash>,
    pub transaction: TxSignature,
    pub slot: u64,
}

/// Recomputes the leaf from the entry, folds it to a root, and reads the chain.
pub async fn verify(ctx: &Ctx, user: UserId, name: EntryName) -> Result<Verdict, Refusal> {
    let entry = find(ctx, user, name).await?;
    let (proof, batch) = prove(ctx, &entry).await?;
    let said = said_on_chain(ctx, &proof.transaction).await?;
    let folds = merkle::fold(proof.leaf_hash, &proof.steps) == batch.root;
    Ok(Verdict {
        verified: folds && said == Some(anchor_of(&batch)),
        number: proof.number,
        root: batch.root,
        on_chain: said.map(|anchor| anchor.root),
        transaction: proof.transaction,
        slot: proof.slot,
    })
}

/// What a final transaction says, if the anchor authority signed it: it paid for it.
async fn said_on_chain(ctx: &Ctx, tx: &TxSignature) -> Result<Option<Anchor>, Refusal> {
    let facts = ctx.chain.facts(tx, Commitment::Finalized).await?;
    let Some(facts) = facts.filter(|facts| facts.error.is_none()) else { return Ok(None) };
    let authority = ctx.platform.anchor;
    let theirs = |(wallet, delta): &(_, i128)| Some(*wallet) == authority && *delta < 0;
    if !facts.deltas.iter().any(theirs) {
        return Ok(None);
    }
    Ok(facts.memos.iter().find_map(|memo| Anchor::parse(memo)))
}
