//! The root of a batch is said on the chain: signed, stored, sent, followed to its end. Only what is stored
//! is ever sent, and it is signed again only when the first can no longer land.

use framefair_chain::{Fate, Sent, Signer, check_memo};
use framefair_store::rows::{Anchored, BatchRow, SignedTx};
use framefair_store::{Check, Update, When, Write, WriteFailed, keys};

use super::{anchor_of, batch, head};
use crate::{Broken, Call, Ctx, Refusal};

/// So many batches are on their way to the chain at the same time.
const ON_THE_WAY: u64 = 16;

/// Moves every batch on that is not anchored yet, a step each. Says how many still are on their way.
pub async fn anchor(ctx: &Ctx, call: &Call, signer: &Signer) -> Result<u64, Refusal> {
    let Some(head) = head(ctx).await? else { return Ok(0) };
    let first = head.anchored + 1;
    let mut anchored = head.anchored;
    for n in first..=head.sealed.min(head.anchored + ON_THE_WAY) {
        let row = batch(ctx, n).await?;
        if !row.marked {
            break;
        }
        // In order, so that the times of anchors are, too, and so that there are no gaps.
        let is_next = anchored + 1 == n;
        if row.anchored.is_some() || step(ctx, call, signer, row, is_next).await? {
            anchored = n;
        }
    }
    if anchored > head.anchored {
        let update = Update::at(keys::anchors_head(), When::Present)
            .set("anchored", anchored)
            .add("rev", 1)
            .require(Check::below("anchored", anchored));
        match ctx.store.write(update).await {
            Ok(()) | Err(WriteFailed::Condition) => {}
            Err(WriteFailed::Broken(broken)) => return Err(broken.into()),
        }
    }
    Ok(head.sealed - anchored)
}

/// Whether it is anchored now.
async fn step(
    ctx: &Ctx,
    call: &Call,
    signer: &Signer,
    mut row: BatchRow,
    is_next: bool,
) -> Result<bool, Refusal> {
    let memo = anchor_of(&row).memo();
    let Some(tx) = row.signed.clone() else {
        let out = ctx.chain.sign_memo(&memo, row.attempts + 1, signer).await?;
        row.attempts += 1;
        row.signed = Some(SignedTx {
            signature: out.signature,
            bytes: out.bytes,
            last_valid: out.last_valid_block_height,
            min_slot: out.min_slot,
        });
        save(ctx, row.clone()).await?;
        // Somebody else may have stored another one: what is stored is what is sent.
        let stored = batch(ctx, row.n).await?.signed;
        if let Some(tx) = stored {
            send(ctx, &memo, signer, &tx).await?;
        }
        return Ok(false);
    };
    let sent = Sent {
        signature: tx.signature,
        last_valid_block_height: tx.last_valid,
        min_slot: tx.min_slot,
        memo: memo.clone(),
    };
    match ctx.chain.fate(&sent, &signer.wallet()).await? {
        Fate::Unseen => send(ctx, &memo, signer, &tx).await?,
        Fate::Processing | Fate::Confirmed { .. } => {}
        Fate::Finalized { .. } if !is_next => {}
        Fate::Finalized { slot } => {
            tracing::info!(batch = row.n, signature = %tx.signature, slot, "Anchored a batch");
            row.anchored = Some(Anchored { slot, at: call.now });
            return save(ctx, row).await;
        }
        Fate::FailedOnChain { error, .. } => {
            tracing::error!(batch = row.n, error, "An anchor failed on chain");
            row.signed = None;
            save(ctx, row).await?;
        }
        Fate::Expired => {
            row.signed = None;
            save(ctx, row).await?;
        }
        Fate::Unknowable(why) => tracing::warn!(batch = row.n, why, "An anchor's fate is unknown"),
    }
    Ok(false)
}

/// Whether nobody else wrote it first.
async fn save(ctx: &Ctx, mut row: BatchRow) -> Result<bool, Refusal> {
    let read = row.rev;
    row.rev += 1;
    match ctx.store.write(Write::put(&row, When::Rev(read))).await {
        Ok(()) => Ok(true),
        Err(WriteFailed::Condition) => Ok(false),
        Err(WriteFailed::Broken(broken)) => Err(broken.into()),
    }
}

async fn send(ctx: &Ctx, memo: &str, signer: &Signer, tx: &SignedTx) -> Result<(), Refusal> {
    check_memo(&tx.bytes, memo, &signer.wallet())
        .map_err(|refused| Broken(format!("a stored anchor must not leave: {refused}")))?;
    if let Err(error) = ctx.chain.send(&tx.bytes).await {
        // It says nothing about whether it will land.
        tracing::debug!(%error, "An anchor was sent with an error");
    }
    Ok(())
}
