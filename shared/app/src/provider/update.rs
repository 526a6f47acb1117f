//! A provider changes its status or its prices.

use framefair_domain::id::ProviderId;
use framefair_domain::quote::Tariff;
use framefair_domain::signing;
use framefair_store::rows::{ProviderRow, Status};
use framefair_store::{TransactFailed, When, Write, keys};

use super::Signed;
use crate::{Call, Ctx, Refusal};

/// Attempts to write over a provider that others write too (its socket, its finished jobs).
const TRIES: usize = 8;

pub async fn set_status(
    ctx: &Ctx,
    call: &Call,
    id: ProviderId,
    status: Status,
    signed: &Signed,
) -> Result<ProviderRow, Refusal> {
    let text = signing::status(id, status.word());
    update(ctx, call, id, text, signed, |provider| {
        provider.chosen = status;
        // Its wallet speaks: it may be listed until it has been silent for long again.
        provider.silent = false;
    })
    .await
}

/// `raw` is the JSON text of the prices as received: that is what was signed. Open quotes keep
/// their price.
pub async fn set_pricing(
    ctx: &Ctx,
    call: &Call,
    id: ProviderId,
    tariff: Tariff,
    raw: &str,
    signed: &Signed,
) -> Result<ProviderRow, Refusal> {
    let text = signing::pricing(id, raw);
    update(ctx, call, id, text, signed, |provider| provider.tariff = tariff).await
}

async fn update(
    ctx: &Ctx,
    call: &Call,
    id: ProviderId,
    text: String,
    signed: &Signed,
    change: impl Fn(&mut ProviderRow),
) -> Result<ProviderRow, Refusal> {
    for _ in 0..TRIES {
        let provider = ctx.store.get::<ProviderRow>(&keys::provider(id)).await?;
        let mut provider = provider.ok_or(Refusal::NotFound)?;
        let nonce = signed.verify(ctx, call, &provider.wallet, text.clone())?;
        let read = provider.rev;
        change(&mut provider);
        provider.seen = call.now;
        provider.rev += 1;
        let writes = [Write::put(&provider, When::Rev(read))].into_iter().chain(nonce);
        match ctx.all(writes.collect()).await {
            Ok(()) => return Ok(provider),
            Err(TransactFailed::Conditions(legs)) if legs.contains(&1) => {
                return Err(Refusal::Replayed);
            }
            Err(TransactFailed::Conditions(_) | TransactFailed::Contended) => {}
            Err(broken) => return Err(broken.into()),
        }
    }
    Err(Refusal::Busy)
}
