//! A wallet becomes a provider, once.

use framefair_domain::id::ProviderId;
use framefair_domain::quote::Tariff;
use framefair_domain::reach;
use framefair_domain::scheduling::Abilities;
use framefair_domain::signing;
use framefair_domain::time::MINUTE_MS;
use framefair_domain::wallet::Wallet;
use framefair_store::rows::{ClaimRow, PendingChange, ProviderRow, Status};
use framefair_store::{TransactFailed, When, Write, keys};

use super::Signed;
use crate::statistics::Count;
use crate::{Broken, Call, Ctx, Refusal};

const ENDPOINT_BYTES_MAX: usize = 300;
/// A changed endpoint, spec or price of a short signature waits this long for the wallet's socket.
const CONFIRM_WITHIN_MS: i64 = 2 * MINUTE_MS;

#[derive(Debug)]
pub struct Registration {
    pub name: String,
    pub wallet: Wallet,
    pub endpoint: String,
    /// The spec as given, and what of it decides.
    pub spec: String,
    pub abilities: Abilities,
    pub tariff: Tariff,
    pub signed: Signed,
}

/// One provider per wallet: a repeat answers the same id.
pub async fn register(
    ctx: &Ctx,
    call: &mut Call,
    input: Registration,
) -> Result<ProviderId, Refusal> {
    ctx.refuse_escrow_as_party(&input.wallet)?;
    signing::verifying_key(&input.wallet)?;
    check_endpoint(ctx, &input)?;
    let text = signing::register(&input.wallet, &input.name);
    let nonce = input.signed.verify(ctx, call, &input.wallet, text)?;
    let claim = ctx.store.get::<ClaimRow>(&keys::wallet_claim(&input.wallet)).await?;
    match claim {
        None => create(ctx, call, input, nonce).await,
        Some(claim) => {
            let id = claim.by.parse().map_err(|_| broken_claim(&input.wallet))?;
            change(ctx, call, id, input, nonce).await
        }
    }
}

/// An endpoint that will be dialled must lead to a public place, as far as its text tells; the name
/// in it is looked at again whenever it is dialled. One that never is need only be a URL.
fn check_endpoint(ctx: &Ctx, input: &Registration) -> Result<(), Refusal> {
    let read = match input.abilities.relay {
        true => reach::form(&input.endpoint),
        false => ctx.platform.reach.url(&input.endpoint),
    };
    let url = read.map_err(|why| Refusal::Invalid(format!("endpoint: {why}")))?;
    if input.endpoint.len() > ENDPOINT_BYTES_MAX {
        return Err(Refusal::invalid("endpoint: at most 300 characters"));
    }
    // `/render` and `/health` are put behind it.
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Refusal::invalid("endpoint: a URL without query and fragment"));
    }
    Ok(())
}

async fn create(
    ctx: &Ctx,
    call: &mut Call,
    input: Registration,
    nonce: Option<Write>,
) -> Result<ProviderId, Refusal> {
    let id = ProviderId::new(call.now, call.entropy());
    let provider = ProviderRow {
        id,
        rev: 1,
        wallet: input.wallet,
        name: input.name,
        endpoint: input.endpoint,
        spec: input.spec,
        abilities: input.abilities,
        tariff: input.tariff,
        chosen: Status::Offline,
        connected: false,
        silent: false,
        registered: call.now,
        seen: call.now,
        pending: None,
    };
    let key = keys::wallet_claim(&input.wallet);
    let claim = ClaimRow { key: Some(key), by: id.to_string(), until_s: None };
    let writes = [Write::put(&claim, When::Absent), Write::put(&provider, When::Absent)];
    match ctx.store.transact(writes.into_iter().chain(nonce).collect()).await {
        Ok(()) => {}
        Err(TransactFailed::Conditions(failed)) if failed.contains(&2) => {
            return Err(Refusal::Replayed);
        }
        // Two registrations of one wallet at once: the other one's id is the answer.
        Err(TransactFailed::Conditions(_)) => {
            let claim = ctx.store.get::<ClaimRow>(&keys::wallet_claim(&input.wallet)).await?;
            let id = claim.and_then(|claim| claim.by.parse().ok());
            return id.ok_or_else(|| broken_claim(&input.wallet));
        }
        Err(other) => return Err(other.into()),
    }
    tracing::info!(provider = %id, wallet = %input.wallet, "Registered a provider");
    ctx.count(None, Count { providers: 1, ..Count::default() }).await;
    Ok(id)
}

async fn change(
    ctx: &Ctx,
    call: &Call,
    id: ProviderId,
    input: Registration,
    nonce: Option<Write>,
) -> Result<ProviderId, Refusal> {
    let provider = ctx.store.get::<ProviderRow>(&keys::provider(id)).await?;
    let mut provider = provider.ok_or_else(|| broken_claim(&input.wallet))?;
    let before = provider.clone();
    provider.name = input.name;
    let same = provider.endpoint == input.endpoint
        && provider.spec == input.spec
        && provider.tariff == input.tariff;
    if nonce.is_some() {
        provider.endpoint = input.endpoint;
        provider.spec = input.spec;
        provider.abilities = input.abilities;
        provider.tariff = input.tariff;
        provider.pending = None;
    } else if !same {
        // A short signature binds neither endpoint nor price and never expires: whoever has seen
        // one could move the provider's work elsewhere. The wallet itself must show up.
        provider.pending = Some(PendingChange {
            endpoint: input.endpoint,
            spec: input.spec,
            abilities: input.abilities,
            tariff: input.tariff,
            until: call.now.plus_ms(CONFIRM_WITHIN_MS),
        });
    }
    if provider != before || nonce.is_some() {
        let read = provider.rev;
        provider.rev += 1;
        let writes = [Write::put(&provider, When::Rev(read))].into_iter().chain(nonce);
        match ctx.store.transact(writes.collect()).await {
            Ok(()) => {}
            Err(TransactFailed::Conditions(failed)) if failed.contains(&1) => {
                return Err(Refusal::Replayed);
            }
            Err(other) => return Err(other.into()),
        }
    }
    Ok(id)
}

fn broken_claim(wallet: &Wallet) -> Refusal {
    Refusal::Broken(Broken(format!("the claim of wallet {wallet} names no provider")))
}
